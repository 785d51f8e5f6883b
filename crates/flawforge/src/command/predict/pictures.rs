//! The pictures of a scored image, written beside the network by threads of their own.

use std::path::{Path, PathBuf};
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

/// Threads that write pictures.
pub(super) struct Painters {
    pub(super) out: PathBuf,
    sender: SyncSender<Painted>,
    threads: Vec<JoinHandle<()>>,
    faults: Arc<Mutex<Faults>>,
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
        let mut threads = Vec::new();
        for _ in 0..count {
            let (receiver, faults, style) = (Arc::clone(&receiver), Arc::clone(&faults), style.clone());
            let work = move || {
                loop {
                    let next = match receiver.lock() {
                        Ok(receiver) => receiver.recv(),
                        Err(_) => return,
                    };
                    let Ok(painted) = next else { return };
                    let name = painted.name.clone();
                    if let Err(fault) = style.write(painted)
                        && let Ok(mut faults) = faults.lock()
                    {
                        faults.count += 1;
                        if faults.first.is_empty() {
                            faults.first =
                                format!("{name}: {}", flawforge::fault::in_one_line(fault.as_ref()));
                        }
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
        })
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

impl Style {
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
        let put = |suffix: &str, picture: DynamicImage| -> Result<()> {
            let bytes = encode_png(&picture)?;
            Ok(files::write_unsynced(&file(&self.out, &name, suffix), &bytes)?)
        };
        let pictures = MapPictures::new(map, self.full, self.pixel_threshold);
        put("_map.png", DynamicImage::ImageLuma16(pictures.deep()))?;
        put("_heat.png", DynamicImage::ImageRgb8(pictures.colors()))?;
        let mask = match mask {
            Some(mask) => Some(
                GrayImage::from_raw(width, height, mask)
                    .context("the mask has another size than the image")?,
            ),
            None => None,
        };
        let overlay = pictures.over(&image, mask.as_ref());
        if let Some(mask) = mask {
            put("_mask.png", DynamicImage::ImageLuma8(mask))?;
        }
        put("_overlay.png", DynamicImage::ImageRgb8(overlay))
    }
}
