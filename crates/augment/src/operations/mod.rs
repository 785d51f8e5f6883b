//! The ten operations that DRAEM applies to its textures.

mod brightness;
mod chain;
mod color;
#[cfg(test)]
mod golden;
mod histogram;
mod hue;
mod sharpness;

use image::RgbImage;
use rand::{Rng, RngCore};

pub(crate) use chain::Chain;
pub use color::ColorSpace;

/// Draws `count` of DRAEM's ten texture operations without replacement and applies them in the order drawn.
///
/// DRAEM's code holds images in BGR order but hands them to its augmentation library as RGB, so that hue,
/// saturation and brightness are changed in the colour space of the image with red and blue exchanged. The
/// operations here do the same to RGB images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextureOperations {
    /// How many operations are applied, at most 10; 3.
    pub count: usize,
}

impl Default for TextureOperations {
    fn default() -> Self {
        Self { count: 3 }
    }
}

impl TextureOperations {
    /// Draws the operations with DRAEM's ranges.
    pub fn draw(&self, rng: &mut dyn RngCore) -> Vec<TextureOperation> {
        let mut drawn = Vec::new();
        self.draw_into(&mut drawn, rng);
        drawn
    }

    /// Adds the operations drawn to others.
    pub(crate) fn draw_into(&self, drawn: &mut Vec<TextureOperation>, rng: &mut dyn RngCore) {
        let mut left: [usize; TextureOperation::NUMBER] = std::array::from_fn(|index| index);
        let count = self.count.min(left.len());
        drawn.extend((0..count).map(|taken| {
            left.swap(taken, rng.random_range(taken..TextureOperation::NUMBER));
            TextureOperation::draw(left[taken], rng)
        }));
    }

    /// Draws operations and applies them.
    pub fn apply(&self, mut texture: RgbImage, rng: &mut dyn RngCore) -> RgbImage {
        Chain::default().run(&self.draw(rng), &mut texture, None);
        texture
    }
}

/// One of DRAEM's texture operations with its parameters; 8 bits in, 8 bits out, as imgaug 0.4.0, Pillow and
/// OpenCV compute them.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum TextureOperation {
    /// `trunc(255 (v / 255)^gamma)` per channel; DRAEM: each uniform in [0.5, 2).
    Gamma {
        /// Exponents of R, G, B.
        gammas: [f32; 3],
    },
    /// `trunc(v * multiply)` and `v + round(add)`, clipped, on the brightness channel of a colour space.
    Brightness {
        /// DRAEM: one of the six.
        space: ColorSpace,
        /// DRAEM: uniform in [0.8, 1.2).
        multiply: f32,
        /// In levels; DRAEM: uniform in [-30, 30).
        add: f32,
        /// Whether multiplication comes before addition; DRAEM: even chances.
        multiply_first: bool,
    },
    /// Pillow's sharpness: 0 is smoothed, 1 the image itself, 2 sharpened; DRAEM: uniform in [0, 2).
    Sharpness {
        /// The factor.
        factor: f32,
    },
    /// Shifts of hue and saturation in 8-bit HSV.
    HueSaturation {
        /// In 1/255 of a full turn; DRAEM: uniform in -50..=50.
        hue: i32,
        /// In levels; DRAEM: uniform in -50..=50.
        saturation: i32,
    },
    /// `255 - v` where `v` reaches the threshold.
    Solarize {
        /// DRAEM: with even chances `None`, which changes nothing, or uniform in 32..=127.
        threshold: Option<u8>,
    },
    /// Keeps the uppermost bits.
    Posterize {
        /// How many; 8 changes nothing; DRAEM: uniform in 1..=8.
        bits: u8,
    },
    /// `255 - v`.
    Invert,
    /// Pillow's automatic contrast, per channel.
    AutoContrast {
        /// Percentage of pixels cut from either end of the histogram; DRAEM: uniform in 0..=20.
        cutoff: u8,
    },
    /// Pillow's histogram equalisation, per channel.
    Equalize,
    /// Rotation about the centre, bilinear, black corners.
    Rotate {
        /// Clockwise; DRAEM: uniform in [-45, 45).
        degrees: f32,
    },
}

impl TextureOperation {
    /// How many operations there are.
    pub const NUMBER: usize = 10;

    fn draw(index: usize, rng: &mut dyn RngCore) -> Self {
        match index {
            0 => Self::Gamma {
                gammas: std::array::from_fn(|_| rng.random_range(0.5..2.0)),
            },
            1 => Self::Brightness {
                space: ColorSpace::ALL[rng.random_range(0..ColorSpace::ALL.len())],
                multiply: rng.random_range(0.8..1.2),
                add: rng.random_range(-30.0..30.0),
                multiply_first: rng.random(),
            },
            2 => Self::Sharpness {
                factor: rng.random_range(0.0..2.0),
            },
            3 => Self::HueSaturation {
                hue: rng.random_range(-50..=50),
                saturation: rng.random_range(-50..=50),
            },
            4 => {
                let threshold = rng.random_range(32.0_f32..128.0) as u8;
                Self::Solarize {
                    threshold: rng.random::<bool>().then_some(threshold),
                }
            }
            5 => Self::Posterize {
                bits: rng.random_range(1..=8),
            },
            6 => Self::Invert,
            7 => Self::AutoContrast {
                cutoff: rng.random_range(0..=20),
            },
            8 => Self::Equalize,
            _ => Self::Rotate {
                degrees: rng.random_range(-45.0..45.0),
            },
        }
    }

    /// Applies the operation in place.
    pub fn apply(&self, image: &mut RgbImage) {
        Chain::default().run(&[*self], image, None);
    }
}

/// A new value for each of 256 levels.
type Table = [u8; 256];

fn table(f: impl Fn(f32) -> u8) -> Table {
    std::array::from_fn(|level| f(level as f32))
}

#[cfg(test)]
mod tests {
    use std::mem;

    use super::*;
    use crate::Stream;

    #[test]
    fn operations_are_drawn_without_replacement_and_in_any_order() {
        let mut first = [0; TextureOperation::NUMBER];
        for index in 0..2000 {
            let mut rng = Stream {
                seed: 5,
                step: 0,
                index,
            }
            .rng("");
            let drawn = TextureOperations::default().draw(&mut rng);
            let kinds: Vec<_> = drawn.iter().map(mem::discriminant).collect();
            assert!(kinds.len() == 3 && kinds[0] != kinds[1] && kinds[0] != kinds[2] && kinds[1] != kinds[2]);
            let place = (0..10).find(|&i| {
                mem::discriminant(&TextureOperation::draw(i, &mut Stream::default().rng(""))) == kinds[0]
            });
            first[place.unwrap()] += 1;
        }
        assert!(
            first.iter().all(|&count| (140..260).contains(&count)),
            "{first:?}"
        );
        assert_eq!(
            TextureOperations { count: 99 }
                .draw(&mut Stream::default().rng(""))
                .len(),
            10
        );
    }

    #[test]
    fn odd_sizes_survive_every_operation() {
        for (width, height) in [(1, 1), (1, 9), (7, 1), (2, 2), (33, 5)] {
            let image = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([(x * 40) as u8, (y * 70) as u8, 200])
            });
            for index in 0..TextureOperation::NUMBER {
                for seed in 0..8 {
                    let mut rng = Stream::of_run(seed).rng("");
                    let mut changed = image.clone();
                    TextureOperation::draw(index, &mut rng).apply(&mut changed);
                    assert_eq!(changed.dimensions(), image.dimensions());
                }
            }
        }
    }
}
