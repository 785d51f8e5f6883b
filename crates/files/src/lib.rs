//! Files that are written whole or not at all: temporary file in the same directory, flush to disk, rename.
//!
//! A reader sees the old content or the new one, never a part of it, also after a power cut. Errors are
//! [`std::io::Error`]s of the kind that the system reported, whose text names the file.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("result.json");
//! flawforge_files::write(&path, b"{}")?;
//! assert_eq!(std::fs::read(&path)?, b"{}");
//!
//! let missing = folder.path().join("missing/result.json");
//! let error = flawforge_files::write(&missing, b"{}").unwrap_err();
//! assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
//! assert!(error.to_string().contains("missing"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod claim;
mod holder;
mod lock;
mod occupied;

pub use holder::host;
pub use lock::try_lock;
pub use occupied::{Occupied, STALE, abandoned_by, check_free, occupy, occupy_or, occupy_part};

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::Builder;

const PREFIX: &str = ".unfinished-";

/// Writes `bytes` to `path`, which afterwards holds them all or what it held before.
///
/// # Errors
/// If the folder is missing or the file cannot be written; the text names the file.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let whole = |file: &mut File| {
        file.write_all(bytes)?;
        file.sync_all()
    };
    write_with(path, whole)
        .and_then(|()| sync_directory(directory_of(path)))
        .map_err(|source| at(path, source))
}

/// As [`write`], but without waiting for the disk: every reader sees the old content or the new one, also when the process is
/// killed, but a power cut may leave an empty file. For files that are many and can be made again.
///
/// # Errors
/// As [`write`].
pub fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes)).map_err(|source| at(path, source))
}

/// The folder that a file lies in.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let directory = directory_of(path);
    let mut builder = Builder::new();
    builder.prefix(PREFIX);
    let permissions = readable();
    if let Some(permissions) = &permissions {
        builder.permissions(permissions.clone());
    }
    let mut file = builder.tempfile_in(directory)?;
    fill(file.as_file_mut())?;
    file.persist(path).map_err(|refused| refused.error)?;
    Ok(())
}

/// The same error with the file's name before it, and without that of a temporary file.
fn at(path: &Path, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), format!("{}: {}", path.display(), reason(&source)))
}

/// What the system said, without the name of a temporary file that the user never gave.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    // `tempfile` writes the system's words, and its own path behind them.
    match text.split_once(" at path \"") {
        Some((words, path)) if path.contains(PREFIX) => words.to_owned(),
        _ => text,
    }
}

/// What files usually get, less what the user's mask takes away: temporary files are otherwise the owner's alone.
#[cfg(unix)]
fn readable() -> Option<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn readable() -> Option<fs::Permissions> {
    None
}

/// Makes a rename in `directory` survive a power cut, where the system can do that.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()
    } else {
        Ok(())
    }
}

/// Removes the temporary files that a killed process left in `directory`.
pub fn remove_leftovers(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // Only tidiness is at stake: a leftover that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The same, and in all folders below but those that [another process has](check_free); links are not followed. For a folder that the
/// caller has for itself.
pub fn remove_leftovers_below(directory: &Path) {
    remove_leftovers(directory);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && check_free(&entry.path()).is_ok() {
            remove_leftovers_below(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("disk full"))
        });
        assert_eq!(error.unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_file_and_keeps_its_kind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        fs::create_dir(&path).unwrap();
        let error = write(&path, b"new").unwrap_err();
        assert!(
            error.to_string().starts_with(&path.display().to_string()),
            "{error}"
        );
        assert_ne!(error.kind(), io::ErrorKind::Other);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_message_holds_the_name_of_a_temporary_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, b"").unwrap();
        for path in [directory.path().join("missing/a.json"), file.join("a.json")] {
            for write in [write, write_unsynced] {
                let said = write(&path, b"new").unwrap_err().to_string();
                assert!(said.starts_with(&path.display().to_string()), "{said}");
                assert!(!said.contains(PREFIX), "{said}");
            }
        }
    }

    #[test]
    fn an_unsynced_file_replaces_the_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        write(&path, b"old").unwrap();
        write_unsynced(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".unfinished-x"), b"").unwrap();
        fs::write(directory.path().join("kept"), b"").unwrap();
        let below = directory.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::write(below.join(".unfinished-y"), b"").unwrap();
        remove_leftovers(directory.path());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1);
        // What somebody is at there may be a file on its way.
        let held = occupy(&below, "a test").unwrap();
        remove_leftovers_below(directory.path());
        assert!(below.join(".unfinished-y").exists());
        drop(held);
        remove_leftovers_below(directory.path());
        assert_eq!(fs::read_dir(&below).unwrap().count(), 0);
        assert!(directory.path().join("kept").exists());
    }
}
