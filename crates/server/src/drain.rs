//! Ending in order: what was accepted is finished, what comes is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether the server ends, and how many requests are in hand.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    ending: AtomicBool,
    in_hand: AtomicUsize,
}

/// A request in hand.
#[derive(Debug)]
pub(crate) struct InHand(Arc<Drain>);

impl Drain {
    /// Takes a request in hand, unless the server ends.
    pub(crate) fn accept(self: &Arc<Self>) -> Option<InHand> {
        // Counted before it is asked: whoever ends sees it, or it sees that.
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        let taken = InHand(Arc::clone(self));
        (!self.is_ending()).then_some(taken)
    }

    /// Accepts nothing from now on.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Requests in hand.
    pub(crate) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::SeqCst)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.in_hand.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_counted_until_it_is_done_and_nothing_new_is_taken() {
        let drain = Arc::new(Drain::default());
        let first = drain.accept().unwrap();
        drain.end();
        assert!(drain.accept().is_none());
        assert_eq!(drain.in_hand(), 1);
        drop(first);
        assert_eq!(drain.in_hand(), 0);
    }
}
