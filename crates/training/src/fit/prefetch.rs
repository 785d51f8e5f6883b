//! Batches are prepared while the networks compute.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::error::{Result, TrainingError};
use crate::recipe::{Batch, BatchSource};

/// Batches that wait at most: two hide the unevenness of preparation without holding much memory.
const DEPTH: usize = 2;

/// [`ahead`] of the steps of a training.
pub(crate) fn with_batches<T>(
    source: &dyn BatchSource,
    steps: std::ops::Range<u64>,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<Batch>>) -> Result<T>,
) -> Result<T> {
    ahead(&|step| source.batch(step), steps, consume)
}

/// Runs `consume` with what is made of each of `steps`, which another thread prepares.
///
/// A batch is a function of its step's number, so the order and the content do not depend on timing. The thread ends
/// when the receiver is dropped, and after the first batch that cannot be made.
pub(crate) fn ahead<B: Send, T>(
    make: &(dyn Fn(u64) -> Result<B> + Sync),
    steps: std::ops::Range<u64>,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<B>>) -> Result<T>,
) -> Result<T> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(DEPTH);
        let threads = rayon::current_num_threads();
        let producer = scope.spawn(move || {
            let produce = || {
                for step in steps {
                    let batch = make(step);
                    let failed = batch.is_err();
                    if sender.send(batch).is_err() || failed {
                        break;
                    }
                }
            };
            // A pool of its own: on the shared one, a caller that is itself one of its workers and waits for a batch
            // could keep that batch from being made. Without such a pool the samples are made one by one.
            match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
                Ok(pool) => pool.install(produce),
                Err(_) => produce(),
            }
        });
        let result = drain(receiver, consume);
        match producer.join() {
            Ok(()) => result,
            Err(_) => Err(TrainingError::Batches(
                "it failed while making a sample".to_owned(),
            )),
        }
    })
}

fn drain<B, T>(
    receiver: Receiver<Result<B>>,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<B>>) -> Result<T>,
) -> Result<T> {
    consume(&mut receiver.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers;

    impl BatchSource for Numbers {
        fn batch(&self, step: u64) -> Result<Batch> {
            Ok(Batch {
                step,
                parts: Vec::new(),
            })
        }
    }

    struct Broken;

    impl BatchSource for Broken {
        fn batch(&self, step: u64) -> Result<Batch> {
            assert!(step < 3, "a texture that cannot be made");
            Numbers.batch(step)
        }
    }

    #[test]
    fn batches_come_in_order_and_an_early_stop_ends_the_thread() {
        let steps = with_batches(&Numbers, 5..1_000_000_000, |batches| {
            batches
                .take(4)
                .map(|batch| Ok(batch?.step))
                .collect::<Result<Vec<_>>>()
        });
        assert_eq!(steps.unwrap(), [5, 6, 7, 8]);
    }

    struct Unreadable;

    impl BatchSource for Unreadable {
        fn batch(&self, step: u64) -> Result<Batch> {
            match step {
                2 => Err(TrainingError::Batches("an image went".to_owned())),
                _ => Numbers.batch(step),
            }
        }
    }

    #[test]
    fn what_a_source_cannot_make_is_told_at_its_step_and_nothing_follows() {
        let mut made = 0;
        let fault = with_batches(&Unreadable, 0..1_000_000_000, |batches| {
            for batch in batches {
                batch?;
                made += 1;
            }
            Ok(())
        });
        let said = fault.unwrap_err().to_string();
        assert!(said.ends_with("an image went"), "{said}");
        assert_eq!(made, 2);
    }

    #[test]
    fn a_failing_source_is_an_error_and_not_a_hang() {
        let count = with_batches(&Broken, 0..10, |batches| Ok(batches.count()));
        assert!(matches!(count, Err(TrainingError::Batches(_))));
    }
}
