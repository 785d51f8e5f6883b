//! Places: one spelling for one path, and whether something can be written there.

use std::io;
use std::path::{Component, Path, PathBuf};

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
/// What the system says.
pub fn probe_writable(folder: &Path) -> io::Result<()> {
    let real = real_path(folder);
    let existing = real.ancestors().find(|place| place.exists()).unwrap_or(&real);
    if !existing.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is no folder", existing.display()),
        ));
    }
    let made = tempfile::tempfile_in(existing);
    made.map(drop)
        .map_err(|error| io::Error::new(error.kind(), flawforge_files::reason(&error)))
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
        let fault = probe_writable(&dir.path().join("file/run"))
            .unwrap_err()
            .to_string();
        assert!(fault.contains("file is no folder"), "{fault}");
    }
}
