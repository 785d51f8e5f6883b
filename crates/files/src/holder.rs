//! Who holds a claim, as the claim's file says it, and whether that process still lives.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

/// A process that holds a claim, or held it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// `process 12 on host (work)`: for people.
    pub(crate) who: String,
    /// Random, so that no two claims are taken for the same.
    pub(crate) token: String,
    /// The name of the host; another machine may have the same.
    host: String,
    process: u32,
    /// The running system and its space of process numbers; nothing where the system does not say.
    machine: Option<String>,
    /// When the process began, in ticks of the system: numbers of processes are used again.
    began: Option<u64>,
}

/// The name of this machine.
pub fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

impl Holder {
    /// This process, with a token of its own.
    pub(crate) fn here(work: &str) -> Self {
        let host = host();
        let process = std::process::id();
        Self {
            who: format!("process {process} on {host} ({work})"),
            token: format!("{:016x}", RandomState::new().build_hasher().finish()),
            host,
            process,
            machine: machine(),
            began: began(process).ok().flatten(),
        }
    }

    /// The text of the claim's file: a line for people, a line for programs.
    pub(crate) fn text(&self) -> String {
        let began = self.began.map(|ticks| ticks.to_string());
        format!(
            "{}\nclaim {} process {} machine {} began {} host {}\n",
            self.who,
            self.token,
            self.process,
            self.machine.as_deref().unwrap_or("-"),
            began.as_deref().unwrap_or("-"),
            self.host,
        )
    }

    /// Reads [`text`](Self::text); `None` for what an earlier version wrote, or what is not whole yet.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if !text.ends_with('\n') {
            return None;
        }
        let mut lines = text.lines();
        let who = lines.next()?.to_owned();
        let (fields, host) = lines.next()?.split_once(" host ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let [
            "claim",
            token,
            "process",
            process,
            "machine",
            machine,
            "began",
            began,
        ] = fields[..]
        else {
            return None;
        };
        let known = |text: &str| (text != "-").then(|| text.to_owned());
        Some(Self {
            who,
            token: token.to_owned(),
            host: host.to_owned(),
            process: process.parse().ok()?,
            machine: known(machine),
            began: known(began).and_then(|ticks| ticks.parse().ok()),
        })
    }

    /// Whether the process lives, where this machine can tell: it is one of its own processes, and `file` is this user's, whose
    /// processes are not hidden.
    pub(crate) fn lives(&self, file: &Path) -> Option<bool> {
        let machine = self.machine.as_ref()?;
        if Some(machine) != self::machine().as_ref() {
            return None;
        }
        match began(self.process) {
            Ok(now) => Some(now.is_some() && (self.began.is_none() || now == self.began)),
            Err(_) if is_ours(file) => Some(false),
            Err(_) => None,
        }
    }

    /// Whether the system alone knows whether the process lives: no machine is named, and the host is this one.
    pub(crate) fn is_a_neighbor(&self) -> bool {
        self.machine.is_none() && host() == self.host
    }

    /// Whether other processes can tell whether this one lives.
    pub(crate) fn is_known(&self) -> bool {
        self.machine.is_some() && self.began.is_some()
    }
}

/// The running system (it has another number after each start) and the space of process numbers; Linux alone says both.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), space.to_string_lossy()))
}

/// When a process began; `None` if it has ended and only waits for its parent to notice.
fn began(process: u32) -> std::io::Result<Option<u64>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may hold anything; state is the first field behind it, the beginning the twentieth.
    let fields: Vec<&str> = match text.rsplit_once(')') {
        Some((_, behind)) => behind.split_whitespace().collect(),
        None => Vec::new(),
    };
    let ended = fields.first().is_none_or(|state| ["Z", "X", "x"].contains(state));
    let ticks = fields.get(19).and_then(|ticks| ticks.parse().ok());
    Ok(ticks.filter(|_| !ended))
}

/// Whether a file is this process's user's.
#[cfg(unix)]
fn is_ours(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = |path: &Path| fs::metadata(path).map(|data| data.uid()).ok();
    user(file).is_some() && user(file) == user(Path::new("/proc/self"))
}

#[cfg(not(unix))]
fn is_ours(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let here = Holder::here("train");
        assert_eq!(Holder::read(&here.text()), Some(here.clone()));
        assert_ne!(Holder::here("train").token, here.token);
        let text = here.text();
        for cut in 0..text.len() {
            assert_eq!(Holder::read(&text[..cut]), None, "{cut}");
        }
        assert_eq!(Holder::read("process 1 on elsewhere (train)"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn processes_of_this_machine_are_known() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let here = Holder::here("train");
        assert_eq!(here.lives(file.path()), Some(true));
        let later = Holder {
            began: here.began.map(|ticks| ticks + 1),
            ..here.clone()
        };
        assert_eq!(later.lives(file.path()), Some(false), "the number is used again");
        let elsewhere = Holder {
            machine: Some("another".to_owned()),
            ..here.clone()
        };
        assert_eq!(elsewhere.lives(file.path()), None);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let held = Holder {
            process: child.id(),
            began: began(child.id()).expect("it runs"),
            ..here
        };
        assert_eq!(held.lives(file.path()), Some(true));
        child.kill().expect("killed");
        // Until it is waited for, its entry stays.
        while held.lives(file.path()) == Some(true) {
            std::thread::yield_now();
        }
        child.wait().expect("waited for");
        assert_eq!(held.lives(file.path()), Some(false));
    }
}
