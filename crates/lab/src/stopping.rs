//! Signals that ask a cell to end: what is trained is saved, what is only computed again is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use flawforge::files::Occupied;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The exit code of a cell that ended before it was finished, because it was asked to or because another process has it: EX_TEMPFAIL
/// of sysexits.h, "try again later".
pub const TRY_AGAIN: u8 = 75;

/// How long a signal may go unnoticed.
const GLANCE: Duration = Duration::from_millis(50);

/// Whether this process was asked to end. A training hears of it and saves a checkpoint; whatever else the process does, nothing of
/// it is worth saving, and it ends there and then, with [`TRY_AGAIN`].
#[derive(Debug, Default)]
pub struct Stopping {
    asked: Arc<AtomicBool>,
    training: AtomicBool,
    /// The folder that is given back before the process ends.
    held: Mutex<Option<Arc<Occupied>>>,
}

impl Stopping {
    /// Listens to TERM, INT and, on Unix, USR1 from now on. Schedulers may send several to one process: all are one request.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen() -> Result<Arc<Self>> {
        let stopping = Arc::new(Self::default());
        for signal in signals() {
            flag::register(signal, Arc::clone(&stopping.asked)).context("signals cannot be listened to")?;
        }
        let watched = Arc::clone(&stopping);
        let watch = move || {
            while !watched.is_asked() || watched.training.load(Ordering::SeqCst) {
                thread::sleep(GLANCE);
            }
            watched.end();
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(watch)
            .context("signals cannot be listened to")?;
        Ok(stopping)
    }

    /// Whether a signal came.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Set when a signal comes.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// A training begins, which hears of signals itself until what is returned is dropped.
    pub fn training(&self) -> impl Drop + '_ {
        self.training.store(true, Ordering::SeqCst);
        Training(self)
    }

    /// The folder that is to be given back.
    pub fn hold(&self, held: &Arc<Occupied>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(held));
    }

    /// Gives back the folder that is [held](Self::hold).
    pub fn give_back(&self) {
        // Locked until it is done, for whoever ends the process next.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.take() {
            held.give_back();
        }
    }

    fn end(&self) {
        self.give_back();
        eprintln!("stopped by a signal; the same command goes on");
        std::process::exit(TRY_AGAIN.into());
    }
}

struct Training<'a>(&'a Stopping);

impl Drop for Training<'_> {
    fn drop(&mut self) {
        self.0.training.store(false, Ordering::SeqCst);
    }
}

#[cfg(unix)]
fn signals() -> Vec<i32> {
    vec![SIGTERM, SIGINT, signal_hook::consts::SIGUSR1]
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGTERM, SIGINT]
}
