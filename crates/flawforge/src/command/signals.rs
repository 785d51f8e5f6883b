//! Signals that end a command in order: the first one is heard and the work in hand is finished, a later one ends at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::exit;

/// What a shell adds to the number of a signal for the exit code of a command that it ended.
const BY_SIGNAL: i32 = 128;

/// Time after the first signal in which others are the same one: `timeout` sends one to the command and one to its group
/// (proposal).
const SAME: Duration = Duration::from_secs(1);
/// Time between two looks whether another one came.
const PAUSE: Duration = Duration::from_millis(50);

/// Signals that are listened to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    heard: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Listens to INT, TERM and HUP from now on; what whoever started this command has it ignore (`nohup`, `&` in a script)
    /// stays ignored.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn listen() -> Result<Self> {
        let signals = Self::default();
        let came = Arc::new(AtomicBool::new(false));
        for signal in watched().into_iter().filter(|signal| !is_ignored(*signal)) {
            let number = usize::try_from(signal).unwrap_or(0);
            flag::register_usize(signal, Arc::clone(&signals.which), number)
                .and_then(|_| flag::register(signal, Arc::clone(&signals.heard)))
                .and_then(|_| flag::register(signal, Arc::clone(&came)))
                .context("signals cannot be listened to")?;
        }
        let which = Arc::clone(&signals.which);
        let listen = move || {
            let mut first: Option<Instant> = None;
            loop {
                thread::sleep(PAUSE);
                if !came.swap(false, Ordering::Relaxed) {
                    continue;
                }
                match first {
                    None => first = Some(Instant::now()),
                    Some(first) if first.elapsed() < SAME => {}
                    Some(_) => exit(exit_code(&which)),
                }
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)
            .context("a thread that listens to signals")?;
        Ok(signals)
    }

    /// Whether one was heard.
    pub(crate) fn heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Set when one is heard.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.heard)
    }

    /// The exit code of a command that one has ended: 130 for INT, 143 for TERM, 129 for HUP.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(u8::try_from(exit_code(&self.which)).unwrap_or(u8::MAX))
    }
}

fn exit_code(which: &AtomicUsize) -> i32 {
    let number = which.load(Ordering::Relaxed);
    BY_SIGNAL + i32::try_from(number).unwrap_or(0)
}

#[cfg(unix)]
fn watched() -> Vec<i32> {
    vec![SIGINT, SIGTERM, signal_hook::consts::SIGHUP]
}

#[cfg(not(unix))]
fn watched() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the new action is null, so nothing is changed, and the old one is written into a struct of that very type, of which
    // all zeros are a valid value.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

#[cfg(not(unix))]
fn is_ignored(_: i32) -> bool {
    false
}
