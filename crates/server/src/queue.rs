//! A queue between threads that holds so much and no more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First in, first out. Once it is closed, what is in it still comes out.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    came: Condvar,
    went: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// Of at most so many, and at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                closed: false,
            }),
            came: Condvar::new(),
            went: Condvar::new(),
            most: most.max(1),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that holds it can leave it half-changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state().items.len()
    }

    /// Puts all of them in, or none.
    ///
    /// # Errors
    /// The items, where there is no room for them all, or it is closed.
    pub(crate) fn offer(&self, items: Vec<T>) -> Result<(), Vec<T>> {
        let mut state = self.state();
        if state.closed || state.items.len() + items.len() > self.most {
            return Err(items);
        }
        state.items.extend(items);
        drop(state);
        self.came.notify_all();
        Ok(())
    }

    /// Puts one in, waiting for room; one that comes after it was closed is dropped.
    pub(crate) fn put(&self, item: T) {
        let mut state = self.state();
        while state.items.len() >= self.most && !state.closed {
            state = self.went.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.closed {
            state.items.push_back(item);
            drop(state);
            self.came.notify_one();
        }
    }

    /// The next one; `None` when it is closed and empty.
    pub(crate) fn take(&self) -> Option<T> {
        self.take_alike(|_| 1, |_, _| false).pop()
    }

    /// The next one and those that are like it, in their order, together at most as many as it says; nothing when it is closed and
    /// empty.
    pub(crate) fn take_alike(&self, most: impl Fn(&T) -> usize, alike: impl Fn(&T, &T) -> bool) -> Vec<T> {
        let mut state = self.state();
        let first = loop {
            match state.items.pop_front() {
                Some(first) => break first,
                None if state.closed => return Vec::new(),
                None => state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let most = most(&first);
        let mut taken = vec![first];
        if most > 1 {
            let mut left = VecDeque::with_capacity(state.items.len());
            for item in state.items.drain(..) {
                match taken.len() < most && alike(&taken[0], &item) {
                    true => taken.push(item),
                    false => left.push_back(item),
                }
            }
            state.items = left;
        }
        drop(state);
        self.went.notify_all();
        taken
    }

    /// Takes nothing more in.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.came.notify_all();
        self.went.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn all_of_a_request_or_none_and_what_is_in_comes_out() {
        let queue = Queue::new(3);
        queue.offer(vec![1, 2]).unwrap();
        assert_eq!(queue.offer(vec![3, 4]), Err(vec![3, 4]));
        queue.offer(vec![3]).unwrap();
        assert_eq!((queue.len(), queue.take()), (3, Some(1)));
        queue.close();
        assert_eq!(queue.offer(vec![5]), Err(vec![5]));
        queue.put(6);
        assert_eq!(
            (queue.take(), queue.take(), queue.take()),
            (Some(2), Some(3), None)
        );
    }

    #[test]
    fn a_batch_is_of_those_alike_and_leaves_the_others_in_order() {
        let queue = Queue::new(10);
        queue.offer(vec![10, 21, 12, 23, 14, 16]).unwrap();
        let alike = |a: &i32, b: &i32| a / 10 == b / 10;
        assert_eq!(queue.take_alike(|_| 3, alike), [10, 12, 14]);
        assert_eq!(queue.take_alike(|_| 3, alike), [21, 23]);
        assert_eq!(queue.take_alike(|_| 3, alike), [16]);
    }

    #[test]
    fn who_puts_waits_for_room_and_nobody_is_left_waiting() {
        let queue = Arc::new(Queue::new(1));
        let putting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (0..100).for_each(|number| queue.put(number)))
        };
        let taken: Vec<i32> = (0..100).filter_map(|_| queue.take()).collect();
        putting.join().unwrap();
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        let waiting = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take())
        };
        queue.close();
        assert_eq!(waiting.join().unwrap(), None);
    }
}
