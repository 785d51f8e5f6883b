//! One process at a time in a place: an advisory lock on a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::at;

/// Takes the lock of a file, which is made if it is not there, for as long as the returned file lives; `None` where another
/// process holds it. The system frees it when a process dies, so the file itself is never in the way.
///
/// # Errors
/// If the file cannot be made or locked; the text names it.
pub fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| at(path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(at(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_turned_away_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(".lock");
        let first = try_lock(&path).expect("opened");
        assert!(first.is_some());
        assert!(try_lock(&path).expect("opened").is_none());
        drop(first);
        assert!(try_lock(&path).expect("opened").is_some());
    }
}
