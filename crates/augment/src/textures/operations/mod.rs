//! The ten operations that DRAEM applies to its textures.

mod brightness;
mod chain;
mod color;
#[cfg(test)]
mod golden;
mod histogram;
mod hue;
mod sharpness;

use flawforge_masks::decimal::decimal;
use image::RgbImage;
use rand::distr::uniform::SampleUniform;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::SettingsError;
use crate::settings::{pair, positive_up_to, whole};
pub(crate) use chain::Chain;
pub use color::ColorSpace;

/// Draws `count` of DRAEM's ten texture operations without replacement and applies them in the order drawn.
///
/// DRAEM's code holds images in BGR order but hands them to its augmentation library as RGB, so that hue,
/// saturation and brightness are changed in the colour space of the image with red and blue exchanged. The
/// operations here do the same to RGB images.
///
/// The bounds are those within which each operation's parameters are uniform; the defaults are DRAEM's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextureOperations {
    /// How many operations are applied, at most 10; 3.
    pub count: usize,
    /// Exponents of [`TextureOperation::Gamma`], greater than 0, the upper bound excluded; 0.5 to 2.
    #[serde(serialize_with = "decimal")]
    pub gamma: (f32, f32),
    /// Factors of [`TextureOperation::Brightness`], at least 0, the upper bound excluded; 0.8 to 1.2.
    #[serde(serialize_with = "decimal")]
    pub brightness_factor: (f32, f32),
    /// Levels that [`TextureOperation::Brightness`] adds, the upper bound excluded; -30 to 30.
    #[serde(serialize_with = "decimal")]
    pub brightness_shift: (f32, f32),
    /// Factors of [`TextureOperation::Sharpness`], at least 0, the upper bound excluded; 0 to 2.
    #[serde(serialize_with = "decimal")]
    pub sharpness: (f32, f32),
    /// Shifts of the hue by [`TextureOperation::HueSaturation`], in 1/255 of a turn; -50 to 50.
    pub hue: (i32, i32),
    /// Shifts of the saturation by [`TextureOperation::HueSaturation`], in levels; -50 to 50.
    pub saturation: (i32, i32),
    /// Thresholds of [`TextureOperation::Solarize`], which are whole levels, the upper bound excluded; 32 to 128. With even
    /// chances there is none.
    #[serde(serialize_with = "decimal")]
    pub solarize_threshold: (f32, f32),
    /// Bits that [`TextureOperation::Posterize`] keeps, 1 to 8; 1 to 8.
    pub posterize_bits: (u8, u8),
    /// Percentages that [`TextureOperation::AutoContrast`] cuts from either end, less than 50; 0 to 20.
    pub contrast_cutoff: (u8, u8),
    /// Angles of [`TextureOperation::Rotate`] in degrees, the upper bound excluded; -45 to 45.
    #[serde(serialize_with = "decimal")]
    pub rotation_degrees: (f32, f32),
}

impl Default for TextureOperations {
    fn default() -> Self {
        Self {
            count: 3,
            gamma: (0.5, 2.0),
            brightness_factor: (0.8, 1.2),
            brightness_shift: (-30.0, 30.0),
            sharpness: (0.0, 2.0),
            hue: (-50, 50),
            saturation: (-50, 50),
            solarize_threshold: (32.0, 128.0),
            posterize_bits: (1, 8),
            contrast_cutoff: (0, 20),
            rotation_degrees: (-45.0, 45.0),
        }
    }
}

impl TextureOperations {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        whole("count", self.count, 0..=TextureOperation::NUMBER)?;
        pair("gamma", self.gamma, positive_up_to(100.0))?;
        pair("brightness_factor", self.brightness_factor, 0.0..=100.0)?;
        pair("brightness_shift", self.brightness_shift, -255.0..=255.0)?;
        pair("sharpness", self.sharpness, 0.0..=100.0)?;
        pair("hue", self.hue, -255.0..=255.0)?;
        pair("saturation", self.saturation, -255.0..=255.0)?;
        pair("solarize_threshold", self.solarize_threshold, 0.0..=256.0)?;
        pair("posterize_bits", self.posterize_bits, 1.0..=8.0)?;
        pair("contrast_cutoff", self.contrast_cutoff, 0.0..50.0)?;
        pair("rotation_degrees", self.rotation_degrees, -180.0..=180.0)
    }

    /// Draws the operations and their parameters.
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
            self.operation(left[taken], rng)
        }));
    }

    /// One of the ten, with drawn parameters.
    fn operation(&self, index: usize, rng: &mut dyn RngCore) -> TextureOperation {
        match index {
            0 => TextureOperation::Gamma {
                gammas: std::array::from_fn(|_| below(self.gamma, rng)),
            },
            1 => TextureOperation::Brightness {
                space: ColorSpace::ALL[rng.random_range(0..ColorSpace::ALL.len())],
                multiply: below(self.brightness_factor, rng),
                add: below(self.brightness_shift, rng),
                multiply_first: rng.random(),
            },
            2 => TextureOperation::Sharpness {
                factor: below(self.sharpness, rng),
            },
            3 => TextureOperation::HueSaturation {
                hue: up_to(self.hue, rng),
                saturation: up_to(self.saturation, rng),
            },
            4 => {
                let threshold = below(self.solarize_threshold, rng) as u8;
                TextureOperation::Solarize {
                    threshold: rng.random::<bool>().then_some(threshold),
                }
            }
            5 => TextureOperation::Posterize {
                bits: up_to(self.posterize_bits, rng),
            },
            6 => TextureOperation::Invert,
            7 => TextureOperation::AutoContrast {
                cutoff: up_to(self.contrast_cutoff, rng),
            },
            8 => TextureOperation::Equalize,
            _ => TextureOperation::Rotate {
                degrees: below(self.rotation_degrees, rng),
            },
        }
    }

    /// Draws operations and applies them.
    pub fn apply(&self, mut texture: RgbImage, rng: &mut dyn RngCore) -> RgbImage {
        Chain::default().run(&self.draw(rng), &mut texture, None);
        texture
    }
}

/// Uniform in [low, high), or the only number there is.
fn below((low, high): (f32, f32), rng: &mut dyn RngCore) -> f32 {
    if low < high {
        rng.random_range(low..high)
    } else {
        low
    }
}

/// Uniform in low..=high.
fn up_to<T: SampleUniform + PartialOrd>((low, high): (T, T), rng: &mut dyn RngCore) -> T {
    rng.random_range(low..=high)
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
                let drawn = TextureOperations::default().operation(i, &mut Stream::default().rng(""));
                mem::discriminant(&drawn) == kinds[0]
            });
            first[place.unwrap()] += 1;
        }
        assert!(
            first.iter().all(|&count| (140..260).contains(&count)),
            "{first:?}"
        );
        assert_eq!(
            TextureOperations {
                count: 99,
                ..TextureOperations::default()
            }
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
                    TextureOperations::default()
                        .operation(index, &mut rng)
                        .apply(&mut changed);
                    assert_eq!(changed.dimensions(), image.dimensions());
                }
            }
        }
    }
}
