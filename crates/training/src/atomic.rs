//! Files that are either whole or absent: temporary file in the same directory, flush to disk, rename.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::error::{Result, TrainingError};

const PREFIX: &str = ".unfinished-";

/// Writes `bytes` to `path` atomically; a reader sees the old content or the new one, also after a power cut.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes a file atomically through `fill`, which gets the temporary file.
pub(crate) fn write_with(path: &Path, fill: impl FnOnce(&mut NamedTempFile) -> io::Result<()>) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = Builder::new();
    builder.prefix(PREFIX);
    let permissions = readable();
    if let Some(permissions) = &permissions {
        builder.permissions(permissions.clone());
    }
    let mut file = builder
        .tempfile_in(directory)
        .map_err(TrainingError::io(directory))?;
    fill(&mut file).map_err(TrainingError::io(path))?;
    file.as_file().sync_all().map_err(TrainingError::io(path))?;
    file.persist(path)
        .map_err(|fault| TrainingError::io(path)(fault.error))?;
    sync_directory(directory).map_err(TrainingError::io(directory))
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
pub(crate) fn remove_leftovers(directory: &Path) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write(&path, b"old").unwrap();
        let fault = write_with(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::other("disk full"))
        });
        assert!(fault.unwrap_err().to_string().contains("a.json"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".unfinished-x"), b"").unwrap();
        fs::write(directory.path().join("kept"), b"").unwrap();
        remove_leftovers(directory.path());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
