//! One process at a time in a folder, and who it is, also where processes of several machines share the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::at;
use crate::claim::{self, Claim, Lease, Seen, Taken};
use crate::holder::Holder;

/// The file that says who is there, hidden, so that nobody takes it for data.
const NAME: &str = ".lock";

/// How often a holder shows that it lives, and how long one of another machine may be silent (proposals): a server of files that
/// pauses for less loses nobody's work.
const LEASE: Lease = Lease {
    beat: Duration::from_secs(5),
    stale: STALE,
};

/// So long after its last sign of life a process of another machine is taken for gone. One of this machine is gone when it is.
pub const STALE: Duration = Duration::from_secs(60);

/// A folder that this process has for itself, until this is dropped or the process ends in whatever way: a dead process is never
/// in the way of others of its machine, and in that of other machines for [`STALE`].
#[derive(Debug)]
pub struct Occupied {
    /// Nothing once it is given back.
    claim: Arc<Mutex<Option<Claim>>>,
    lost: Arc<AtomicBool>,
    /// The end of the thread that shows signs of life.
    beating: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Occupied {
    /// Whether another process has taken the folder over, because this one showed no sign of life for [`STALE`]: it was suspended,
    /// or cut off from the files. Nothing may be written there any more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Gives the folder back now, for a process that ends without dropping what it has.
    pub fn give_back(&self) {
        // Locked until it is done: whoever else wants to give it back, and then to end the process, waits.
        let mut held = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = held.take().filter(|_| !self.is_lost()) {
            claim.release(LEASE);
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.beating.take() {
            drop(end);
            // It panics nowhere, and if it did, the folder would be given back all the same. It may be the one that drops this.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
        self.give_back();
    }
}

/// Takes a folder, which must exist, for this process alone. `work` says in a word or two what it does there.
///
/// No lock of the file system is trusted: the folder may lie on NFS. While this lives, a thread shows every few seconds that the
/// process does.
///
/// # Errors
/// [`io::ErrorKind::ResourceBusy`] where another process has it; the text names the folder, the process, its host and its work.
/// Otherwise what the system says.
pub fn occupy(folder: &Path, work: &str) -> io::Result<Occupied> {
    occupy_or(folder, work, |_| {})
}

/// As [`occupy`]; should another process take the folder over, `lost` is called at once with who it is, by another thread.
///
/// # Errors
/// As [`occupy`].
pub fn occupy_or(
    folder: &Path,
    work: &str,
    lost: impl FnOnce(&str) + Send + 'static,
) -> io::Result<Occupied> {
    occupy_with(folder, NAME, work, LEASE, lost)
}

/// As [`occupy`], of one thing in a folder that many share, by its name: others may be at work on other things there.
///
/// # Errors
/// As [`occupy`].
pub fn occupy_part(folder: &Path, part: &str, work: &str) -> io::Result<Occupied> {
    occupy_with(folder, &format!(".{part}{NAME}"), work, LEASE, |_| {})
}

fn occupy_with(
    folder: &Path,
    name: &str,
    work: &str,
    lease: Lease,
    lost: impl FnOnce(&str) + Send + 'static,
) -> io::Result<Occupied> {
    let path = folder.join(name);
    let taken = claim::take(&path, &Holder::here(work), lease);
    let claim = match taken.map_err(|fault| without_name(folder, &fault))? {
        Taken::Ours(claim) => Arc::new(Mutex::new(Some(claim))),
        Taken::Theirs(seen) => return Err(busy(folder, &path, &seen)),
    };
    let mut occupied = Occupied {
        claim: Arc::clone(&claim),
        lost: Arc::new(AtomicBool::new(false)),
        beating: None,
    };
    let (end, ended) = mpsc::channel::<()>();
    let is_lost = Arc::clone(&occupied.lost);
    let beat = move || {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(lease.beat) {
            let mut claim = claim.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(other) = claim.as_mut().and_then(Claim::beat) else {
                continue;
            };
            is_lost.store(true, Ordering::Relaxed);
            drop(claim);
            return lost(&other);
        }
    };
    let thread = thread::Builder::new()
        .name("sign of life".to_owned())
        .spawn(beat)
        .map_err(|fault| at(folder, fault))?;
    occupied.beating = Some((end, thread));
    Ok(occupied)
}

/// Whether [`occupy`] would find another process in a folder, which need not exist; nothing is left there.
///
/// # Errors
/// As [`occupy`] for a folder that is taken. A claim that cannot be read is none.
pub fn check_free(folder: &Path) -> io::Result<()> {
    match seen(folder) {
        Some((path, seen)) if seen.is_held(&path, LEASE) => Err(busy(folder, &path, &seen)),
        _ => Ok(()),
    }
}

/// Who was at work in a folder and is gone without having given it back, in words; `None` also while somebody is there.
pub fn abandoned_by(folder: &Path) -> Option<String> {
    let (path, seen) = seen(folder)?;
    (!seen.is_held(&path, LEASE)).then(|| seen.who())
}

fn seen(folder: &Path) -> Option<(PathBuf, Seen)> {
    let path = folder.join(NAME);
    let seen = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
    let seen = seen.and_then(|_| Seen::at(&path).ok().flatten())?;
    Some((path, seen))
}

fn busy(folder: &Path, path: &Path, seen: &Seen) -> io::Error {
    let mut text = format!("{}: {} is at work there", folder.display(), seen.who());
    let age = seen.age(path);
    if age > 2 * LEASE.beat {
        text.push_str(&format!(
            "; its last sign of life is {} s old (one of another machine is taken for gone after {} s)",
            age.as_secs(),
            STALE.as_secs()
        ));
    }
    io::Error::new(io::ErrorKind::ResourceBusy, text)
}

/// The error with the folder's name, which the user knows, and not that of the hidden file.
fn without_name(folder: &Path, fault: &io::Error) -> io::Error {
    // The kind alone would not always say what it is: an input/output error has none. `tempfile` writes the system's words, and its own
    // path behind them.
    let nameless = match (fault.raw_os_error(), fault.to_string().split_once(" at path \"")) {
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, Some((words, _))) => io::Error::new(fault.kind(), words),
        (None, None) => io::Error::new(fault.kind(), fault.kind().to_string()),
    };
    at(folder, nameless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_quoted_whoever_wraps_its_error() {
        let folder = Path::new("runs/part");
        let wrapped = tempfile::tempfile_in("/no/such/folder").unwrap_err();
        let hidden = tempfile::Builder::new()
            .prefix(".claim")
            .tempfile_in("/no/such/folder");
        let system = io::Error::from_raw_os_error(5);
        for fault in [wrapped, hidden.unwrap_err(), system] {
            let words = match fault.kind() {
                io::ErrorKind::NotFound => io::Error::from_raw_os_error(2).to_string(),
                _ => io::Error::from_raw_os_error(5).to_string(),
            };
            assert_eq!(
                without_name(folder, &fault).to_string(),
                format!("runs/part: {words}")
            );
        }
    }

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
        assert_eq!(abandoned_by(dir.path()), None);
        drop(first);
        check_free(dir.path()).expect("free");
        drop(occupy(dir.path(), "predict").expect("free"));
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
        // What a killed process of an earlier version left behind.
        fs::write(dir.path().join(NAME), b"process 1 on elsewhere (train)").expect("written");
        let gone = abandoned_by(dir.path());
        assert_eq!(gone.as_deref(), Some("process 1 on elsewhere (train)"));
        occupy(dir.path(), "predict").expect("free");
    }

    #[test]
    fn parts_of_a_folder_are_taken_one_by_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = occupy_part(dir.path(), "some", "download").expect("free");
        let text = occupy_part(dir.path(), "some", "download")
            .expect_err("taken")
            .to_string();
        let process = format!("process {} on ", std::process::id());
        assert!(
            text.contains(&process) && text.contains("(download) is at work there"),
            "{text}"
        );
        occupy_part(dir.path(), "other", "download").expect("free");
        occupy(dir.path(), "train").expect("free");
        drop(first);
        occupy_part(dir.path(), "some", "download").expect("free");
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
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

    #[test]
    fn a_holder_shows_signs_of_life_and_hears_of_a_successor() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lease = Lease {
            beat: Duration::from_millis(20),
            stale: Duration::from_millis(1500),
        };
        let (tell, told) = mpsc::channel();
        let lost = move |who: &str| tell.send(who.to_owned()).expect("somebody listens");
        let occupied = occupy_with(dir.path(), NAME, "train", lease, lost).expect("free");
        let path = dir.path().join(NAME);
        thread::sleep(2 * lease.stale);
        let seen = Seen::at(&path).expect("read").expect("there");
        assert!(seen.age(&path) < lease.stale && !occupied.is_lost());
        let other = "process 7 on elsewhere (train)\nclaim aa process 7 machine m began 5 host elsewhere\n";
        crate::write(&path, other.as_bytes()).expect("written");
        let who = told.recv_timeout(Duration::from_secs(20)).expect("it hears");
        assert_eq!(who, "process 7 on elsewhere (train)");
        assert!(occupied.is_lost());
        drop(occupied);
        assert_eq!(fs::read_to_string(&path).expect("left alone"), other);
    }
}
