//! A folder for the files that a door is given, one for each thread.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::Finding;

thread_local! {
    static FOLDER: std::io::Result<TempDir> = tempfile::Builder::new().prefix("flawforge-doors-").tempdir();
}

/// The folder.
pub(super) fn folder() -> Result<PathBuf, Finding> {
    FOLDER.with(|folder| match folder {
        Ok(folder) => Ok(folder.path().to_path_buf()),
        Err(fault) => Err(format!("the door could not be tried: {fault}")),
    })
}

/// A file in the folder with these bytes.
pub(super) fn file(name: &str, bytes: &[u8]) -> Result<PathBuf, Finding> {
    let path = folder()?.join(name);
    fs::write(&path, bytes).map_err(|fault| format!("the door could not be tried: {fault}"))?;
    Ok(path)
}
