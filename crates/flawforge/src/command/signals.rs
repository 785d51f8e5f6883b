//! Signals that end a command in order: the first one is heard and the work in hand is finished, the second ends at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell adds to the number of a signal for the exit code of a command that it ended.
const BY_SIGNAL: i32 = 128;

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
        for signal in watched().into_iter().filter(|signal| !is_ignored(*signal)) {
            let heard = || Arc::clone(&signals.heard);
            // In this order: the first signal finds nothing heard, and only marks it.
            flag::register_conditional_shutdown(signal, BY_SIGNAL + signal, heard())
                .and_then(|_| {
                    flag::register_usize(
                        signal,
                        Arc::clone(&signals.which),
                        usize::try_from(signal).unwrap_or(0),
                    )
                })
                .and_then(|_| flag::register(signal, heard()))
                .context("signals cannot be listened to")?;
        }
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
        let code = BY_SIGNAL as usize + self.which.load(Ordering::Relaxed);
        ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
    }
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
