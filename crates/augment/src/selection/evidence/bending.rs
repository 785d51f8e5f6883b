//! Whether bending the surface shows: how often one try of the near-distribution simulator makes something visible.

use image::RgbImage;
use rayon::prelude::*;

use crate::{AnomalySimulator, NearDistribution, Stream};

/// Tries drawn, over all images together.
const TRIES: u64 = 240;

/// What near-distribution tries make of the normal images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bending {
    /// Share of single tries whose mask covers at least [`NearDistribution::min_coverage`] of the image.
    pub success: f32,
    /// Median coverage of the tries that succeed, as a share of the image; 0 when none does.
    pub coverage: f32,
    /// Tries drawn.
    pub tries: u64,
}

/// `normals` are at least one.
pub(super) fn bending(normals: &[&RgbImage], seed: u64) -> Bending {
    let simulator = NearDistribution {
        tries: 1,
        ..NearDistribution::default()
    };
    let mut made: Vec<f64> = (0..TRIES)
        .into_par_iter()
        .filter_map(|index| {
            let normal = normals[index as usize % normals.len()];
            let stream = Stream { seed, step: 0, index };
            let made = simulator.simulate(normal, &mut stream.rng("evidence: bending"))?;
            Some(made.mask.coverage())
        })
        .collect();
    made.sort_by(f64::total_cmp);
    Bending {
        success: made.len() as f32 / TRIES as f32,
        coverage: made.get(made.len() / 2).copied().unwrap_or(0.0) as f32,
        tries: TRIES,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn stripes_bend_and_a_plain_surface_does_not() {
        let stripes = RgbImage::from_fn(64, 64, |x, y| {
            Rgb([if (x / 6 + y / 6) % 2 == 0 { 200 } else { 60 }; 3])
        });
        let found = bending(&[&stripes], 1);
        assert!(found.success > 0.9 && found.coverage > 0.002, "{found:?}");
        let plain = RgbImage::from_pixel(64, 64, Rgb([90; 3]));
        assert_eq!(
            (bending(&[&plain], 1).success, bending(&[&plain], 1).coverage),
            (0.0, 0.0)
        );
    }
}
