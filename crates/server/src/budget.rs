//! Bytes that are held for requests: bounded, whatever comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all requests hold together.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    held: Arc<AtomicU64>,
    most: u64,
}

/// What one request holds; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    all: Budget,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            held: Arc::default(),
            most,
        }
    }

    /// What is held now.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Holds nothing yet.
    pub(crate) fn start(&self) -> Held {
        Held {
            all: self.clone(),
            bytes: 0,
        }
    }
}

impl Held {
    /// Holds so many bytes more, if there is room.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let room = |held: u64| held.checked_add(bytes).filter(|all| *all <= self.all.most);
        let grown = self
            .all
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok();
        if grown {
            self.bytes += bytes;
        }
        grown
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_holds_more_than_there_is_and_all_comes_back() {
        let budget = Budget::new(10);
        let (mut a, mut b) = (budget.start(), budget.start());
        assert!(a.grow(6) && !b.grow(5) && b.grow(4) && !a.grow(1));
        assert!(!a.grow(u64::MAX));
        assert_eq!(budget.held(), 10);
        drop(a);
        assert_eq!(budget.held(), 4);
        drop(b);
        assert_eq!(budget.held(), 0);
    }
}
