//! What of the images is looked at.

use std::sync::Arc;

use flawforge_datasets::RegionOfInterest;
use flawforge_masks::Mask;
use flawforge_metrics::RunLengths;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};

/// Longer side of a kept region in pixels, at most (proposal): its border is exact to a thousandth of the image.
const LONGEST: u32 = 1024;

/// The region of interest of an experiment (proposal): anomalies are simulated in it alone, and nothing else is scored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Region {
    /// All of every image.
    #[default]
    All,
    /// The same part of every image, whatever its size.
    Fixed {
        /// Width in pixels of the mask that tells it.
        width: u32,
        /// Its height.
        height: u32,
        /// The pixels inside, as COCO compresses run lengths.
        runs: String,
    },
    /// A part of its own of each image, which must come with the images.
    EachImage,
}

impl Region {
    /// The setting for a region that was read.
    pub fn of(region: &RegionOfInterest) -> Self {
        let RegionOfInterest::Fixed { mask, .. } = region else {
            return Self::EachImage;
        };
        let (width, height) = (mask.width(), mask.height());
        let factor = (f64::from(LONGEST) / f64::from(width.max(height))).min(1.0);
        let side = |length: u32| (f64::from(length) * factor).round().max(1.0) as u32;
        let small = mask.scaled(side(width), side(height));
        Self::Fixed {
            width: small.width(),
            height: small.height(),
            runs: RunLengths::of_mask(small.pixels(), small.width() as usize).compressed(),
        }
    }

    /// Whether all of every image is looked at.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// The mask of a fixed region; `None` of the others, and of one that fails its [check](Self::check).
    pub fn mask(&self) -> Option<Arc<Mask>> {
        let Self::Fixed { width, height, runs } = self else {
            return None;
        };
        let pixels = RunLengths::from_compressed(runs)?.pixels(*width as usize, *height as usize)?;
        let bytes = pixels.into_iter().map(u8::from).collect();
        Mask::from_bytes(*width, *height, bytes).ok().map(Arc::new)
    }

    /// Checks that a fixed region can be read.
    pub(crate) fn check(&self) -> Result<()> {
        let is_fixed = matches!(self, Self::Fixed { .. });
        match self.mask() {
            None if is_fixed => Err(TrainingError::setting(
                "region.runs",
                "is no mask of width x height pixels",
            )),
            Some(mask) if mask.is_empty() => Err(TrainingError::setting("region", "holds no pixel")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_its_text() {
        let mask = Mask::from_fn(7, 5, |x, y| x > 2 && y < 4);
        let region = Region::of(&RegionOfInterest::fixed(Arc::new(mask.clone())));
        let text = toml::to_string(&region).unwrap();
        assert!(
            text.starts_with("kind = \"fixed\"\nwidth = 7\nheight = 5\nruns = "),
            "{text}"
        );
        let back: Region = toml::from_str(&text).unwrap();
        assert_eq!(*back.mask().unwrap(), mask);
        assert!(back.check().is_ok());
        assert_eq!(
            toml::from_str::<Region>("kind = \"each-image\"").unwrap(),
            Region::EachImage
        );
    }

    #[test]
    fn what_is_no_mask_is_refused() {
        for runs in ["", "!", "0"] {
            let region = Region::Fixed {
                width: 4,
                height: 3,
                runs: runs.to_owned(),
            };
            assert!(
                region.check().unwrap_err().to_string().contains("region"),
                "{runs}"
            );
        }
    }

    #[test]
    fn large_masks_are_kept_small() {
        let mask = Arc::new(Mask::from_fn(5000, 100, |x, _| x < 2500));
        let Region::Fixed { width, height, runs } = Region::of(&RegionOfInterest::fixed(mask)) else {
            panic!("a fixed region");
        };
        assert_eq!((width, height), (1024, 20));
        assert!(runs.len() < 100);
    }
}
