//! Pixels that are held between the stages, in bytes: bounded, whatever the size of the images.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of images that may be held before another one is decoded (proposal).
const MOST: u64 = 512 << 20;

/// What all stages hold together.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Arc<AtomicU64>);

/// What one image holds; freed when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    all: Budget,
    bytes: u64,
}

impl Budget {
    /// Whether another image may be decoded.
    pub(super) fn has_room(&self) -> bool {
        self.0.load(Ordering::Relaxed) < MOST
    }

    /// Counts bytes.
    pub(super) fn hold(&self, bytes: u64) -> Held {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Held {
            all: self.clone(),
            bytes,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room() {
        let budget = Budget::default();
        let first = budget.hold(MOST - 1);
        assert!(budget.has_room());
        let second = budget.hold(1);
        assert!(!budget.has_room());
        drop(first);
        assert!(budget.has_room());
        drop(second);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }
}
