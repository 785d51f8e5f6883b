//! Normal images that are added to memory banks after the training.

use flawforge_datasets::TrainImage;
use flawforge_metrics::high_pixel;
use flawforge_models::Detector;
use flawforge_models::patchcore::{MemoryBank, Uncovered};
use image::RgbImage;
use rayon::prelude::*;

use crate::error::Result;
use crate::methods::one_pass::Relit;
use crate::recipe::{Unseen, decoded};

/// Patches that are held until those to add are chosen, of all images together (proposal).
const HELD: usize = 1 << 16;
/// Parts into which the images are divided to score each by a bank that was not given it (proposal).
const PARTS: usize = 8;
/// Images that are decoded at once.
const AT_ONCE: usize = 16;

/// A bank that is added to.
pub(super) struct Known<'a> {
    pub(super) bank: &'a MemoryBank,
    /// How far normal patches usually are from those of others: what is no farther is covered.
    pub(super) radius: f32,
    /// Vectors that are added, at most.
    pub(super) most: usize,
}

/// Vectors to add to a bank, and of each the number of its image.
pub(super) type Extra = (Vec<f32>, Vec<u32>);

/// The vectors of an image's patches at each size.
type Patches<'a> = &'a (dyn Fn(&RgbImage) -> Result<Vec<Vec<f32>>> + Sync);
/// A detector whose banks have some vectors more, at each size.
type Extended<'a> = &'a dyn Fn(&[Extra]) -> Result<Box<dyn Detector>>;

/// What a method must say to have images added to its banks.
pub(super) struct Additions<'a> {
    /// The bank at each size.
    pub(super) known: Vec<Known<'a>>,
    pub(super) patches: Patches<'a>,
    /// How copies in another light are made, if they are: they are added too.
    pub(super) relit: Option<Relit>,
    pub(super) detector: Extended<'a>,
}

impl Additions<'_> {
    /// The vectors to add at each size, so that the images are covered as normal images usually are; and what the detector would
    /// have said of each image had the others been added alone. `first` is the number of the first of them.
    pub(super) fn choose(&self, images: &[&TrainImage], first: u32) -> Result<(Vec<Extra>, Vec<Unseen>)> {
        let each = (HELD / images.len().max(1)).max(1);
        let mut uncovered: Vec<Uncovered<'_>> = Vec::with_capacity(self.known.len());
        for known in &self.known {
            uncovered.push(Uncovered::new(known.bank, known.radius));
        }
        let mut number = first;
        for images in images.chunks(AT_ONCE) {
            let images = decoded(images)?;
            let (of, relit) = (self.patches, self.relit);
            let patches = images.par_iter().enumerate().map(|(place, image)| {
                let mut patches = vec![of(image)?];
                if let Some(relit) = relit {
                    patches.push(of(&relit.copy(image, u64::from(number) + place as u64))?);
                }
                Ok(patches)
            });
            for shown in patches.collect::<Result<Vec<_>>>()? {
                for sizes in shown {
                    for (uncovered, vectors) in uncovered.iter_mut().zip(sizes) {
                        uncovered.add(number, &vectors, each)?;
                    }
                }
                number += 1;
            }
        }
        let cover = |of: &dyn Fn(u32) -> bool| -> Vec<Extra> {
            let sizes = uncovered.iter().zip(&self.known);
            sizes
                .map(|(uncovered, known)| uncovered.cover(of, known.most))
                .collect()
        };
        let parts = PARTS.min(images.len()).max(1) as u32;
        let mut unseen = Vec::with_capacity(images.len());
        for part in 0..parts {
            let detector = (self.detector)(&cover(&|image| (image - first) % parts != part))?;
            let of_part = images
                .iter()
                .enumerate()
                .skip(part as usize)
                .step_by(parts as usize);
            for (place, image) in of_part {
                let detection = detector.detect(&[&*image.image()?])?;
                unseen.extend(detection.into_iter().map(|detection| Unseen {
                    place: first as usize + place,
                    score: detection.verdict_score,
                    pixel: high_pixel(&detection.map.scores),
                }));
            }
        }
        unseen.sort_by_key(|one| one.place);
        Ok((cover(&|_| true), unseen))
    }
}
