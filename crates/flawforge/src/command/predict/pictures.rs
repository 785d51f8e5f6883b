//! The pictures of a scored image, written beside the network by threads of their own.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use clap::ValueEnum;
use flawforge::files;
use flawforge::models::AnomalyMap;
use flawforge::pictures::{MapPictures, encode_png};
use flawforge::training::Marked;
use image::{DynamicImage, GrayImage, RgbImage};

use super::super::source::make_folder;
use super::budget::Held;

/// Of which images pictures are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Pictures {
    /// Of no image
    None,
    /// Of those that are anomalous or to be looked at
    Anomalous,
    /// Of every image
    All,
}

impl Pictures {
    /// Whether pictures of an image with this verdict are wanted.
    pub(super) fn wants(self, verdict: &str) -> bool {
        match self {
            Self::None => false,
            Self::Anomalous => verdict == "anomalous" || verdict == "look",
            Self::All => true,
        }
    }
}

/// The picture that is written last: where it is, the others are.
pub(super) fn last_of(out: &Path, name: &str) -> PathBuf {
    file(out, name, "_overlay.png")
}

fn file(out: &Path, name: &str, suffix: &str) -> PathBuf {
    let mut path = out.join(name);
    path.as_mut_os_string().push(suffix);
    path
}

/// What pictures are made from.
pub(super) struct Painted {
    pub(super) name: String,
    pub(super) image: RgbImage,
    /// The map at any size, unless it is marked.
    pub(super) map: AnomalyMap,
    pub(super) marked: Option<Marked>,
    pub(super) held: Held,
}

/// What is the same for all pictures.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) out: PathBuf,
    /// The score that is shown as fully anomalous.
    pub(super) full: f32,
    pub(super) pixel_threshold: Option<f32>,
}

/// Pictures that could not be written: how many, and what was wrong with the first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) count: usize,
    pub(super) first: String,
}

impl Faults {
    /// Counts further ones.
    pub(super) fn join(&mut self, more: Self) {
        self.count += more.count;
        if self.first.is_empty() {
            self.first = more.first;
        }
    }
}

/// Threads that write pictures.
pub(super) struct Painters {
    pub(super) out: PathBuf,
    sender: SyncSender<Painted>,
    threads: Vec<JoinHandle<()>>,
    faults: Arc<Mutex<Faults>>,
    /// Whether there is no room for more: what is left of it is for rows.
    full: Arc<AtomicBool>,
}

impl Painters {
    /// Starts them.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(super) fn start(count: usize, style: &Style) -> Result<Self> {
        let (sender, receiver) = sync_channel(count);
        let receiver: Arc<Mutex<Receiver<Painted>>> = Arc::new(Mutex::new(receiver));
        let faults = Arc::new(Mutex::new(Faults::default()));
        let full = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..count {
            let (receiver, faults, style) = (Arc::clone(&receiver), Arc::clone(&faults), style.clone());
            let full = Arc::clone(&full);
            let work = move || {
                loop {
                    let next = match receiver.lock() {
                        Ok(receiver) => receiver.recv(),
                        Err(_) => return,
                    };
                    let Ok(painted) = next else { return };
                    let name = painted.name.clone();
                    let fault = match full.load(Ordering::Relaxed) {
                        true => String::new(),
                        false => match style.write(painted) {
                            Ok(()) => continue,
                            Err(fault) => {
                                if is_full(&fault) {
                                    full.store(true, Ordering::Relaxed);
                                    style.remove(&name);
                                }
                                format!("{name}: {}", flawforge::fault::in_one_line(fault.as_ref()))
                            }
                        },
                    };
                    if let Ok(mut faults) = faults.lock() {
                        faults.join(Faults {
                            count: 1,
                            first: fault,
                        });
                    }
                }
            };
            let thread = thread::Builder::new().name("pictures".to_owned()).spawn(work);
            threads.push(thread.context("a thread that writes pictures")?);
        }
        Ok(Self {
            out: style.out.clone(),
            sender,
            threads,
            faults,
            full,
        })
    }

    /// Writes no more pictures; those that still come are counted as not written.
    pub(super) fn give_up(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// Hands over an image, waiting for room.
    pub(super) fn paint(&self, painted: Painted) {
        // They end only with the sender.
        let _ = self.sender.send(painted);
    }

    /// Waits until all pictures are written.
    pub(super) fn finish(self) -> Faults {
        drop(self.sender);
        let failed = self
            .threads
            .into_iter()
            .filter_map(|thread| thread.join().err())
            .count();
        let mut faults = self
            .faults
            .lock()
            .map(|mut faults| std::mem::take(&mut *faults))
            .unwrap_or_default();
        faults.count += failed;
        faults
    }
}

/// Whether there is no room for more.
fn is_full(fault: &anyhow::Error) -> bool {
    let of_system = fault
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>());
    of_system
        .map(io::Error::kind)
        .any(|kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
}

/// The endings of the pictures of an image, that which is written last at the end.
const ENDINGS: [&str; 4] = ["_map.png", "_heat.png", "_mask.png", "_overlay.png"];

impl Style {
    /// Takes away what there is of the pictures of an image that are not whole.
    fn remove(&self, name: &str) {
        for ending in ENDINGS {
            // Best effort: there may be none.
            let _ = fs::remove_file(file(&self.out, name, ending));
        }
    }

    /// The map, its colours and its mask, and then the overlay.
    fn write(&self, painted: Painted) -> Result<()> {
        let Painted {
            name,
            image,
            map,
            marked,
            held: _held,
        } = painted;
        let (width, height) = image.dimensions();
        let (map, mask) = match marked {
            Some(Marked { map, regions }) => {
                let mask = regions.mask(map.scores.len());
                (map, Some(mask))
            }
            None => (
                map.resized(width, height),
                self.pixel_threshold
                    .map(|_| vec![0; width as usize * height as usize]),
            ),
        };
        if let Some(folder) = file(&self.out, &name, "").parent() {
            make_folder(folder)?;
        }
        let [as_map, as_heat, as_mask, as_overlay] = ENDINGS;
        let put = |suffix: &str, picture: DynamicImage| -> Result<()> {
            let bytes = encode_png(&picture)?;
            Ok(files::write_unsynced(&file(&self.out, &name, suffix), &bytes)?)
        };
        let pictures = MapPictures::new(map, self.full, self.pixel_threshold);
        put(as_map, DynamicImage::ImageLuma16(pictures.deep()))?;
        put(as_heat, DynamicImage::ImageRgb8(pictures.colors()))?;
        let mask = match mask {
            Some(mask) => Some(
                GrayImage::from_raw(width, height, mask)
                    .context("the mask has another size than the image")?,
            ),
            None => None,
        };
        let overlay = pictures.over(&image, mask.as_ref());
        if let Some(mask) = mask {
            put(as_mask, DynamicImage::ImageLuma8(mask))?;
        }
        put(as_overlay, DynamicImage::ImageRgb8(overlay))
    }
}
