//! A folder that is watched: files are scored as they come, until a signal.
//!
//! The folder is looked at once a second. Notices of the system would come sooner, but they are lost on network shares and where
//! too many come at once, and they say when a file was begun, not when it is whole. A file is taken when it is the same in two
//! looks; one that cannot be decoded then is tried again for ten seconds, as long as it stays the same, before its row says so: a
//! camera may pause in the middle of a file. A file that changes later is a new input.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flawforge::datasets::image_files;

use super::feeder::{Ended, Feeder, stamp};
use super::inputs::Input;

/// Time between two looks (proposal).
const PAUSE: Duration = Duration::from_secs(1);
/// A look at many files takes a while; that it does not become all the machine does, the pause is so many times as long.
const SHARE: u32 = 4;
/// Time for which a file that cannot be decoded may still be being written (proposal).
const GRACE: Duration = Duration::from_secs(10);

/// Bytes and time of the last change.
type Stamp = (Option<u64>, Option<u64>);

/// Files that could not be decoded, and when that was first so.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfinished(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    since: HashMap<u64, Instant>,
    again: Vec<(PathBuf, u64)>,
}

impl Unfinished {
    /// Whether a file is to be tried again; it has no row then.
    pub(super) fn put_off(&self, path: &Path, key: u64) -> bool {
        let Ok(mut waiting) = self.0.lock() else {
            return false;
        };
        let since = *waiting.since.entry(key).or_insert_with(Instant::now);
        if since.elapsed() >= GRACE {
            waiting.since.remove(&key);
            return false;
        }
        waiting.again.push((path.to_path_buf(), key));
        true
    }

    fn take(&self) -> Vec<(PathBuf, u64)> {
        self.0
            .lock()
            .map(|mut waiting| std::mem::take(&mut waiting.again))
            .unwrap_or_default()
    }
}

/// A folder to be watched.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) folder: PathBuf,
    pub(super) unfinished: Unfinished,
}

impl Watch {
    /// Gives out files as they become whole, until a signal.
    pub(super) fn run(self, feeder: &mut Feeder) {
        let root: Arc<Path> = self.folder.as_path().into();
        let mut before: HashMap<PathBuf, Stamp> = HashMap::new();
        let mut given: HashMap<PathBuf, Stamp> = HashMap::new();
        let mut files: HashMap<(u64, u64, Stamp), PathBuf> = HashMap::new();
        let mut is_missing = false;
        while !feeder.is_stopped() {
            for (path, key) in self.unfinished.take() {
                given.remove(&path);
                feeder.forget(key);
            }
            let began = Instant::now();
            match image_files(&self.folder) {
                Ok((images, _)) => {
                    is_missing = false;
                    let mut now = HashMap::with_capacity(images.len());
                    for path in images {
                        // One that went meanwhile was renamed, and is found under its new name.
                        let Ok(data) = fs::metadata(&path) else { continue };
                        let seen = stamp(&data);
                        let is_whole = before.get(&path) == Some(&seen) && given.get(&path) != Some(&seen);
                        now.insert(path.clone(), seen);
                        if !is_whole {
                            continue;
                        }
                        given.insert(path.clone(), seen);
                        if let Some(id) = identity(&data) {
                            let earlier = files.insert((id.0, id.1, seen), path.clone());
                            if let Some(earlier) =
                                earlier.filter(|earlier| *earlier != path && !earlier.exists())
                            {
                                log::info!("{}: was {}, which is scored", path.display(), earlier.display());
                                continue;
                            }
                        }
                        let input = Input {
                            path,
                            root: Some(Arc::clone(&root)),
                            watched: true,
                        };
                        if let Err(Ended) = feeder.give(input) {
                            return;
                        }
                    }
                    given.retain(|path, _| now.contains_key(path));
                    before = now;
                }
                Err(fault) if !is_missing => {
                    is_missing = true;
                    log::warn!("{fault}; waiting for it");
                }
                Err(_) => {}
            }
            let pause = PAUSE.max(began.elapsed() * SHARE);
            let until = Instant::now() + pause;
            while Instant::now() < until && !feeder.is_stopped() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

/// What a file keeps when it is renamed.
#[cfg(unix)]
fn identity(data: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Some((data.dev(), data.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}
