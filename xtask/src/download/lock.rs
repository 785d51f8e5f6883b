//! One process a data set: two would write into the same `.part` file.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::DownloadError;

/// Takes the lock for as long as the returned file lives. The system frees it when a process dies, so the file itself is
/// never in the way.
pub(super) fn take(path: &Path) -> Result<File, DownloadError> {
    let io = DownloadError::io(path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(&io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DownloadError::Busy {
            path: path.to_path_buf(),
        }),
        Err(TryLockError::Error(e)) => Err(io(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_turned_away_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(".lock");
        let first = take(&path).expect("taken");
        assert!(matches!(take(&path), Err(DownloadError::Busy { .. })));
        drop(first);
        assert!(take(&path).is_ok());
    }
}
