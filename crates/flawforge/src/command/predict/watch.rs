//! A folder that is watched: files are scored as they come, until a signal.
//!
//! The folder is looked at once a second. Notices of the system would come sooner, but they are lost on network shares and where
//! too many come at once, and they say when a file was begun, not when it is whole. A file is taken when it is the same in two
//! looks; one that cannot be decoded then is tried again for ten seconds, as long as it stays the same, before its row says so: a
//! camera may pause in the middle of a file. A file that changes later, or is renamed over another, is a new input, whose pictures
//! have a name of their own.
//!
//! Memory is bounded: by the files in the folder, and for those that went by numbers ([`REMEMBERED`](super::seen::REMEMBERED), `GONE`).

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use flawforge::datasets::{Why, images_to_score, path_text};

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

/// Renamed files that are remembered after they went.
const GONE: usize = 10_000;

/// Files that have no row yet: those that could not be decoded, and those that a last look found changing.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfinished(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// Files that could not be decoded: as which input, and since when.
    since: HashMap<PathBuf, (u64, Instant)>,
    again: Vec<Again>,
    /// Files that are not known to be whole.
    changing: Vec<PathBuf>,
}

/// An input that is to be tried again.
#[derive(Debug)]
struct Again {
    path: PathBuf,
    key: u64,
    name: String,
}

impl Unfinished {
    /// Whether a file is to be tried again; it has no row then.
    pub(super) fn put_off(&self, path: &Path, key: u64, name: &str) -> bool {
        let Ok(mut waiting) = self.0.lock() else {
            return false;
        };
        let now = Instant::now();
        let since = waiting.since.entry(path.to_path_buf()).or_insert((key, now));
        if since.0 != key {
            *since = (key, now);
        }
        if since.1.elapsed() >= GRACE {
            return false;
        }
        waiting.again.push(Again {
            path: path.to_path_buf(),
            key,
            name: name.to_owned(),
        });
        true
    }

    /// A file has its row.
    pub(super) fn done(&self, path: &Path) {
        if let Ok(mut waiting) = self.0.lock() {
            waiting.since.remove(path);
        }
    }

    fn take(&self) -> Vec<Again> {
        let waiting = self.0.lock();
        waiting
            .map(|mut waiting| std::mem::take(&mut waiting.again))
            .unwrap_or_default()
    }

    /// After each look: which files are there, and which of them change.
    fn look(&self, is_there: impl Fn(&Path) -> bool, changing: Vec<PathBuf>) {
        if let Ok(mut waiting) = self.0.lock() {
            waiting.since.retain(|path, _| is_there(path));
            waiting.changing = changing;
        }
    }

    /// At the end: what has no row, if anything.
    pub(super) fn said(&self) -> Option<String> {
        let waiting = self.0.lock().ok()?;
        let mut paths: Vec<&PathBuf> = waiting.since.keys().chain(&waiting.changing).collect();
        paths.sort_unstable();
        paths.dedup();
        let shown: Vec<String> = paths.iter().take(SHOWN).map(|path| path_text(path)).collect();
        let more = if paths.len() > SHOWN { ", ..." } else { "" };
        (!paths.is_empty()).then(|| {
            let (files, they) = match paths.len() {
                1 => ("1 file has".to_owned(), "it"),
                count => (format!("{count} files have"), "they"),
            };
            let shown = shown.join(", ");
            format!("{files} no row, because {they} could not be decoded yet or still changed: {shown}{more}")
        })
    }
}

/// Files without a row that are named at the end.
const SHOWN: usize = 20;

/// A folder to be watched.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) folder: PathBuf,
    pub(super) unfinished: Unfinished,
}

impl Watch {
    /// Gives out files as they become whole, until a signal.
    pub(super) fn run(self, feeder: &mut Feeder) {
        let mut looks = Looks {
            root: self.folder.as_path().into(),
            before: HashMap::new(),
            given: HashMap::new(),
            files: HashMap::new(),
        };
        let mut is_missing = false;
        let mut passed_over = false;
        while !feeder.is_stopped() {
            for Again { path, key, name } in self.unfinished.take() {
                looks.given.remove(&path);
                feeder.forget(key, &name);
            }
            let began = Instant::now();
            match images_to_score(&self.folder) {
                Ok((images, inventory)) => {
                    is_missing = false;
                    // Said once, and not for each file that is still being written under another name.
                    if inventory.count(Why::Mask) > 0 && !passed_over {
                        passed_over = true;
                        let passed = inventory.line().unwrap_or_default();
                        log::info!("{}: passed over: {passed}", self.folder.display());
                    }
                    if let Err(Ended) = looks.look(images, feeder) {
                        return;
                    }
                    self.unfinished
                        .look(|path| looks.before.contains_key(path), looks.changing());
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

/// What looks into a folder have found. What is remembered of files that went is bounded.
struct Looks {
    root: Arc<Path>,
    /// The files of the last look.
    before: HashMap<PathBuf, Stamp>,
    /// Those that were given out.
    given: HashMap<PathBuf, Stamp>,
    /// By what they keep when they are renamed; also some that went.
    files: HashMap<(u64, u64, Stamp), PathBuf>,
}

impl Looks {
    /// Gives out what is whole.
    fn look(&mut self, images: Vec<PathBuf>, feeder: &mut Feeder) -> Result<(), Ended> {
        let mut now = HashMap::with_capacity(images.len());
        for path in images {
            // One that went meanwhile was renamed, and is found under its new name.
            let Ok(data) = fs::metadata(&path) else { continue };
            let seen = stamp(&data);
            let is_whole = self.before.get(&path) == Some(&seen) && self.given.get(&path) != Some(&seen);
            now.insert(path.clone(), seen);
            if !is_whole {
                continue;
            }
            self.given.insert(path.clone(), seen);
            if let Some(earlier) = self.renamed(&path, &data, seen) {
                log::info!("{}: was {}, which is scored", path.display(), earlier.display());
                continue;
            }
            let input = Input {
                path,
                root: Some(Arc::clone(&self.root)),
                watched: true,
                listed: false,
            };
            feeder.give(input)?;
        }
        self.given.retain(|path, _| now.contains_key(path));
        if self.files.len() > now.len() + GONE {
            self.files.retain(|_, path| now.contains_key(path));
        }
        self.before = now;
        Ok(())
    }

    /// The name that a file had before, if it was given out under that.
    fn renamed(&mut self, path: &Path, data: &Metadata, seen: Stamp) -> Option<PathBuf> {
        let (device, number) = identity(data)?;
        let earlier = self.files.insert((device, number, seen), path.to_path_buf())?;
        (earlier != path && !earlier.exists()).then_some(earlier)
    }

    /// Files of the last look that are not given out as they are.
    fn changing(&self) -> Vec<PathBuf> {
        let files = self.before.iter();
        let changing = files.filter(|(path, seen)| self.given.get(*path) != Some(*seen));
        changing.map(|(path, _)| path.clone()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_row_is_named_until_it_has_one() {
        let unfinished = Unfinished::default();
        assert_eq!(unfinished.said(), None);
        assert!(unfinished.put_off(Path::new("half.png"), 1, "half"));
        assert!(
            unfinished.put_off(Path::new("half.png"), 2, "half"),
            "it has changed"
        );
        unfinished.look(|_| true, vec!["new.png".into(), "half.png".into()]);
        assert_eq!(
            unfinished.said().as_deref(),
            Some(
                "2 files have no row, because they could not be decoded yet or still changed: half.png, new.png"
            )
        );
        assert_eq!(unfinished.take().len(), 2);
        unfinished.done(Path::new("half.png"));
        unfinished.look(|_| true, Vec::new());
        assert_eq!(unfinished.said(), None);
        // One that went is not waited for.
        assert!(unfinished.put_off(Path::new("gone.png"), 3, "gone"));
        unfinished.look(|_| false, Vec::new());
        assert_eq!(unfinished.said(), None);
    }
}
