//! Thin rotated rectangles.

use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::rectangle::within;
use crate::{Mask, MaskGenerator};

/// One thin rotated rectangle, its bounding box inside the image where it fits: CutPaste's scar
/// (CutPaste appendix A.2). Lengths are given for an image of 256 px and grow with the shorter side
/// (proposal: the source has only 256 px).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scar {
    /// Smallest and largest width in px of a 256-px image, uniform; 2 to 16.
    pub width: (f64, f64),
    /// Smallest and largest length in px of a 256-px image, uniform; 10 to 25.
    pub length: (f64, f64),
    /// Largest rotation in degrees, uniform in both directions; 45. The unrotated scar stands upright.
    pub max_rotation_degrees: f64,
}

impl Default for Scar {
    fn default() -> Self {
        Self {
            width: (2.0, 16.0),
            length: (10.0, 25.0),
            max_rotation_degrees: 45.0,
        }
    }
}

impl MaskGenerator for Scar {
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        let scale = f64::from(width.min(height)) / 256.0;
        // Half lengths; never thinner than one pixel.
        let half_width = (within(rng, self.width) * scale).max(1.0) / 2.0;
        let half_length = (within(rng, self.length) * scale).max(1.0) / 2.0;
        let angle = within(rng, (-self.max_rotation_degrees, self.max_rotation_degrees)).to_radians();
        let (sin, cos) = angle.sin_cos();
        let reach_x = half_width * cos.abs() + half_length * sin.abs();
        let reach_y = half_width * sin.abs() + half_length * cos.abs();
        let mut center = |reach: f64, side: u32| {
            let side = f64::from(side);
            let free = (side - 2.0 * reach).max(0.0);
            side / 2.0 + (rng.random::<f64>() - 0.5) * free
        };
        let (cx, cy) = (center(reach_x, width), center(reach_y, height));
        mask.reset(width, height);
        // Only what the bounding box holds; one more pixel on every side for rounding.
        let span = |center: f64, reach: f64, side: u32| {
            (center - reach - 1.0).max(0.0) as u32..((center + reach + 2.0) as u32).min(side)
        };
        for y in span(cy, reach_y, height) {
            for x in span(cx, reach_x, width) {
                let (dx, dy) = (f64::from(x) + 0.5 - cx, f64::from(y) + 0.5 - cy);
                if (dx * cos + dy * sin).abs() <= half_width && (dy * cos - dx * sin).abs() <= half_length {
                    mask.set(x, y, true);
                }
            }
        }
        // A thin scar may fall between pixel centres.
        mask.set(cx as u32, cy as u32, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn areas_are_as_defined() {
        let draws = 500;
        let mut total = 0.0;
        for index in 0..draws {
            let mask = Scar::default().generate(
                256,
                256,
                &mut Stream {
                    seed: 3,
                    step: 0,
                    index,
                }
                .rng(""),
            );
            assert!((10..=450).contains(&mask.count()), "{}", mask.count());
            total += mask.count() as f64;
        }
        // E[width] * E[length] = 9 * 17.5
        let mean = total / draws as f64;
        assert!((mean - 157.5).abs() < 10.0, "{mean}");
    }

    #[test]
    fn lengths_follow_the_image() {
        let mean = |side: u32| {
            (0..200)
                .map(|index| {
                    Scar::default()
                        .generate(
                            side,
                            side,
                            &mut Stream {
                                seed: 3,
                                step: 0,
                                index,
                            }
                            .rng(""),
                        )
                        .coverage()
                })
                .sum::<f64>()
                / 200.0
        };
        assert!((mean(512) / mean(256) - 1.0).abs() < 0.1);
    }

    #[test]
    fn no_size_is_empty() {
        for (w, h) in [(1, 1), (32, 32), (3, 200)] {
            for index in 0..50 {
                assert!(
                    !Scar::default()
                        .generate(
                            w,
                            h,
                            &mut Stream {
                                seed: 0,
                                step: 0,
                                index
                            }
                            .rng("")
                        )
                        .is_empty()
                );
            }
        }
    }
}
