//! How many patches PatchCore keeps while it collects them: all, as the paper does, or so many that memory does not grow with
//! the number of images.

use candle_core::Device;
use flawforge_augment::Stream;
use flawforge_models::patchcore::Coreset;
use rand::Rng;

use super::settings::Group;
use crate::error::Result;

/// Thinned patches take this share of [`Group::most_bytes`]: by the default 410 MiB (proposal).
const THINNED: f64 = 0.2;

/// That patches are thinned, and how far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Thinning {
    /// The share that is kept of the patches of each batch.
    pub(super) share: f64,
}

impl Thinning {
    /// How patches are thinned where there are so many of dimension `length`; `None`: all are kept.
    fn of(patches: usize, length: usize, most_bytes: u64) -> Option<Self> {
        let bytes = bytes(patches, length);
        let share = THINNED * most_bytes as f64 / bytes as f64;
        (bytes > most_bytes).then_some(Self { share })
    }

    /// Places of the most representative of a batch's patches, ascending: a coreset of their own.
    pub(super) fn thin(
        &self,
        block: &[f32],
        length: usize,
        coreset: Coreset,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Vec<usize>> {
        let coreset = Coreset {
            ratio: self.share,
            ..coreset
        };
        let mut chosen = coreset.select(block, length, rng, device)?;
        chosen.sort_unstable();
        Ok(chosen)
    }
}

/// The share of the thinned patches that makes the bank: as many as of all, and half of them at most.
pub(super) fn bank_share(kept: usize, all: usize, ratio: f64) -> f64 {
    (ratio * all as f64 / kept.max(1) as f64).min(0.5)
}

fn bytes(patches: usize, length: usize) -> u64 {
    4 * patches as u64 * length as u64
}

impl Group {
    /// How the patches of `images` images, `patches` each, are thinned; `None`: all are kept.
    pub(super) fn thinning(&self, images: usize, patches: usize) -> Option<Thinning> {
        Thinning::of(images.saturating_mul(patches), self.embedding, self.most_bytes)
    }

    /// Images of `patches` patches each whose patches are all kept beside the thinned ones, to be compared with the bank: as many as
    /// take no more room than these.
    pub(super) fn whole_images(&self, patches: usize) -> usize {
        (THINNED * self.most_bytes as f64 / bytes(patches, self.embedding).max(1) as f64) as usize
    }

    /// What is said of the memory of a training on `images` images, where not all patches are kept.
    pub(super) fn said(&self, images: usize) -> Option<String> {
        let each: usize = self.places().iter().sum();
        let thinning = self.thinning(images, each)?;
        let megabytes = |bytes: f64| bytes / 1e6;
        let all = bytes(images.saturating_mul(each), self.embedding) as f64;
        Some(format!(
            "PatchCore's patches: {images} images x {each} patches x {} numbers are {:.0} MB, over patchcore.most_bytes ({:.0} MB); \
             {:.2} % of each batch's are kept, {:.0} MB, and the bank is chosen from these (the paper: from all)",
            self.embedding,
            megabytes(all),
            megabytes(self.most_bytes as f64),
            100.0 * thinning.share,
            megabytes(all * thinning.share),
        ))
    }
}

/// The random numbers by which the batch of a step is thinned, at the size of that number.
pub(super) fn stream(seed: u64, step: u64, size: usize) -> impl Rng {
    let index = size as u64;
    Stream { seed, step, index }.rng("thin patches")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_patches_are_all_kept_and_many_take_a_fifth() {
        assert_eq!(Thinning::of(1000, 8, 32_000), None);
        let thinning = Thinning::of(4000, 8, 32_000).unwrap();
        assert!((thinning.share - 0.05).abs() < 1e-12);
        // A tenth of all would be more than was kept.
        assert_eq!(bank_share(200, 4000, 0.1), 0.5);
        assert!((bank_share(200, 4000, 0.01) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn what_is_kept_of_a_batch_is_of_it_and_spreads() {
        // Ten places, twenty vectors at each.
        let block: Vec<f32> = (0..200)
            .flat_map(|index| [(index % 10) as f32 * 5.0, (index % 10) as f32])
            .collect();
        let thinning = Thinning { share: 0.05 };
        let thin = |step| {
            let coreset = Coreset {
                projection: None,
                ..Coreset::default()
            };
            thinning
                .thin(&block, 2, coreset, &mut stream(3, step, 0), &Device::Cpu)
                .unwrap()
        };
        let kept = thin(7);
        assert_eq!(kept.len(), 10);
        let mut places: Vec<i32> = kept.iter().map(|&index| block[2 * index + 1] as i32).collect();
        places.sort_unstable();
        assert_eq!(places, (0..10).collect::<Vec<_>>());
        assert_eq!(thin(7), kept);
    }
}
