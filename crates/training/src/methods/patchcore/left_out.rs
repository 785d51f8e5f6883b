//! Each normal image compared with the patches of all others: what is usual, and what the detector would say had it not seen it.

use std::sync::Mutex;

use flawforge_metrics::high_pixel;
use flawforge_models::CenterCrop;
use flawforge_models::patchcore::{Compared, Scoring};
use rayon::prelude::*;

use super::collected::{Chosen, Collected};
use crate::error::Result;
use crate::recipe::{Highest, Unseen};

/// Images, at least and at most, that are compared with all others (proposal): the fewest tell what is usual.
const LEFT_OUT: (usize, usize) = (16, 256);

/// How many images are compared with all others, where so many are to calibrate thresholds: no more than that, since each costs a
/// search through the bank, and tables of metrics need few.
pub(crate) fn left_out(calibrated: usize) -> usize {
    calibrated.clamp(LEFT_OUT.0, LEFT_OUT.1)
}

/// The banks at all sizes, and the images that they are made of.
pub(super) struct LeftOut<'a> {
    pub(super) collected: &'a [Collected],
    pub(super) chosen: &'a [Chosen],
    pub(super) scoring: Scoring,
    pub(super) crop: CenterCrop,
    /// Images to compare, at most.
    pub(super) count: usize,
}

/// What the comparison says.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Measured {
    /// What counts as far at each size.
    pub(super) usual: Vec<f32>,
    /// The scores of the images.
    pub(super) unseen: Vec<Unseen>,
    /// The maps of the highest of them.
    pub(super) maps: Highest,
}

impl LeftOut<'_> {
    /// Compares the images, as far as there are others to compare them with.
    pub(super) fn measure(&self) -> Result<Measured> {
        let numbers = self.collected.first().map(Collected::numbers).unwrap_or_default();
        let count = self.count.min(numbers.len());
        let compared = (0..count)
            .into_par_iter()
            .map(|place| {
                let number = numbers[place * numbers.len() / count];
                Ok(self.compared(number)?.map(|sizes| (number, sizes)))
            })
            .collect::<Result<Vec<_>>>()?;
        let compared: Vec<(u32, Vec<Compared>)> = compared.into_iter().flatten().collect();
        let usual: Vec<f32> = (0..self.chosen.len())
            .map(|size| mean(compared.iter().map(|(_, sizes)| &sizes[size])))
            .collect();
        let maps = Mutex::new(Highest::default());
        let group = |number| self.collected.first().map_or(number, |one| one.group(number));
        let unseen = compared.into_par_iter().map(|(number, sizes)| {
            let sizes: Vec<(Compared, f32)> = sizes.into_iter().zip(usual.iter().copied()).collect();
            let detection = self.scoring.detection(&sizes, &self.crop)?;
            let one = Unseen {
                place: group(number) as usize,
                score: detection.verdict_score,
                pixel: high_pixel(&detection.map.scores),
            };
            if let Ok(mut maps) = maps.lock() {
                maps.offer(one.place, one.score, &detection.map);
            }
            Ok(one)
        });
        let unseen = unseen.collect::<Result<_>>()?;
        let maps = maps.into_inner().unwrap_or_default();
        Ok(Measured { usual, unseen, maps })
    }

    /// An image at every size; `None` if no bank has vectors of others.
    fn compared(&self, number: u32) -> Result<Option<Vec<Compared>>> {
        let mut sizes = Vec::with_capacity(self.chosen.len());
        for (collected, chosen) in self.collected.iter().zip(self.chosen) {
            let others = chosen.bank.without(collected.group(number), &chosen.origins)?;
            let (Some(patches), Some(others)) = (collected.image(number), others) else {
                return Ok(None);
            };
            sizes.push(self.scoring.compare(&patches, &chosen.bank, Some(&others))?);
        }
        Ok(Some(sizes))
    }
}

/// The mean squared distance, 1 where all patches are like others.
fn mean<'a>(all: impl Iterator<Item = &'a Compared>) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0f64);
    for compared in all {
        for &squared in &compared.squared.scores {
            sum += f64::from(squared);
            count += 1.0;
        }
    }
    if sum > 0.0 { (sum / count) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use flawforge_models::patchcore::{Coreset, MemoryBank, Patches};
    use rand::Rng;

    use super::*;
    use crate::methods::patchcore::collected::Of;
    use crate::methods::patchcore::room;

    const LENGTH: usize = 6;

    fn own(image: u32) -> Of {
        Of {
            image,
            is_copy: false,
        }
    }

    fn image(number: u64) -> Patches {
        let mut random = room::stream(number, 7, 0);
        Patches {
            width: 5,
            height: 4,
            vectors: (0..20 * LENGTH).map(|_| random.random_range(0.0..1.0)).collect(),
        }
    }

    /// The bank and its images, chosen of five images.
    fn chosen(ratio: f64) -> (Collected, Chosen) {
        let mut collected = Collected::new(LENGTH, 1);
        collected.add((0..5).map(image).collect(), &[0, 1, 2, 3, 4].map(own));
        let coreset = Coreset {
            ratio,
            projection: None,
            starts: 3,
        };
        let mut random = room::stream(1, 0, 0);
        let chosen = collected.choose(coreset, &mut random, &Device::Cpu).unwrap();
        (collected, chosen)
    }

    /// A bank of its own, of the vectors of the other images.
    fn others(chosen: &Chosen, number: u32) -> MemoryBank {
        let vectors = chosen.bank.to_tensor().unwrap().to_vec2::<f32>().unwrap();
        let kept = vectors
            .iter()
            .zip(&chosen.origins)
            .filter(|&(_, &origin)| origin != number);
        let kept: Vec<f32> = kept.flat_map(|(vector, _)| vector.clone()).collect();
        MemoryBank::new(&kept, LENGTH).unwrap()
    }

    #[test]
    fn a_score_is_that_of_a_bank_without_the_images_own_vectors() {
        let crop = CenterCrop::whole(40, 32);
        for (ratio, reweight) in [(0.3, None), (0.3, Some(3)), (1.0, None), (1.0, Some(50))] {
            let (collected, chosen) = chosen(ratio);
            let scoring = Scoring { sigma: 1.0, reweight };
            let left_out = LeftOut {
                collected: &[collected],
                chosen: &[chosen],
                scoring,
                crop,
                count: 256,
            };
            let Measured { usual, unseen, maps } = left_out.measure().unwrap();
            assert_eq!(unseen.len(), 5);
            let highest = unseen.iter().map(|one| one.score).fold(0.0, f32::max);
            assert_eq!((maps.iter().count(), maps.iter().next().unwrap().1), (5, highest));
            let mut sum = 0.0;
            for one in &unseen {
                let bank = others(&left_out.chosen[0], one.place as u32);
                let wanted = scoring.compare(&image(one.place as u64), &bank, None).unwrap();
                assert_eq!(one.score, wanted.score, "{one:?}, {ratio} {reweight:?}");
                assert!(one.score > 0.0);
                sum += wanted.squared.scores.iter().sum::<f32>() / 100.0;
                let map = scoring.detection(&[(wanted, 1.0)], &crop).unwrap().map;
                assert_eq!(one.pixel, high_pixel(&map.scores));
            }
            assert!((usual[0] - sum).abs() < 1e-5, "{usual:?} {sum}");
        }
    }

    #[test]
    fn at_two_sizes_the_sum_of_both_is_scored() {
        let crop = CenterCrop::whole(40, 32);
        let scoring = Scoring {
            sigma: 1.0,
            reweight: None,
        };
        let (first, second) = (chosen(0.2), chosen(0.5));
        let left_out = LeftOut {
            collected: &[first.0, second.0],
            chosen: &[first.1, second.1],
            scoring,
            crop,
            count: 256,
        };
        let Measured { usual, unseen, .. } = left_out.measure().unwrap();
        assert!(usual[0] > usual[1], "fewer vectors are farther: {usual:?}");
        for found in &unseen {
            let one = |size: usize| {
                let bank = others(&left_out.chosen[size], found.place as u32);
                let compared = scoring.compare(&image(found.place as u64), &bank, None).unwrap();
                (compared, usual[size])
            };
            let wanted = scoring.detection(&[one(0), one(1)], &crop).unwrap();
            assert_eq!(found.score, wanted.score);
        }
    }

    #[test]
    fn the_copies_of_an_image_are_left_out_with_it() {
        let (collected, first) = chosen(1.0);
        let whole = Coreset {
            ratio: 1.0,
            projection: None,
            starts: 3,
        };
        let mut with_copies = Collected::new(LENGTH, 1);
        let copy = |image| Of { image, is_copy: true };
        // Copies that are like their images.
        let numbers = [0, 1, 2, 3, 4];
        with_copies.add((0..5).map(image).collect(), &numbers.map(own));
        with_copies.add((0..5).map(image).collect(), &numbers.map(copy));
        let second = with_copies
            .choose(whole, &mut room::stream(1, 0, 0), &Device::Cpu)
            .unwrap();
        let scores = |collected, chosen| {
            let left_out = LeftOut {
                collected: &[collected],
                chosen: &[chosen],
                scoring: Scoring {
                    sigma: 1.0,
                    reweight: None,
                },
                crop: CenterCrop::whole(40, 32),
                count: 256,
            };
            left_out.measure().unwrap().unseen
        };
        let found = scores(with_copies, second);
        assert_eq!(found, scores(collected, first));
        assert!(found.len() == 5 && found.iter().all(|one| one.score > 0.0));
    }

    #[test]
    fn one_image_has_no_others() {
        let mut collected = Collected::new(LENGTH, 1);
        collected.add(vec![image(0)], &[own(0)]);
        let coreset = Coreset::default();
        let chosen = collected
            .choose(coreset, &mut room::stream(1, 0, 0), &Device::Cpu)
            .unwrap();
        let left_out = LeftOut {
            collected: &[collected],
            chosen: &[chosen],
            scoring: Scoring::default(),
            crop: CenterCrop::whole(40, 32),
            count: 256,
        };
        let nothing = Measured {
            usual: vec![1.0],
            ..Measured::default()
        };
        assert_eq!(left_out.measure().unwrap(), nothing);
    }
}
