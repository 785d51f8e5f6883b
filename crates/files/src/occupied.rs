//! One process at a time in a folder, and who it is.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::{at, try_lock};

/// The file that is locked, hidden, so that nobody takes it for data.
const NAME: &str = ".lock";
/// Somebody who only looks whether a folder is free holds the lock for a moment.
const PATIENCE: Duration = Duration::from_millis(60);

/// A folder that this process has for itself, until this is dropped or the process ends in whatever way: the system frees the
/// lock, so that one of a dead process is never in the way.
#[derive(Debug)]
pub struct Occupied {
    /// Nothing where the file system knows no locks.
    _lock: Option<File>,
}

/// Takes a folder, which must exist, for this process alone. `work` says in a word or two what it does there.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] where another process has it; the text names the folder, the process, its host and its work.
/// Otherwise what the system says.
pub fn occupy(folder: &Path, work: &str) -> io::Result<Occupied> {
    let path = folder.join(NAME);
    let mut lock = locked(&path, folder)?;
    if let Some(Some(file)) = &mut lock {
        // Who it is helps the next one; that it could not be written changes nothing about the lock.
        let _ = introduce(file, work);
    }
    match lock {
        Some(None) => Err(busy(folder, &path)),
        Some(held) => Ok(Occupied { _lock: held }),
        None => Ok(Occupied { _lock: None }),
    }
}

/// Whether [`occupy`] would find another process in a folder, which need not exist; nothing is left there.
///
/// # Errors
/// As [`occupy`] for a folder that is taken. A lock that cannot be tried is none.
pub fn check_free(folder: &Path) -> io::Result<()> {
    let path = folder.join(NAME);
    if !path.is_file() {
        return Ok(());
    }
    match locked(&path, folder) {
        Ok(Some(None)) => Err(busy(folder, &path)),
        _ => Ok(()),
    }
}

/// The lock; the inner `None` if another process holds it, the outer one where there are no locks.
fn locked(path: &Path, folder: &Path) -> io::Result<Option<Option<File>>> {
    match try_lock(path) {
        Ok(None) => {
            thread::sleep(PATIENCE);
            try_lock(path).map(Some)
        }
        Ok(held) => Ok(Some(held)),
        Err(fault) if fault.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(fault) => Err(at(folder, io::Error::new(fault.kind(), fault.kind().to_string()))),
    }
}

fn introduce(file: &mut File, work: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    let host = gethostname::gethostname();
    write!(
        file,
        "process {} on {} ({work})",
        std::process::id(),
        host.to_string_lossy()
    )
}

fn busy(folder: &Path, path: &Path) -> io::Error {
    let mut who = String::new();
    // On some systems a locked file cannot be read.
    let read = fs::File::open(path).and_then(|file| file.take(400).read_to_string(&mut who));
    if read.is_err() || who.trim().is_empty() {
        who = "another process".to_owned();
    }
    let text = format!("{}: {} is at work there", folder.display(), who.trim());
    io::Error::new(io::ErrorKind::ResourceBusy, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_there_and_the_lock_of_the_gone_is_taken_over() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        check_free(dir.path()).expect("free");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
        let first = occupy(dir.path(), "train").expect("free");
        for said in [check_free(dir.path()), occupy(dir.path(), "predict").map(drop)] {
            let fault = said.expect_err("taken");
            assert_eq!(fault.kind(), io::ErrorKind::ResourceBusy);
            let text = fault.to_string();
            let process = format!("process {} on ", std::process::id());
            assert!(text.starts_with(&dir.path().display().to_string()), "{text}");
            assert!(
                text.contains(&process) && text.contains("(train) is at work there"),
                "{text}"
            );
        }
        drop(first);
        check_free(dir.path()).expect("free");
        drop(occupy(dir.path(), "predict").expect("free"));
        // What a killed process left behind.
        fs::write(dir.path().join(NAME), b"process 1 on elsewhere (train)").expect("written");
        occupy(dir.path(), "predict").expect("free");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let missing = dir.path().join("missing");
        let text = occupy(&missing, "train").expect_err("missing").to_string();
        assert!(
            text.starts_with(&missing.display().to_string()) && !text.contains(NAME),
            "{text}"
        );
    }
}
