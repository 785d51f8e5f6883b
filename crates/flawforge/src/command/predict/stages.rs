//! Decoding beside the network: threads that read files, and what they hand on.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use flawforge::datasets::{Appearance, Limits, Look, Note, PixelScale, RegionOfInterest, load_picture};
use flawforge::models::Detector;
use image::RgbImage;

use super::budget::{Budget, Held};
use super::feeder::Job;

/// A file that was read, or the reason why it was not.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) job: Job,
    pub(super) seen: Result<Seen, String>,
}

/// An image as the next stages need it.
#[derive(Debug)]
pub(super) struct Seen {
    /// Width and height of the image.
    pub(super) size: (u32, u32),
    /// As the network takes it.
    pub(super) prepared: RgbImage,
    /// The image itself, where pictures of it may be wanted.
    pub(super) image: Option<RgbImage>,
    pub(super) notes: Vec<Note>,
    /// In what it is unlike the normal images.
    pub(super) unlike: Vec<String>,
    /// Whether the run was trained on it.
    pub(super) trained_on: bool,
    pub(super) held: Held,
}

/// What decoding needs to know.
pub(super) struct Eyes {
    pub(super) detector: Arc<dyn Detector>,
    pub(super) scale: PixelScale,
    pub(super) appearance: Option<Appearance>,
    /// What of the images is looked at, if not all.
    pub(super) region: Option<RegionOfInterest>,
    /// Short digests of the images that were trained on.
    pub(super) trained: HashSet<String>,
    pub(super) keeps_images: bool,
    pub(super) budget: Budget,
    /// The number of the job that the network waits for: it is decoded even if there is no room.
    pub(super) wanted: Arc<AtomicU64>,
}

/// Bytes that a pixel of a kept image takes until its pictures are written: three, four of its map, and as many of its colours.
const A_PIXEL: u64 = 12;
/// Time between two looks whether there is room.
const PAUSE: Duration = Duration::from_millis(2);

/// Threads that decode what comes, until nothing more comes.
///
/// # Errors
/// If a thread cannot be started.
pub(super) fn decode(
    count: usize,
    jobs: Receiver<(Job, SyncSender<Decoded>)>,
    eyes: &Arc<Eyes>,
) -> Result<()> {
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..count {
        let (jobs, eyes) = (Arc::clone(&jobs), Arc::clone(eyes));
        let work = move || {
            loop {
                let next = match jobs.lock() {
                    Ok(jobs) => jobs.recv(),
                    Err(_) => return,
                };
                let Ok((job, sender)) = next else { return };
                while !eyes.budget.has_room() && eyes.wanted.load(Ordering::Relaxed) != job.number {
                    thread::sleep(PAUSE);
                }
                let seen = match &job.fault {
                    Some(fault) => Err(fault.clone()),
                    None => eyes.read(&job),
                };
                // Nobody waits for it after a signal.
                let _ = sender.send(Decoded { job, seen });
            }
        };
        thread::Builder::new()
            .name("decoding".to_owned())
            .spawn(work)
            .context("a thread that decodes images")?;
    }
    Ok(())
}

impl Eyes {
    fn read(&self, job: &Job) -> Result<Seen, String> {
        let path = &job.input.path;
        // A decoder that fails on one file must not take the others with it.
        let read = catch_unwind(AssertUnwindSafe(|| {
            load_picture(path, &Limits::default(), &self.scale)
        }));
        let picture = match read {
            Ok(Ok(picture)) => picture,
            Ok(Err(fault)) => {
                let text = fault.to_string();
                let name = format!("{}: ", path.display());
                return Err(text.strip_prefix(&name).unwrap_or(&text).to_owned());
            }
            Err(_) => return Err("cannot be decoded: the decoder failed".to_owned()),
        };
        let size = picture.image.dimensions();
        let mut picture = picture;
        let paint = |image: &mut RgbImage| match &self.region {
            None => Ok(()),
            Some(region) => {
                let painted = region.paint(image, Some(path), size, &Limits::default());
                painted.map_err(|fault| fault.to_string())
            }
        };
        // Pictures show it grey, and no filter takes anything from outside.
        paint(&mut picture.image)?;
        let mut prepared = self.detector.prepare(&picture.image);
        paint(&mut prepared)?;
        let unlike = match &self.appearance {
            Some(appearance) => appearance.unlike(&prepared, size),
            None => Vec::new(),
        };
        let trained_on = !self.trained.is_empty() && self.trained.contains(&Look::short_digest_of(&prepared));
        let pixels = u64::from(size.0) * u64::from(size.1);
        let kept = if self.keeps_images { pixels * A_PIXEL } else { 0 };
        Ok(Seen {
            size,
            held: self.budget.hold(kept + prepared.as_raw().len() as u64),
            prepared,
            image: self.keeps_images.then_some(picture.image),
            notes: picture.notes,
            unlike,
            trained_on,
        })
    }
}
