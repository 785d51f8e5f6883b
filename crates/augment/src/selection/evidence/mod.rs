//! What normal images say about the two questions of Lin & Yan's selection strategy (fig. 1), so that a person has less to judge:
//! is orientation fixed (then normal images must not be rotated), are relative positions fixed (then bending is an anomaly)?
//!
//! ```text
//!                 +-> laid over each other, shifted, turned --> likeness upright, turned, at the best angle
//! normal images --+-> gradients -----------------------------> common directions       } Evidence -> Proposal
//! (24, made small)+-> autocorrelation -----------------------> repetition              }
//!                 +-> near-distribution tries ---------------> share that shows
//! ```
//!
//! Numbers cannot know what is a defect in a product: the outcome is a [`Proposal`] that quotes them, and says where they do not
//! decide. Every measure and threshold is this project's proposal.
//!
//! ```
//! use flawforge_augment::Kind;
//! use flawforge_augment::evidence::Evidence;
//! use image::{Rgb, RgbImage};
//!
//! // Chequered cloth, a little differently placed in every image.
//! let normals: Vec<RgbImage> = (0..6)
//!     .map(|i| RgbImage::from_fn(96, 96, |x, y| Rgb([if ((x + i) / 10 + y / 10) % 2 == 0 { 180 } else { 70 }; 3])))
//!     .collect();
//! let proposal = Evidence::measure(&normals.iter().collect::<Vec<_>>())?.propose();
//! assert_eq!((proposal.positions.fixed, proposal.orientation.fixed), (Some(true), Some(true)));
//! assert!(proposal.selection.enables(Kind::NearDistribution) && !proposal.selection.rotate_normals);
//! # Ok::<(), flawforge_augment::evidence::EvidenceError>(())
//! ```

mod bending;
mod detail;
mod direction;
mod foreground;
mod plane;
mod proposal;
mod registration;
mod repetition;

use image::RgbImage;
use rayon::prelude::*;
use thiserror::Error;

pub use bending::Bending;
pub use detail::Detail;
pub use direction::Direction;
pub use foreground::foreground;
pub use proposal::{
    Band, Finding, LIKENESS, LOST, Measure, Proposal, REPETITION, Reading, SHARPNESS, VISIBLE,
};
pub use registration::Similarity;

use crate::{Photometric, is_grey};
use plane::Plane;

/// Largest number of images that are measured, evenly spaced among those given (proposal).
const MOST: usize = 24;
/// Images needed.
const FEWEST: usize = 4;

/// What normal images say about the two questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// Number of normal images that were measured.
    pub images: usize,
    /// How like one another they are, upright and turned.
    pub similarity: Similarity,
    /// Whether they have a direction in common.
    pub direction: Direction,
    /// Strongest peak of the autocorrelation beside distance 0, median over the images; 1 when all repeats exactly.
    pub repetition: f32,
    /// Whether bending shows.
    pub bending: Bending,
    /// Whether no image has colours.
    pub grey: bool,
    /// How far light and focus differ among them.
    pub light: Photometric,
}

/// Images from which nothing can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Fewer than four images.
    #[error("a selection is proposed from at least {FEWEST} normal images, not from {given}")]
    TooFew {
        /// Images given.
        given: usize,
    },
    /// An image without pixels.
    #[error("normal image number {index} has no pixels")]
    NoPixels {
        /// Its place among those given, from 0.
        index: usize,
    },
}

/// Whether normal images show parts, rather than a surface that goes on beyond their borders: there is an even ground
/// [around](foreground), or all have one layout that does not repeat ([`LIKENESS`], [`REPETITION`]).
pub fn shows_parts(normals: &[&RgbImage]) -> bool {
    if normals.len() < FEWEST
        || normals
            .iter()
            .any(|image| image.width() == 0 || image.height() == 0)
    {
        return false;
    }
    foreground(normals).is_some() || {
        let count = normals.len().min(MOST);
        let chosen: Vec<&RgbImage> = (0..count).map(|i| normals[i * normals.len() / count]).collect();
        registration::similarity(&small(&chosen)).best >= LIKENESS.high
            && repetition::repetition(&large(&chosen)) < REPETITION.high
    }
}

/// What images are compared as.
fn small(chosen: &[&RgbImage]) -> Vec<Plane> {
    planes(chosen, registration::SIDE, 0.7, 8.0)
}

/// What directions and repetitions are measured in.
fn large(chosen: &[&RgbImage]) -> Vec<Plane> {
    planes(chosen, repetition::SIDE, 1.0, 16.0)
}

fn planes(chosen: &[&RgbImage], side: usize, fine: f32, coarse: f32) -> Vec<Plane> {
    chosen
        .par_iter()
        .map(|image| Plane::of(image, side).band(fine, coarse))
        .collect()
}

impl Evidence {
    /// Measures normal images of one category.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn measure(normals: &[&RgbImage]) -> Result<Self, EvidenceError> {
        if normals.len() < FEWEST {
            return Err(EvidenceError::TooFew { given: normals.len() });
        }
        if let Some(index) = normals
            .iter()
            .position(|image| image.width() == 0 || image.height() == 0)
        {
            return Err(EvidenceError::NoPixels { index });
        }
        let count = normals.len().min(MOST);
        let chosen: Vec<&RgbImage> = (0..count).map(|i| normals[i * normals.len() / count]).collect();
        let (small, large) = (small(&chosen), large(&chosen));
        Ok(Self {
            images: count,
            similarity: registration::similarity(&small),
            direction: direction::direction(&large),
            repetition: repetition::repetition(&large),
            bending: bending::bending(&chosen, 0),
            grey: chosen.iter().all(|image| is_grey(image)),
            light: Photometric::measured(&chosen),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn images_that_say_nothing_are_faults_or_say_so() {
        let plain = RgbImage::from_pixel(40, 32, Rgb([90; 3]));
        let none = RgbImage::new(0, 5);
        assert_eq!(
            Evidence::measure(&[&plain; 3]),
            Err(EvidenceError::TooFew { given: 3 })
        );
        let fault = Evidence::measure(&[&plain, &plain, &none, &plain]);
        assert_eq!(fault, Err(EvidenceError::NoPixels { index: 2 }));
        let proposal = Evidence::measure(&[&plain; 4]).unwrap().propose();
        assert!(
            !proposal.selection.enables(crate::Kind::NearDistribution),
            "a plain surface cannot be bent: {proposal:?}"
        );
    }
}
