//! A claim: a file that one process makes, keeps fresh and removes. It needs no locks of the file system, only that a file is made
//! by one alone (`O_EXCL`) and that a rename is atomic, which holds on NFS too.
//!
//! ```text
//! PATH          who holds it; written again every few seconds, so that its time of change is a sign of life
//! PATH-TOKEN    who replaces or removes the claim TOKEN: a short claim of its own, by the same rules
//! ```
//!
//! A claim is another's to take over once its process is gone, where this machine can tell, and otherwise when it has shown no sign
//! of life for long. Clocks of machines are not compared: both times are those that the file system gives to files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::holder::Holder;
use crate::{directory_of, readable, try_lock};

/// How often a claim is written again, and how old it is when it counts as abandoned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    pub(crate) beat: Duration,
    pub(crate) stale: Duration,
}

/// As many times a claim is tried that changes hands meanwhile.
const TRIES: usize = 20;
/// A claim that guards a claim that guards …: as many processes died in the moment of taking over.
const DEEPEST: usize = 3;
/// Longest text that is read of a claim, bytes.
const LONGEST: u64 = 2000;

/// A claim that this process holds.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    file: File,
    holder: Holder,
}

/// What came of trying.
pub(crate) enum Taken {
    Ours(Claim),
    Theirs(Seen),
}

/// A claim as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    text: String,
    holder: Option<Holder>,
    changed: SystemTime,
}

impl Seen {
    /// The claim at a path, if there is one.
    pub(crate) fn at(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let changed = file.metadata()?.modified()?;
        let mut bytes = Vec::new();
        // Where locks keep others from reading, nothing is known but that somebody is there.
        let _ = file.take(LONGEST).read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Some(Self {
            holder: Holder::read(&text),
            text,
            changed,
        }))
    }

    /// Who it is, in words.
    pub(crate) fn who(&self) -> String {
        let said = self.text.lines().next().unwrap_or_default().trim();
        match said.is_empty() {
            true => "another process".to_owned(),
            false => said.to_owned(),
        }
    }

    /// The time since its last sign of life, by the clock of the file system.
    pub(crate) fn age(&self, path: &Path) -> Duration {
        let now = now_in(directory_of(path));
        now.duration_since(self.changed).unwrap_or_default()
    }

    /// Whether somebody holds it; `None` where only the age can tell.
    fn known(&self, path: &Path) -> Option<bool> {
        match &self.holder {
            Some(holder) if holder.is_a_neighbor() => Some(is_locked(path)),
            Some(holder) => holder.lives(path),
            // An earlier version's, which locked the file as long as it lived.
            None if self.text.starts_with("process ") && self.text.ends_with(')') => Some(is_locked(path)),
            // Made a moment ago and not written yet, or written by who knows whom.
            None => None,
        }
    }

    /// Whether somebody holds it.
    pub(crate) fn is_held(&self, path: &Path, lease: Lease) -> bool {
        self.known(path).unwrap_or_else(|| self.age(path) < lease.stale)
    }

    fn token(&self) -> &str {
        self.holder.as_ref().map_or("unnamed", |holder| &holder.token)
    }
}

/// Takes the claim at a path, whose folder must exist.
///
/// # Errors
/// What the system says.
pub(crate) fn take(path: &Path, holder: &Holder, lease: Lease) -> io::Result<Taken> {
    let taken = take_at(path, holder, lease, 0)?;
    if matches!(taken, Taken::Ours(_)) {
        remove_unfinished(path);
    }
    Ok(taken)
}

/// Removes what processes left that were killed while they made this claim, or one that guards it. Whoever is making one in this
/// moment finds that it has a holder.
fn remove_unfinished(path: &Path) {
    let begun = unfinished(path);
    for entry in fs::read_dir(directory_of(path)).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begun) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// How the names begin of files that are to become a claim, or one that guards it.
fn unfinished(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!("{}{}", crate::PREFIX, name.to_string_lossy())
}

fn take_at(path: &Path, holder: &Holder, lease: Lease, depth: usize) -> io::Result<Taken> {
    for _ in 0..TRIES {
        if let Some(claim) = Claim::make(path, holder)? {
            return Ok(Taken::Ours(claim));
        }
        let Some(seen) = Seen::at(path)? else {
            continue; // Just given back.
        };
        if seen.is_held(path, lease) || depth == DEEPEST || is_back(path, &seen, lease)? {
            return Ok(Taken::Theirs(seen));
        }
        if let Some(taken) = succeed(path, &seen, holder, lease, depth)? {
            return Ok(taken);
        }
    }
    // It changes hands faster than it can be looked at.
    match Seen::at(path)? {
        Some(seen) => Ok(Taken::Theirs(seen)),
        None => Err(io::Error::from(io::ErrorKind::ResourceBusy)),
    }
}

/// Whether a claim of another machine shows a sign of life after all: a server that answers nobody for a while makes all claims old
/// at once, and gives its holder no chance to be the first.
fn is_back(path: &Path, seen: &Seen, lease: Lease) -> io::Result<bool> {
    if seen.known(path).is_some() {
        return Ok(false);
    }
    thread::sleep(2 * lease.beat);
    Ok(Seen::at(path)?.is_some_and(|now| now != *seen))
}

/// Takes over a claim that nobody holds; `None` if another was quicker. Whoever is taking it over has it as good as taken.
fn succeed(
    path: &Path,
    abandoned: &Seen,
    holder: &Holder,
    lease: Lease,
    depth: usize,
) -> io::Result<Option<Taken>> {
    let guard = match take_at(&guard_of(path, abandoned.token()), holder, lease, depth + 1)? {
        Taken::Ours(guard) => guard,
        theirs => return Ok(Some(theirs)),
    };
    // Whoever holds the guard alone replaces this claim, or removes it.
    let taken = match Seen::at(path) {
        Ok(Some(now)) if now == *abandoned => {
            Claim::replace(path, holder).map(|claim| Some(Taken::Ours(claim)))
        }
        Ok(_) => Ok(None),
        Err(fault) => Err(fault),
    };
    guard.remove_if_ours();
    taken
}

fn guard_of(path: &Path, token: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push("-");
    name.push(token);
    PathBuf::from(name)
}

impl Claim {
    /// Makes the file; `None` if there is one. It appears with its text: whoever is killed while making it leaves no claim of which
    /// nobody knows the holder.
    fn make(path: &Path, holder: &Holder) -> io::Result<Option<Self>> {
        if path.symlink_metadata().is_ok() {
            return Ok(None);
        }
        let made = written(path, holder)?;
        let file = match made.persist_noclobber(path) {
            Ok(file) => file,
            Err(fault) if fault.error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            // A file system without links.
            Err(_) => return Self::make_and_write(path, holder),
        };
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            holder: holder.clone(),
        }))
    }

    /// The same in two steps.
    fn make_and_write(path: &Path, holder: &Holder) -> io::Result<Option<Self>> {
        let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(fault) => return Err(fault),
        };
        if let Err(fault) = fill(&mut file, holder) {
            // Half a claim is in everybody's way.
            let _ = fs::remove_file(path);
            return Err(fault);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file,
            holder: holder.clone(),
        }))
    }

    /// Puts a new file in the place of the old one.
    fn replace(path: &Path, holder: &Holder) -> io::Result<Self> {
        let file = written(path, holder)?
            .persist(path)
            .map_err(|refused| refused.error)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            holder: holder.clone(),
        })
    }

    /// Shows a sign of life. Who holds the claim now, if it is not this process any more.
    pub(crate) fn beat(&mut self) -> Option<String> {
        match Seen::at(&self.path) {
            Ok(Some(seen)) if seen.token() == self.holder.token => {
                // Into the file that was made here: should the claim change hands in this moment, the new one is not touched.
                let _ = fill(&mut self.file, &self.holder);
                None
            }
            Ok(Some(seen)) => Some(seen.who()),
            Ok(None) => Some("nobody (its lock was removed)".to_owned()),
            // A server that does not answer proves nothing.
            Err(_) => None,
        }
    }

    /// Gives the claim back, unless another has taken it over or is about to.
    pub(crate) fn release(self, lease: Lease) {
        let guard = guard_of(&self.path, &self.holder.token);
        // If that fails, the file stays, and this process's end makes it stale.
        if let Ok(Taken::Ours(guard)) = take_at(&guard, &self.holder, lease, 1) {
            self.remove_if_ours();
            guard.remove_if_ours();
        }
    }

    fn remove_if_ours(&self) {
        if let Ok(Some(seen)) = Seen::at(&self.path)
            && seen.token() == self.holder.token
        {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The text of a claim in a file that is not at its path yet.
fn written(path: &Path, holder: &Holder) -> io::Result<NamedTempFile> {
    let name = unfinished(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&name);
    let permissions = readable();
    if let Some(permissions) = &permissions {
        builder.permissions(permissions.clone());
    }
    let mut made = builder.tempfile_in(directory_of(path))?;
    fill(made.as_file_mut(), holder)?;
    Ok(made)
}

/// Writes the text of a claim, through to the server. The text never changes, so half of it is never read after the first time.
fn fill(file: &mut File, holder: &Holder) -> io::Result<()> {
    if !holder.is_known() {
        // Where processes cannot be asked for, the system's lock tells its own that this one lives.
        let _ = file.try_lock();
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(holder.text().as_bytes())?;
    file.sync_data()
}

/// Whether a process of this system has locked a file.
fn is_locked(path: &Path) -> bool {
    for _ in 0..2 {
        match try_lock_there(path) {
            Ok(false) => return false,
            // Somebody who only looks holds the lock for a moment.
            Ok(true) => thread::sleep(Duration::from_millis(60)),
            Err(_) => return false,
        }
    }
    true
}

fn try_lock_there(path: &Path) -> io::Result<bool> {
    match path.is_file() {
        true => Ok(try_lock(path)?.is_none()),
        false => Ok(false),
    }
}

/// The time by which the file system of a folder stamps files.
fn now_in(folder: &Path) -> SystemTime {
    let stamped = || -> io::Result<SystemTime> {
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(b".")?;
        file.sync_data()?;
        file.metadata()?.modified()
    };
    // A folder that cannot be written to is only looked at.
    stamped().unwrap_or_else(|_| SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const QUICK: Lease = Lease {
        beat: Duration::from_millis(20),
        stale: Duration::from_millis(1500),
    };

    fn ours(taken: io::Result<Taken>) -> Option<Claim> {
        match taken.expect("no fault") {
            Taken::Ours(claim) => Some(claim),
            Taken::Theirs(_) => None,
        }
    }

    /// What a process of another machine left.
    fn foreign(token: &str) -> String {
        format!(
            "process 7 on elsewhere (training)\nclaim {token} process 7 machine another/pid:[1] began 5 host elsewhere\n"
        )
    }

    #[test]
    fn a_claim_of_another_machine_is_taken_over_when_it_is_old() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("claim");
        fs::write(&path, foreign("aa")).expect("written");
        let here = Holder::here("training");
        assert!(ours(take(&path, &here, QUICK)).is_none(), "it is fresh");
        // As long as it beats, it stays.
        for _ in 0..4 {
            thread::sleep(QUICK.stale / 3);
            fs::write(&path, foreign("aa")).expect("written");
            assert!(ours(take(&path, &here, QUICK)).is_none(), "it beats");
        }
        thread::sleep(QUICK.stale + 5 * QUICK.beat);
        let mut claim = ours(take(&path, &here, QUICK)).expect("it is old");
        assert_eq!(claim.beat(), None);
        claim.release(QUICK);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    }

    #[test]
    fn one_alone_takes_over() {
        for _ in 0..6 {
            let dir = tempfile::tempdir().expect("a temporary folder");
            let path = dir.path().join("claim");
            fs::write(&path, foreign("aa")).expect("written");
            // The clock of files ticks in steps: a little longer, so that the claim is old for certain.
            thread::sleep(QUICK.stale + 5 * QUICK.beat);
            let won = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let claim = ours(take(&path, &Holder::here("training"), QUICK));
                        won.fetch_add(usize::from(claim.is_some()), Ordering::Relaxed);
                    });
                }
            });
            assert_eq!(won.into_inner(), 1);
        }
    }

    #[test]
    fn what_was_begun_of_a_claim_goes_with_the_next() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("claim");
        let begun = dir.path().join(format!("{}-x", unfinished(&path)));
        let other = dir.path().join(format!("{}x", crate::PREFIX));
        for file in [&begun, &other] {
            fs::write(file, "").expect("written");
        }
        let claim = ours(take(&path, &Holder::here("training"), QUICK)).expect("free");
        assert!(!begun.exists() && other.exists());
        assert!(ours(take(&path, &Holder::here("training"), QUICK)).is_none());
        claim.release(QUICK);
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
    }

    #[test]
    fn a_claim_that_was_taken_over_is_lost_and_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("claim");
        let mut claim = ours(take(&path, &Holder::here("training"), QUICK)).expect("free");
        let text = foreign("bb");
        let other = dir.path().join("other");
        fs::write(&other, &text).expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(claim.beat().as_deref(), Some("process 7 on elsewhere (training)"));
        claim.release(QUICK);
        assert_eq!(fs::read_to_string(&path).expect("there"), text);
    }

    #[test]
    fn whoever_died_while_taking_over_is_in_nobodys_way() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("claim");
        fs::write(&path, foreign("aa")).expect("written");
        fs::write(dir.path().join("claim-aa"), foreign("bb")).expect("written");
        thread::sleep(QUICK.stale);
        // A claim that was made and never written is old some time too.
        fs::write(dir.path().join("claim-aa-bb"), b"").expect("written");
        assert!(ours(take(&path, &Holder::here("training"), QUICK)).is_none());
        thread::sleep(QUICK.stale);
        let claim = ours(take(&path, &Holder::here("training"), QUICK)).expect("all are gone");
        claim.release(QUICK);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 0);
    }

    #[test]
    fn without_numbers_of_processes_the_systems_lock_tells() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("claim");
        let host = gethostname::gethostname();
        let text = format!(
            "process 7 on here (training)\nclaim aa process 7 machine - began - host {}\n",
            host.to_string_lossy()
        );
        fs::write(&path, text).expect("written");
        let locked = try_lock(&path).expect("opened").expect("free");
        let seen = Seen::at(&path).expect("read").expect("there");
        assert!(seen.is_held(&path, QUICK));
        drop(locked);
        assert!(!seen.is_held(&path, QUICK));
    }
}
