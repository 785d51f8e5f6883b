//! Where parallel work runs, also in a process that was forked.
//!
//! Python forks processes: `multiprocessing` and the workers of PyTorch's data loaders do by default on Linux. Threads do not come along,
//! and whoever waits for rayon's own pool in such a process waits for ever. So a process whose parent had started it gets another.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::fault::Error;

/// The process that started rayon's pool; 0 before that.
static STARTED_BY: AtomicU32 = AtomicU32::new(0);

/// The pool of a forked process, and whose it is.
static FORKED: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// Whether this process was forked from one that had worked already: then work on other threads than those of [`run`] never ends.
pub(crate) fn is_forked() -> bool {
    let here = process::id();
    let by = STARTED_BY
        .compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed)
        .unwrap_or_else(|by| by);
    by != 0 && by != here
}

/// Does work whose parallel parts run on all cores, or as many as `RAYON_NUM_THREADS` says.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T> {
    if !is_forked() {
        return work();
    }
    let here = process::id();
    let pool = {
        let mut forked = FORKED.lock().unwrap_or_else(PoisonError::into_inner);
        match forked.as_ref() {
            Some((whose, pool)) if *whose == here => Arc::clone(pool),
            _ => {
                let made = ThreadPoolBuilder::new().build();
                let made = made.map_err(|fault| Error::new_err(format!("no threads: {fault}")))?;
                let made = Arc::new(made);
                // A grandparent's has no threads here that could be joined.
                std::mem::forget(forked.replace((here, Arc::clone(&made))));
                made
            }
        }
    };
    pool.install(work)
}
