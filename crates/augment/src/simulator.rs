//! The trait of everything that makes an anomaly.

use flawforge_masks::Mask;
use image::{ImageBuffer, Rgb32FImage, RgbImage};
use rand::RngCore;

use crate::{Kind, Parameters};

/// An image with a simulated anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The anomalous image, RGB, values in [0, 1], same size as the normal image.
    pub image: Rgb32FImage,
    /// Where the image was replaced; same size; never empty.
    pub mask: Mask,
    /// What was done.
    pub kind: Kind,
    /// With which parameters.
    pub parameters: Parameters,
}

/// Makes anomalous images. Closures `Fn(&RgbImage, &mut dyn RngCore) -> Option<Simulated> + Send + Sync` are
/// simulators, too.
pub trait AnomalySimulator: Send + Sync {
    /// The kind of every anomaly made, or [`Kind::Other`] when they differ.
    fn kind(&self) -> Kind;

    /// Makes an anomaly on a copy of `normal`. `None` when nothing visible could be made: the mask drawn is
    /// empty, or the surface is too uniform to be distorted. A function of the image and the numbers from `rng` only.
    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated>;
}

/// The same image with values in [0, 1] instead of 0..=255.
pub fn to_float(image: &RgbImage) -> Rgb32FImage {
    let values: Vec<f32> = image.as_raw().iter().map(|&v| f32::from(v) / 255.0).collect();
    // The buffer has the length of the image it comes from.
    ImageBuffer::from_raw(image.width(), image.height(), values).unwrap_or_default()
}

/// The image in bytes; values are clamped to [0, 1] and rounded to the nearest of 256 levels.
pub fn to_bytes(image: &Rgb32FImage) -> RgbImage {
    let values: Vec<u8> = image
        .as_raw()
        .iter()
        .map(|&v| (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8)
        .collect();
    ImageBuffer::from_raw(image.width(), image.height(), values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        let image = RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb([(16 * y + x) as u8, x as u8, 255 - y as u8])
        });
        assert_eq!(to_bytes(&to_float(&image)), image);
        assert_eq!(
            to_float(&image).get_pixel(15, 15).0,
            [1.0, 15.0 / 255.0, 240.0 / 255.0]
        );
    }
}
