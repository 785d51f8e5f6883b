//! The threads that work: some decode, one runs the network on batches, some judge. No async thread ever does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use flawforge_datasets::Limits;

use crate::ServerError;
use crate::fault::Fault;
use crate::job::{Came, Detected, Seen};
use crate::metrics::{Metrics, Stage};
use crate::queue::Queue;
use crate::settings::Settings;
use crate::stages::{decode, judge};

/// Threads that decode, and as many that judge, at most (proposal).
const THREADS: usize = 4;
/// Decoded images that wait for the network, at most: two batches of the largest usual size (proposal).
const DECODED: usize = 64;

/// The queues between the stages.
pub(crate) struct Line {
    came: Queue<Came>,
    seen: Queue<Seen>,
    detected: Queue<Detected>,
    limits: Limits,
    /// Bytes that pictures may hold, at most.
    memory: u64,
}

impl Line {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            came: Queue::new(settings.queue),
            seen: Queue::new(DECODED),
            detected: Queue::new(DECODED),
            limits: Limits {
                max_pixels: settings.max_pixels,
                max_file_bytes: settings.max_body,
                ..Limits::default()
            },
            memory: settings.memory,
        }
    }

    /// Images that wait to be decoded.
    pub(crate) fn waiting(&self) -> usize {
        self.came.len()
    }

    /// Takes all images of a request in, or none.
    ///
    /// # Errors
    /// If there is no room.
    pub(crate) fn offer(&self, images: Vec<Came>) -> Result<(), Fault> {
        self.came
            .offer(images)
            .map_err(|_| Fault::busy("too many images are waiting"))
    }

    fn decode(&self, metrics: &Metrics) {
        while let Some(came) = self.came.take() {
            if came.job.is_forsaken() {
                continue;
            }
            let begun = Instant::now();
            metrics.took(Stage::Waiting, begun - came.job.came);
            // A decoder that panics takes the job with it: whoever waits for it is told that the server failed.
            match catch_unwind(AssertUnwindSafe(|| decode(came, &self.limits, self.memory))) {
                Ok(Ok(seen)) => {
                    metrics.took(Stage::Decoding, begun.elapsed());
                    self.seen.put(seen);
                }
                Ok(Err(failed)) => {
                    let (job, fault) = *failed;
                    job.fail(fault);
                }
                Err(_) => log::error!("decoding an image failed"),
            }
        }
    }

    fn detect(&self, metrics: &Metrics) {
        loop {
            let of_one_run = |a: &Seen, b: &Seen| Arc::ptr_eq(&a.job.served, &b.job.served);
            let batch = self.seen.take_alike(|first| first.job.served.batch, of_one_run);
            if batch.is_empty() {
                return;
            }
            let wanted: Vec<Seen> = batch.into_iter().filter(|seen| !seen.job.is_forsaken()).collect();
            if !wanted.is_empty() {
                self.detect_batch(wanted, metrics);
            }
        }
    }

    fn detect_batch(&self, batch: Vec<Seen>, metrics: &Metrics) {
        let begun = Instant::now();
        let detector = Arc::clone(&batch[0].job.served.detector);
        let prepared: Vec<_> = batch.iter().map(|seen| &seen.prepared).collect();
        let detections = match catch_unwind(AssertUnwindSafe(|| detector.detect(&prepared))) {
            Ok(Ok(detections)) => detections,
            Ok(Err(fault)) => {
                log::error!("run {}: {fault}", batch[0].job.served.facts.name);
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        metrics.took(Stage::Network, begun.elapsed());
        metrics.batch(batch.len());
        let mut detections = detections.into_iter();
        for seen in batch {
            match detections.next() {
                Some(detection) => self.detected.put(Detected { seen, detection }),
                None => seen.job.fail(Fault::internal()),
            }
        }
    }

    fn judge(&self, metrics: &Metrics) {
        while let Some(detected) = self.detected.take() {
            if detected.seen.job.is_forsaken() {
                continue;
            }
            let begun = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| judge(detected))) {
                Ok(Ok((job, scored))) => {
                    metrics.took(Stage::Judging, begun.elapsed());
                    job.finish(scored);
                }
                Ok(Err(failed)) => {
                    let (job, fault) = *failed;
                    job.fail(fault);
                }
                Err(_) => log::error!("judging an image failed"),
            }
        }
    }
}

/// The threads of a line.
pub(crate) struct Threads {
    line: Arc<Line>,
    decoding: Vec<JoinHandle<()>>,
    detecting: Vec<JoinHandle<()>>,
    judging: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn start(line: &Arc<Line>, metrics: &Arc<Metrics>) -> Result<Self, ServerError> {
        let some = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(THREADS);
        let start = |count: usize, name: &str, work: fn(&Line, &Metrics)| {
            let start = |_| {
                let (line, metrics) = (Arc::clone(line), Arc::clone(metrics));
                thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || work(&line, &metrics))
                    .map_err(ServerError::Thread)
            };
            (0..count).map(start).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            line: Arc::clone(line),
            decoding: start(some, "decoding", Line::decode)?,
            detecting: start(1, "network", Line::detect)?,
            judging: start(some, "judging", Line::judge)?,
        })
    }

    /// Waits until what is in the line has come out.
    pub(crate) fn finish(self) {
        let join = |threads: Vec<JoinHandle<()>>| {
            for thread in threads {
                if thread.join().is_err() {
                    log::error!("a thread of the server failed");
                }
            }
        };
        self.line.came.close();
        join(self.decoding);
        self.line.seen.close();
        join(self.detecting);
        self.line.detected.close();
        join(self.judging);
    }
}
