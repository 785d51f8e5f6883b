//! Places: one spelling for one path, and whether something can be written there.

use std::path::{Component, Path, PathBuf};

use super::SourceError;

/// One spelling for one folder, however it was typed.
pub(super) fn full_path(dir: &Path) -> String {
    dir.canonicalize()
        .unwrap_or_else(|_| dir.into())
        .display()
        .to_string()
}

/// A path without links and without `.` and `..`, as far as it exists.
pub fn real_path(path: &Path) -> PathBuf {
    let mut real = match path.is_absolute() {
        true => PathBuf::new(),
        false => std::env::current_dir().unwrap_or_default(),
    };
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                real.pop();
            }
            other => real.push(other),
        }
        if let Ok(existing) = real.canonicalize() {
            real = existing;
        }
    }
    real
}

/// Whether a folder can be written into, or made: a temporary file is made where it would lie, and removed.
///
/// # Errors
/// A file where the folder or one above it would be ([`SourceError::IsFile`]), what the system says ([`SourceError::NotWritable`]).
pub fn probe_writable(folder: &Path) -> Result<(), SourceError> {
    if let Some(file) = folder.ancestors().find(|place| place.is_file()) {
        return Err(SourceError::IsFile { path: file.into() });
    }
    let real = real_path(folder);
    let existing = real.ancestors().find(|place| place.exists()).unwrap_or(&real);
    let made = tempfile::tempfile_in(existing);
    made.map(drop).map_err(|source| SourceError::NotWritable {
        path: folder.into(),
        source,
    })
}

/// Whether a new file can be written: nothing has its name, and its folder is there and takes files.
///
/// # Errors
/// As [`probe_writable`]; a folder of that name ([`SourceError::IsFolder`]), a file of that name ([`SourceError::IsThere`]), a folder
/// that is not there ([`SourceError::NoFolder`]).
pub fn probe_new_file(file: &Path) -> Result<(), SourceError> {
    if file.is_dir() {
        return Err(SourceError::IsFolder { path: file.into() });
    }
    if file.exists() {
        return Err(SourceError::IsThere { path: file.into() });
    }
    let folder = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if folder.ancestors().all(|place| !place.is_file()) && !folder.is_dir() {
        return Err(SourceError::NoFolder { path: folder.into() });
    }
    probe_writable(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_there_yet_are_spelled_like_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        for (path, expected) in [("a", "a"), ("a/../b/./c", "b/c"), ("no/../a", "a")] {
            assert_eq!(real_path(&dir.path().join(path)), real.join(expected), "{path}");
        }
        assert!(real_path(Path::new("somewhere")).is_absolute());
    }

    #[test]
    fn a_place_is_tried_without_leaving_anything() {
        let dir = tempfile::tempdir().unwrap();
        probe_writable(&dir.path().join("deep/run")).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(dir.path().join("file"), b"").unwrap();
        for place in ["file", "file/run"] {
            let fault = probe_writable(&dir.path().join(place)).unwrap_err().to_string();
            assert!(fault.ends_with("file: is a file; name a folder"), "{fault}");
        }
    }

    #[test]
    fn a_new_file_is_where_nothing_is_in_a_folder_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), b"").unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        probe_new_file(&dir.path().join("folder/new")).unwrap();
        probe_new_file(Path::new("a-name-that-nothing-has")).unwrap();
        for (place, said) in [
            ("file", "file: is there already; choose another name"),
            ("folder", "folder: is a folder; name a file"),
            ("file/new", "file: is a file; name a folder"),
            ("none/new", "none: no such folder; make it first"),
        ] {
            let fault = probe_new_file(&dir.path().join(place)).unwrap_err().to_string();
            assert!(fault.ends_with(said), "{place}: {fault}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join("folder")).unwrap().count(), 0);
    }
}
