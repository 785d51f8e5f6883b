//! Runs that are replaced on disk: loaded beside the one in use, which goes on until the new one is whole.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flawforge_training::RunFiles;

use crate::app::App;
use crate::runs::Entry;
use crate::served::Served;

/// Time between two looks whether the server has ended.
const PAUSE: Duration = Duration::from_millis(50);

/// The files of a run as they are: bytes, time of the last change, number of the file; nothing for those that are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp(Vec<Option<(u64, Option<SystemTime>, u64)>>);

impl Stamp {
    /// Of the files that a run at this path is read from.
    pub(crate) fn of(path: &Path) -> Self {
        let files = RunFiles::new(path);
        let of_file = |path: &Path| {
            let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
            Some((data.len(), data.modified().ok(), number(&data)))
        };
        Self(vec![
            of_file(path),
            of_file(&files.checkpoint()),
            of_file(&files.model()),
        ])
    }
}

#[cfg(unix)]
fn number(data: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(data)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}

/// What is known of the files of a run.
struct Watched {
    /// As they were when they were read last, whatever came of it.
    read: Stamp,
    /// As they were at the last look, if that was otherwise: one more look tells whether they are still being written.
    changed: Option<Stamp>,
}

impl Watched {
    /// Whether the files are to be read again.
    fn look(&mut self, now: Stamp) -> bool {
        if now == self.read {
            self.changed = None;
            return false;
        }
        if self.changed.as_ref() != Some(&now) {
            self.changed = Some(now);
            return false;
        }
        self.read = now;
        self.changed = None;
        true
    }
}

/// Looks at all runs until the server has ended.
pub(crate) fn watch(app: &Arc<App>) {
    let mut watched: Vec<Watched> = app
        .runs
        .all()
        .iter()
        .map(|entry| Watched {
            read: entry.stamp.clone(),
            changed: None,
        })
        .collect();
    loop {
        let next = Instant::now() + app.settings.look;
        while Instant::now() < next {
            if app.drain.is_ending() {
                return;
            }
            thread::sleep(PAUSE.min(app.settings.look));
        }
        for (entry, watched) in app.runs.all().iter().zip(&mut watched) {
            if watched.look(Stamp::of(&entry.source.path)) {
                reload(app, entry);
            }
        }
    }
}

fn reload(app: &App, entry: &Entry) {
    let (name, path) = (&entry.source.name, entry.source.path.display());
    let opened = catch_unwind(AssertUnwindSafe(|| Served::open(&entry.source)))
        .unwrap_or_else(|_| Err("loading it failed".to_owned()));
    let earlier = entry.served();
    match opened {
        Ok(new) if earlier.judges() && !new.judges() => {
            entry.keep();
            app.metrics.reloaded(name, false);
            log::error!(
                "run {name}: {path} was replaced by one that gives no verdicts (its training may not be finished): the earlier one goes on"
            );
        }
        Ok(new) => {
            let same = new.facts.identity() == earlier.facts.identity();
            entry.replace(new);
            app.metrics.reloaded(name, true);
            let what = if same { "the same weights" } else { "other weights" };
            log::info!("run {name}: {path} was replaced, with {what}; it is served from now on");
        }
        Err(fault) => {
            entry.keep();
            app.metrics.reloaded(name, false);
            log::error!(
                "run {name}: {path} was replaced and cannot be served: {fault}; the earlier one goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_when_they_have_changed_and_rest() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("checkpoint.safetensors");
        fs::write(&file, "one").unwrap();
        let stamp = || Stamp::of(dir.path());
        let mut watched = Watched {
            read: stamp(),
            changed: None,
        };
        assert!(!watched.look(stamp()));
        fs::write(&file, "longer").unwrap();
        assert!(!watched.look(stamp()), "it may be being written");
        fs::write(&file, "longer still").unwrap();
        assert!(!watched.look(stamp()));
        assert!(watched.look(stamp()));
        assert!(!watched.look(stamp()), "broken or not, it was read");
        let there = stamp();
        fs::remove_file(&file).unwrap();
        assert_ne!(there, stamp());
        assert!(!watched.look(stamp()) && watched.look(stamp()));
    }
}
