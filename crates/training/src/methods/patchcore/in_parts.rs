//! Normal images that are seen in windows, or of which a region is looked at: each as a whole compared with the patches of all others.

use std::sync::{Mutex, PoisonError};

use flawforge_masks::Mask;
use flawforge_metrics::high_pixel;
use flawforge_models::patchcore::{Patches, Scoring};
use flawforge_models::{AnomalyMap, CenterCrop, joined, quiet_outside};
use image::RgbImage;
use rayon::prelude::*;

use super::collected::Chosen;
use crate::error::Result;
use crate::recipe::{Highest, Unseen};
use crate::windowing::{Windowing, parts};

/// A normal image that is compared with all others in the end.
pub(super) struct Whole {
    /// Its number.
    pub(super) number: u32,
    pub(super) image: RgbImage,
    /// Its region of interest, if that is not all of it.
    pub(super) inside: Option<Mask>,
}

/// The patches of what is seen at once, at each size.
pub(super) type See<'a> = dyn Fn(&RgbImage) -> Result<Vec<Patches>> + Sync + 'a;

/// The banks at all sizes, and how images are seen.
pub(super) struct InParts<'a> {
    pub(super) chosen: &'a [Chosen],
    /// What counts as far at each size.
    pub(super) usual: &'a [f32],
    pub(super) scoring: Scoring,
    pub(super) crop: CenterCrop,
    pub(super) windowing: Option<&'a Windowing>,
    pub(super) see: &'a See<'a>,
}

impl InParts<'_> {
    /// Compares the images, as far as there are others to compare them with: their scores, and the maps of the highest of them.
    pub(super) fn measure<'a>(
        &self,
        images: impl Iterator<Item = &'a Whole>,
    ) -> Result<(Vec<Unseen>, Highest)> {
        let images: Vec<&Whole> = images.collect();
        let highest = Mutex::new(Highest::default());
        let unseen = images.into_par_iter().map(|whole| {
            let Some((map, score)) = self.compared(whole)? else {
                return Ok(None);
            };
            let place = whole.number as usize;
            // What is kept does not depend on who comes first.
            highest
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .offer(place, score, &map);
            Ok(Some(Unseen {
                place,
                score,
                pixel: high_pixel(&map.scores),
            }))
        });
        let unseen: Vec<Option<Unseen>> = unseen.collect::<Result<_>>()?;
        let maps = highest.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((unseen.into_iter().flatten().collect(), maps))
    }

    /// The map and the score of an image; `None` if a bank has no vectors of others.
    fn compared(&self, whole: &Whole) -> Result<Option<(AnomalyMap, f32)>> {
        let mut others = Vec::with_capacity(self.chosen.len());
        for chosen in self.chosen {
            match chosen.bank.without(whole.number, &chosen.origins)? {
                Some(among) => others.push(among),
                None => return Ok(None),
            }
        }
        let of = |part: &RgbImage| {
            let mut sizes = Vec::with_capacity(self.chosen.len());
            let patches = (self.see)(&self.crop.cropped(part))?;
            let banks = self.chosen.iter().zip(&others).zip(self.usual);
            for (patches, ((chosen, others), &usual)) in patches.iter().zip(banks) {
                let compared = self.scoring.compare(patches, &chosen.bank, Some(others))?;
                sizes.push((compared, usual));
            }
            Ok(self.scoring.detection(&sizes, &self.crop)?)
        };
        let parts = parts(self.windowing, &whole.image);
        let found = parts.par_iter().map(|part| of(part));
        let found = found.collect::<Result<Vec<_>>>()?;
        let mut score = None;
        let mut map = match self.windowing {
            Some(windowing) => {
                let size = whole.image.dimensions();
                let places = windowing.windows.over(size).into_iter();
                let maps = found.iter().map(|one| &one.map);
                joined(&windowing.windows, size, places.zip(maps))
            }
            None => {
                let Some(one) = found.into_iter().next() else {
                    return Ok(None);
                };
                score = Some(one.verdict_score);
                one.map
            }
        };
        if let Some(inside) = &whole.inside {
            quiet_outside(&mut map, inside);
            score = None;
        }
        // As the detector scores a map that was put together, or made quiet outside.
        let score = score.unwrap_or_else(|| map.largest());
        Ok(Some((map, score)))
    }
}
