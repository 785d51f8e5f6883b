//! How the values of files with more than 8 bits become 8 bits: one scale for a run.
//!
//! A 12-bit camera writes 0 to 4095 into 16-bit files, and their upper bytes alone would be sixteen dark levels. A scale that
//! follows each image would show the same flaw differently in every image. So the scale is found once, from all training
//! images together, and stays.

use std::hash::{Hash, Hasher};

use image::DynamicImage;
use serde::{Deserialize, Serialize};

/// Which values of deep files are black and white. 8-bit files are taken as they are. The default takes 16-bit values at full
/// range and floating-point values from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelScale {
    /// Bits that 16-bit values fill, 8 to 16: the upper 8 of these are kept. `None` where no such file was trained on: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<u32>,
    /// Black and white of floating-point, signed and 32-bit values. `None` where no such file was trained on: 0 and 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reals: Option<(f32, f32)>,
}

// The values are finite: they come from `Extent::scale`, or from a file, where infinities and NaN cannot be written.
impl Eq for PixelScale {}

impl Hash for PixelScale {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
        self.reals
            .map(|(black, white)| (black.to_bits(), white.to_bits()))
            .hash(state);
    }
}

impl PixelScale {
    /// Whether nothing deeper than 8 bits was trained on.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A 16-bit value as 8 bits.
    pub(crate) fn word(&self, value: u16) -> u8 {
        let shift = self.words.unwrap_or(16).clamp(8, 16) - 8;
        (value >> shift).min(255) as u8
    }

    /// The largest 16-bit value within the scale.
    pub(crate) fn largest_word(&self) -> u16 {
        let bits = self.words.unwrap_or(16).clamp(8, 16);
        ((1u32 << bits) - 1) as u16
    }

    /// Black and white of real values.
    pub(crate) fn ends(&self) -> (f32, f32) {
        self.reals.unwrap_or((0.0, 1.0))
    }

    /// A real value as 8 bits; NaN is black.
    pub(crate) fn real(&self, value: f32) -> u8 {
        let (black, white) = self.ends();
        // A cast of NaN is 0.
        (((value - black) / (white - black)).clamp(0.0, 1.0) * 255.0).round() as u8
    }
}

/// Least and largest values of files, by what they are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent {
    pub(crate) words: Option<(u16, u16)>,
    pub(crate) reals: Option<(f32, f32)>,
    /// Whether 8-bit files are among them.
    pub(crate) bytes: bool,
}

/// Below this share of the range from 0 to 1, floating-point images would lose two of their eight bits (proposal).
const FAINT: f32 = 0.25;
/// Resampling overshoots; what exceeds the range by less than this share is no reason for a wider one (proposal).
const OVERSHOOT: f32 = 0.25;

impl Extent {
    /// The extent of a decoded image, without its alpha channel and without pixels that are wholly transparent.
    pub(crate) fn of(image: &DynamicImage) -> Self {
        let mut extent = Self::default();
        match image {
            DynamicImage::ImageLuma16(image) => extent.take_words(image.as_raw(), 1, false),
            DynamicImage::ImageLumaA16(image) => extent.take_words(image.as_raw(), 2, true),
            DynamicImage::ImageRgb16(image) => extent.take_words(image.as_raw(), 3, false),
            DynamicImage::ImageRgba16(image) => extent.take_words(image.as_raw(), 4, true),
            DynamicImage::ImageRgb32F(image) => extent.take_reals(image.as_raw(), 3, false),
            DynamicImage::ImageRgba32F(image) => extent.take_reals(image.as_raw(), 4, true),
            _ => extent.bytes = true,
        }
        extent
    }

    fn take_words(&mut self, samples: &[u16], channels: usize, alpha: bool) {
        // An image without visible pixels is deep all the same.
        let (mut least, mut most) = (u16::MAX, 0);
        for pixel in samples.chunks_exact(channels) {
            let colors = &pixel[..channels - usize::from(alpha)];
            if !alpha || pixel[channels - 1] > 0 {
                for &value in colors {
                    (least, most) = (least.min(value), most.max(value));
                }
            }
        }
        self.words = Some((least.min(most), most));
    }

    fn take_reals(&mut self, samples: &[f32], channels: usize, alpha: bool) {
        let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
        for pixel in samples.chunks_exact(channels) {
            let colors = &pixel[..channels - usize::from(alpha)];
            if !alpha || pixel[channels - 1] > 0.0 {
                for &value in colors.iter().filter(|value| value.is_finite()) {
                    (least, most) = (least.min(value), most.max(value));
                }
            }
        }
        self.reals = Some(if least <= most { (least, most) } else { (0.0, 0.0) });
    }

    /// The extent of both.
    pub(crate) fn join(self, other: Self) -> Self {
        fn both<T: Copy + PartialOrd>(a: Option<(T, T)>, b: Option<(T, T)>) -> Option<(T, T)> {
            match (a, b) {
                (Some(a), Some(b)) => Some((
                    if b.0 < a.0 { b.0 } else { a.0 },
                    if b.1 > a.1 { b.1 } else { a.1 },
                )),
                (a, b) => a.or(b),
            }
        }
        Self {
            words: both(self.words, other.words),
            reals: both(self.reals, other.reals),
            bytes: self.bytes || other.bytes,
        }
    }

    /// The scale of files with these values. 16-bit values keep the upper 8 of the bits that the largest one fills. Real values
    /// lie between 0 and 1, or between 0 and the next 2^n - 1 (2^-n for small ones), on both sides of 0 where some are negative
    /// (proposal).
    pub(crate) fn scale(&self) -> PixelScale {
        PixelScale {
            words: self.words.map(|(_, most)| bits(most)),
            reals: self.reals.map(|(least, most)| {
                let reach = most.max(-least);
                let white = if reach <= 0.0 {
                    1.0
                } else if reach <= FAINT {
                    reach.log2().ceil().max(-100.0).exp2()
                } else if reach <= 1.0 + OVERSHOOT {
                    1.0
                } else {
                    // In f32 the 1 is lost from 2^24 on, where it no longer matters.
                    (reach + 1.0).log2().ceil().min(126.0).exp2() - 1.0
                };
                let is_signed = least < -OVERSHOOT * white;
                (if is_signed { -white } else { 0.0 }, white)
            }),
        }
    }

    /// Of 256 levels, those between the least and the largest value, if the extent has deep values.
    pub(crate) fn levels(&self, scale: &PixelScale) -> Option<u32> {
        let of = |least: u8, most: u8| u32::from(most.abs_diff(least)) + 1;
        let words = self
            .words
            .map(|(least, most)| of(scale.word(least), scale.word(most)));
        let reals = self
            .reals
            .map(|(least, most)| of(scale.real(least), scale.real(most)));
        words.into_iter().chain(reals).min()
    }
}

/// Bits that values up to the largest fill, 8 to 16.
pub(crate) fn bits(largest: u16) -> u32 {
    (16 - largest.leading_zeros()).max(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, Rgb};

    fn words(values: &[u16]) -> Extent {
        let image: ImageBuffer<Luma<u16>, _> =
            ImageBuffer::from_raw(values.len() as u32, 1, values.to_vec()).expect("a row");
        Extent::of(&image.into())
    }

    fn reals(values: &[f32]) -> Extent {
        let image = image::Rgb32FImage::from_fn(values.len() as u32, 1, |x, _| Rgb([values[x as usize]; 3]));
        Extent::of(&image.into())
    }

    #[test]
    fn any_depth_from_10_to_16_bits_shows_the_same_scene() {
        let scene = [0u16, 3, 17, 130, 255];
        for depth in 10..=16 {
            let values = scene.map(|value| value << (depth - 8));
            let scale = words(&values).scale();
            assert_eq!(scale.words, Some(depth));
            assert_eq!(
                values.map(|value| u16::from(scale.word(value))),
                scene,
                "{depth} bits"
            );
        }
        // 8-bit values in 16-bit files, and what today's meaning is: the upper byte.
        assert_eq!(words(&[0, 255]).scale().words, Some(8));
        assert_eq!(PixelScale::default().word(0x1234), 0x12);
        assert_eq!(words(&[1, 0x8000]).scale().word(0x1234), 0x12);
        assert_eq!(words(&[0, 0x0fff]).scale().word(0xffff), 255);
    }

    #[test]
    fn the_scale_is_that_of_all_images_together() {
        let both = words(&[5, 900]).join(words(&[100, 4000]));
        assert_eq!((both.words, both.scale().words), (Some((5, 4000)), Some(12)));
        let mixed = both.join(Extent {
            bytes: true,
            ..Extent::default()
        });
        assert!(mixed.bytes && mixed.words == both.words);
        assert_eq!(
            words(&[20_000, 20_600]).levels(&PixelScale {
                words: Some(15),
                reals: None
            }),
            Some(5)
        );
    }

    #[test]
    fn real_values_keep_0_to_1_or_get_the_next_power_of_two() {
        for (values, ends) in [
            (&[0.0, 1.0][..], (0.0, 1.0)),
            (&[0.1, 0.6], (0.0, 1.0)),
            (&[-0.01, 1.1], (0.0, 1.0)),
            (&[0.0, 0.1], (0.0, 0.125)),
            (&[0.0, 255.0], (0.0, 255.0)),
            (&[0.0, 200.0], (0.0, 255.0)),
            (&[16.0, 4080.0], (0.0, 4095.0)),
            (&[-1.0, 1.0], (-1.0, 1.0)),
            (&[-1000.0, 20.0], (-1023.0, 1023.0)),
            (&[0.0, f32::NAN, 3.0], (0.0, 3.0)),
            (&[0.0], (0.0, 1.0)),
        ] {
            assert_eq!(reals(values).scale().reals, Some(ends), "{values:?}");
        }
        let scale = reals(&[0.0, 255.0]).scale();
        assert!((0..=255u8).all(|value| scale.real(f32::from(value)) == value));
        assert_eq!(
            (scale.real(f32::NAN), scale.real(1e9), scale.real(-1e9)),
            (0, 255, 0)
        );
    }
}
