//! The runs that are served, by name.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::ServerError;
use crate::reload::Stamp;
use crate::served::{Served, Source};

/// All runs, in the order in which they were named.
pub(crate) struct Runs(Vec<Entry>);

/// A run and how it got here.
pub(crate) struct Entry {
    pub(crate) source: Source,
    /// Its files as they were when it was loaded first.
    pub(crate) stamp: Stamp,
    current: RwLock<Arc<Served>>,
    state: Mutex<State>,
}

/// How a run got here.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct State {
    /// Seconds since 1970.
    pub(crate) loaded_at: u64,
    /// How often it was replaced.
    pub(crate) reloads: u64,
    /// Whether what lies on disk now could not take its place; the log says why.
    pub(crate) stale: bool,
}

impl Runs {
    /// Loads all.
    ///
    /// # Errors
    /// The first that cannot be served.
    pub(crate) fn load(sources: Vec<Source>) -> Result<Self, ServerError> {
        let mut entries: Vec<Entry> = Vec::new();
        for source in sources {
            if entries.iter().any(|entry| entry.source.name == source.name) {
                return Err(ServerError::SameName(source.name));
            }
            let stamp = Stamp::of(&source.path);
            let served = Served::open(&source).map_err(|fault| ServerError::Run {
                path: source.path.clone(),
                fault,
            })?;
            entries.push(Entry {
                source,
                stamp,
                current: RwLock::new(Arc::new(served)),
                state: Mutex::new(State {
                    loaded_at: now(),
                    reloads: 0,
                    stale: false,
                }),
            });
        }
        match entries.is_empty() {
            true => Err(ServerError::NoRun),
            false => Ok(Self(entries)),
        }
    }

    pub(crate) fn all(&self) -> &[Entry] {
        &self.0
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.source.name == name)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.source.name.as_str()).collect()
    }
}

impl Entry {
    /// The run as it is now; whoever holds it may go on with it.
    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a run in the place of the one that was there.
    pub(crate) fn replace(&self, served: Served) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(served);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.loaded_at = now();
        state.reloads += 1;
        state.stale = false;
    }

    /// Marks that what lies on disk could not take its place.
    pub(crate) fn keep(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).stale = true;
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
