//! Normal images as the detector would have seen them had they not been trained on: what is usual, and their scores.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use flawforge_masks::Mask;
use flawforge_metrics::high_pixel;
use flawforge_models::forge::{FeatureMap, Fusion, Head, Normal, SizedBank, compared, finest};
use flawforge_models::{AnomalyMap, Place, joined, quiet_outside};
use image::RgbImage;
use rayon::prelude::*;

use super::settings::DetailSettings;
use crate::error::Result;
use crate::recipe::{Highest, Unseen};
use crate::windowing::{Windowing, cut, lies, places};

/// Windows, at most, whose maps tell what is usual (proposal).
const TELLING: usize = 256;

/// What the network sees of an image at each size: its maps, of all sizes but the first those that are compared alone.
pub(super) type Sizes = Vec<Vec<FeatureMap>>;

/// A normal image that is compared with all others in the end.
pub(super) struct Kept {
    pub(super) image: KeptImage,
    /// Its region of interest, if that is not all of it.
    pub(super) inside: Option<Mask>,
}

/// What is kept of it.
pub(super) enum KeptImage {
    /// What the network saw of it.
    Seen(Sizes),
    /// Its pixels: what the network sees of many windows would be too much to keep, and is computed again.
    Shown(RgbImage),
}

impl KeptImage {
    /// What the network sees of a part of it, and where that lies; the same part for the same number.
    pub(super) fn part(
        &self,
        number: usize,
        windowing: Option<&Windowing>,
        see: &See<'_>,
    ) -> Result<(Cow<'_, Sizes>, Place)> {
        Ok(match self {
            Self::Seen(sizes) => (Cow::Borrowed(sizes), Place::WHOLE),
            Self::Shown(image) => {
                let windows = places(windowing, image.dimensions());
                // Not the same window of every image.
                let window = windows[number * 7 % windows.len()];
                let place = lies(windowing, image.dimensions(), window);
                (Cow::Owned(see(&cut(windowing, image, window))?), place)
            }
        })
    }
}

/// What the network sees of an image at each size.
pub(super) type See<'a> = dyn Fn(&RgbImage) -> Result<Sizes> + Sync + 'a;

/// Distances at each size and of details, and the head's probabilities, of what is seen at once; not smoothed.
struct Grids {
    distances: Vec<AnomalyMap>,
    probabilities: Option<AnomalyMap>,
}

/// The same, smoothed at the size of maps.
struct Smooth {
    distances: Vec<AnomalyMap>,
    probabilities: Option<AnomalyMap>,
}

/// The detector's parts, and how images are seen.
pub(super) struct LeftOut<'a> {
    /// Of each size, and that of details.
    pub(super) banks: &'a [SizedBank],
    pub(super) windowing: Option<&'a Windowing>,
    pub(super) see: &'a See<'a>,
}

/// Of each image whose maps are kept, its distances at each size to the vectors of the others; none where the banks hold no others.
pub(super) type Compared = Vec<Option<Vec<AnomalyMap>>>;

/// What the images tell.
pub(super) struct Told {
    /// The scores of the images.
    pub(super) unseen: Vec<Unseen>,
    /// The maps of those that score highest.
    pub(super) maps: Highest,
    /// The largest score of a pixel.
    pub(super) largest: f32,
}

impl LeftOut<'_> {
    /// Compares each image whose maps are kept with the vectors of the others, which needs no head yet.
    pub(super) fn compare(&self, normal: &[(usize, Kept)]) -> Result<Compared> {
        let distances = normal.par_iter().map(|(number, kept)| match &kept.image {
            KeptImage::Seen(sizes) => self.distances(*number as u32, sizes, Place::WHOLE),
            KeptImage::Shown(_) => Ok(None),
        });
        distances.collect()
    }

    /// Completes the fusion by what is usual, from what was [compared](Self::compare) and the head. It loses its details where they
    /// are restless.
    pub(super) fn measure(
        &self,
        normal: &[(usize, Kept)],
        compared: Compared,
        head: Option<&Head>,
        fusion: &mut Fusion,
        details: Option<&DetailSettings>,
    ) -> Result<Told> {
        let grids: Vec<Vec<Grids>> = normal
            .par_iter()
            .zip(compared)
            .map(|((number, kept), distances)| self.grids(*number as u32, kept, distances, head))
            .collect::<Result<_>>()?;
        let all: Vec<&Grids> = grids.iter().flatten().collect();
        let count = all.len().min(TELLING);
        let smoothing = &*fusion;
        let telling: Vec<Smooth> = (0..count)
            .into_par_iter()
            .map(|place| smooth(smoothing, all[place * all.len() / count]))
            .collect();
        let usual = |place: usize| {
            let mean = Normal::of(telling.iter().map(|one| &one.distances[place])).mean;
            if mean > 0.0 { mean } else { 1.0 }
        };
        fusion.usual = (0..fusion.usual.len()).map(usual).collect();
        fusion.details = details.and_then(|settings| {
            let (place, usual) = (fusion.usual.len(), usual(fusion.usual.len()));
            let maxima = telling.iter().map(|one| one.distances[place].largest() / usual);
            settings.of(usual, maxima.collect())
        });
        let summed = &*fusion;
        let sums: Vec<AnomalyMap> = telling.par_iter().map(|one| summed.sum(&one.distances)).collect();
        fusion.distances = Normal::of(&sums);
        fusion.head = Normal::of(telling.iter().filter_map(|one| one.probabilities.as_ref()));
        let fused = &*fusion;
        let map = |grids: &Grids| {
            let one = smooth(fused, grids);
            fused.fused(&fused.sum(&one.distances), one.probabilities.as_ref())
        };
        let maps: Vec<Option<AnomalyMap>> = match self.windowing {
            // Every image is one of those that tell.
            None if all.len() == count => telling
                .par_iter()
                .zip(&sums)
                .map(|(one, sum)| Some(fused.fused(sum, one.probabilities.as_ref())))
                .collect(),
            _ => Vec::new(),
        };
        let mut whole = maps.into_iter();
        let mut scored = Vec::with_capacity(normal.len());
        for ((number, kept), grids) in normal.iter().zip(&grids) {
            if !grids.is_empty() {
                scored.push((*number, kept, grids, whole.next().flatten()));
            }
        }
        let highest = Mutex::new(Highest::default());
        let scores: Vec<(Unseen, f32)> = scored
            .into_par_iter()
            .map(|(place, kept, grids, whole)| {
                let mut map = match (whole, &kept.image, self.windowing) {
                    (Some(map), _, _) => map,
                    (None, KeptImage::Shown(image), Some(windowing)) => {
                        let maps: Vec<AnomalyMap> = grids.iter().map(map).collect();
                        let places = windowing.windows.over(image.dimensions());
                        joined(
                            &windowing.windows,
                            image.dimensions(),
                            places.into_iter().zip(&maps),
                        )
                    }
                    (None, ..) => map(&grids[0]),
                };
                if let Some(inside) = &kept.inside {
                    quiet_outside(&mut map, inside);
                }
                let one = Unseen {
                    place,
                    score: fused.score(&map),
                    pixel: high_pixel(&map.scores),
                };
                // What is kept does not depend on who comes first.
                highest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .offer(one.place, one.score, &map);
                (one, map.largest())
            })
            .collect();
        Ok(Told {
            largest: scores.iter().map(|(_, largest)| *largest).fold(0.0, f32::max),
            unseen: scores.into_iter().map(|(one, _)| one).collect(),
            maps: highest.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Of each part of an image that is seen at once; none where the banks hold no others.
    fn grids(
        &self,
        number: u32,
        kept: &Kept,
        compared: Option<Vec<AnomalyMap>>,
        head: Option<&Head>,
    ) -> Result<Vec<Grids>> {
        let of = |distances: Option<Vec<AnomalyMap>>, sizes: &Sizes| -> Result<Option<Grids>> {
            let Some(distances) = distances else {
                return Ok(None);
            };
            let probabilities = match (head, sizes.first()) {
                (Some(head), Some(maps)) => Some(head.probabilities(maps)?),
                _ => None,
            };
            Ok(Some(Grids {
                distances,
                probabilities,
            }))
        };
        let grids: Vec<Option<Grids>> = match &kept.image {
            KeptImage::Seen(sizes) => vec![of(compared, sizes)?],
            KeptImage::Shown(image) => places(self.windowing, image.dimensions())
                .into_par_iter()
                .map(|window| {
                    let sizes = (self.see)(&cut(self.windowing, image, window))?;
                    let place = lies(self.windowing, image.dimensions(), window);
                    of(self.distances(number, &sizes, place)?, &sizes)
                })
                .collect::<Result<_>>()?,
        };
        Ok(grids.into_iter().flatten().collect())
    }

    /// The distances at each size to the vectors of other images, of what lies at a place in one; `None` where a bank holds no others.
    fn distances(&self, number: u32, sizes: &Sizes, place: Place) -> Result<Option<Vec<AnomalyMap>>> {
        let mut distances = Vec::with_capacity(self.banks.len());
        for (size, (bank, maps)) in self.banks.iter().zip(sizes).enumerate() {
            let maps = if size == 0 { compared(maps) } else { maps };
            distances.push(bank.distances_without(number, maps, place)?);
        }
        if let (Some(bank), Some(maps)) = (self.banks.get(sizes.len()), sizes.first()) {
            distances.push(bank.distances_without(number, finest(maps), place)?);
        }
        Ok(distances.into_iter().collect())
    }
}

fn smooth(fusion: &Fusion, grids: &Grids) -> Smooth {
    Smooth {
        distances: grids.distances.iter().map(|map| fusion.smooth(map)).collect(),
        probabilities: grids.probabilities.as_ref().map(|map| fusion.smooth(map)),
    }
}
