//! Simulation on grey images and on images of floats.

use flawforge_masks::Mask;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, Rgb32FImage, RgbImage};
use rand::RngCore;
use thiserror::Error;

use crate::{AnomalySimulator, Simulated, to_bytes, to_float};

/// A grey image of floats in [0, 1].
pub type Gray32FImage = ImageBuffer<Luma<f32>, Vec<f32>>;

/// Smallest side of an image, in pixels.
pub const MIN_SIDE: u32 = 32;

/// Why no anomaly can be simulated on an image.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A side is shorter than [`MIN_SIDE`].
    #[error("an image of {width}x{height} pixels is too small; both sides need at least {MIN_SIDE}")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A value of an image of floats is not in [0, 1].
    #[error("value {value} at ({x}, {y}) is not in [0, 1]")]
    Value {
        /// Column.
        x: u32,
        /// Row.
        y: u32,
        /// The value.
        value: f32,
    },
    /// The pixels are neither grey nor RGB, or of another depth than 8 bits or 32-bit floats.
    #[error("pixels of type {0:?} are not supported; supported are L8, Rgb8 and Rgb32F")]
    Pixels(image::ColorType),
}

/// Images on which anomalies can be simulated: grey or RGB, bytes or floats in [0, 1].
pub trait AnyImage: Sized {
    /// The image as RGB bytes; grey becomes three equal channels, floats are rounded.
    ///
    /// # Errors
    /// [`ImageError`] for values out of range and pixels of other types.
    fn to_rgb(&self) -> Result<RgbImage, ImageError>;

    /// This image with the pixels of `anomalous` (same size) where the mask is set. For grey images channels
    /// are weighted as in ITU-R BT.601.
    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self;
}

/// Makes an anomaly on an image of any supported form. `Ok(None)` when nothing visible could be made.
///
/// ```
/// use flawforge_augment::{CutPaste, Stream, simulate_any};
/// use image::GrayImage;
///
/// let normal = GrayImage::from_fn(48, 40, |x, y| image::Luma([(x * y % 251) as u8]));
/// let mut rng = Stream::default().rng("anomaly");
/// if let Some(made) = simulate_any(&CutPaste::default(), &normal, &mut rng)? {
///     println!("{}: {}", made.kind, made.parameters);
///     assert_eq!(made.image.dimensions(), (48, 40));
/// }
/// # Ok::<(), flawforge_augment::ImageError>(())
/// ```
///
/// # Errors
/// [`ImageError`] when the image is too small or not of a supported form.
pub fn simulate_any<I: AnyImage>(
    simulator: &dyn AnomalySimulator,
    normal: &I,
    rng: &mut dyn RngCore,
) -> Result<Option<Simulated<I>>, ImageError> {
    let bytes = normal.to_rgb()?;
    let (width, height) = bytes.dimensions();
    if width < MIN_SIDE || height < MIN_SIDE {
        return Err(ImageError::TooSmall { width, height });
    }
    Ok(simulator.simulate(&bytes, rng).map(|made| Simulated {
        image: normal.replaced(&made.image, &made.mask),
        mask: made.mask,
        kind: made.kind,
        parameters: made.parameters,
    }))
}

impl AnyImage for RgbImage {
    fn to_rgb(&self) -> Result<RgbImage, ImageError> {
        Ok(self.clone())
    }

    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self {
        let anomalous = to_bytes(anomalous);
        Self::from_fn(self.width(), self.height(), |x, y| {
            *if mask.get(x, y) { &anomalous } else { self }.get_pixel(x, y)
        })
    }
}

impl AnyImage for Rgb32FImage {
    fn to_rgb(&self) -> Result<RgbImage, ImageError> {
        check(self.enumerate_pixels().map(|(x, y, pixel)| (x, y, pixel.0)))?;
        Ok(to_bytes(self))
    }

    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self {
        Self::from_fn(self.width(), self.height(), |x, y| {
            *if mask.get(x, y) { anomalous } else { self }.get_pixel(x, y)
        })
    }
}

impl AnyImage for GrayImage {
    fn to_rgb(&self) -> Result<RgbImage, ImageError> {
        Ok(RgbImage::from_fn(self.width(), self.height(), |x, y| {
            Rgb([self.get_pixel(x, y).0[0]; 3])
        }))
    }

    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self {
        Self::from_fn(self.width(), self.height(), |x, y| {
            if mask.get(x, y) {
                let grey = grey(anomalous.get_pixel(x, y).0);
                Luma([(grey.clamp(0.0, 1.0) * 255.0 + 0.5) as u8])
            } else {
                *self.get_pixel(x, y)
            }
        })
    }
}

impl AnyImage for Gray32FImage {
    fn to_rgb(&self) -> Result<RgbImage, ImageError> {
        check(self.enumerate_pixels().map(|(x, y, pixel)| (x, y, pixel.0)))?;
        Ok(RgbImage::from_fn(self.width(), self.height(), |x, y| {
            Rgb([(self.get_pixel(x, y).0[0] * 255.0 + 0.5) as u8; 3])
        }))
    }

    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self {
        Self::from_fn(self.width(), self.height(), |x, y| {
            if mask.get(x, y) {
                Luma([grey(anomalous.get_pixel(x, y).0)])
            } else {
                *self.get_pixel(x, y)
            }
        })
    }
}

impl AnyImage for DynamicImage {
    fn to_rgb(&self) -> Result<RgbImage, ImageError> {
        match self {
            Self::ImageRgb8(image) => image.to_rgb(),
            Self::ImageRgb32F(image) => AnyImage::to_rgb(image),
            Self::ImageLuma8(image) => image.to_rgb(),
            other => Err(ImageError::Pixels(other.color())),
        }
    }

    fn replaced(&self, anomalous: &Rgb32FImage, mask: &Mask) -> Self {
        match self {
            Self::ImageRgb8(image) => Self::ImageRgb8(image.replaced(anomalous, mask)),
            Self::ImageLuma8(image) => Self::ImageLuma8(image.replaced(anomalous, mask)),
            Self::ImageRgb32F(image) => Self::ImageRgb32F(image.replaced(anomalous, mask)),
            // `to_rgb` lets no other form pass.
            other => Self::ImageRgb32F(to_float(&other.to_rgb8()).replaced(anomalous, mask)),
        }
    }
}

fn grey([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

fn check<const N: usize>(pixels: impl Iterator<Item = (u32, u32, [f32; N])>) -> Result<(), ImageError> {
    for (x, y, values) in pixels {
        // Not a number is in no range.
        if let Some(&value) = values.iter().find(|value| !(0.0..=1.0).contains(*value)) {
            return Err(ImageError::Value { x, y, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CutPaste, NearDistribution, Stream};

    fn normal() -> RgbImage {
        RgbImage::from_fn(70, 45, |x, y| {
            Rgb([(x * 3) as u8, (y * 5) as u8, ((x * y) % 200) as u8])
        })
    }

    #[test]
    fn floats_keep_their_values_outside_of_the_mask() {
        let fine = Rgb32FImage::from_fn(70, 45, |x, y| {
            Rgb(normal().get_pixel(x, y).0.map(|v| (f32::from(v) + 0.3) / 256.0))
        });
        let made = simulate_any(&CutPaste::default(), &fine, &mut Stream::default().rng(""))
            .unwrap()
            .unwrap();
        let grey = Gray32FImage::from_fn(70, 45, |x, y| Luma([fine.get_pixel(x, y).0[1]]));
        let made_grey = simulate_any(&CutPaste::default(), &grey, &mut Stream::default().rng(""))
            .unwrap()
            .unwrap();
        assert_eq!(made.mask, made_grey.mask);
        for (x, y, pixel) in made.image.enumerate_pixels() {
            if !made.mask.get(x, y) {
                assert_eq!(pixel, fine.get_pixel(x, y));
                assert_eq!(made_grey.image.get_pixel(x, y), grey.get_pixel(x, y));
            }
        }
    }

    #[test]
    fn all_forms_agree() {
        let rng = || Stream::of_run(1).rng("");
        let simulator = NearDistribution {
            min_coverage: 0.0,
            difference: 3.0,
            tries: 50,
            ..NearDistribution::default()
        };
        let direct = simulator.simulate(&normal(), &mut rng()).unwrap();
        let typed = simulate_any(&simulator, &normal(), &mut rng()).unwrap().unwrap();
        assert_eq!(
            (&typed.image, &typed.mask),
            (&to_bytes(&direct.image), &direct.mask)
        );
        assert_eq!(typed.parameters, direct.parameters);
        let dynamic = simulate_any(&simulator, &DynamicImage::ImageRgb8(normal()), &mut rng())
            .unwrap()
            .unwrap();
        assert_eq!(dynamic.image.as_rgb8(), Some(&typed.image));
        let grey = DynamicImage::ImageRgb8(normal()).to_luma8();
        let made = simulate_any(&simulator, &grey, &mut rng()).unwrap().unwrap();
        let made_dynamic = simulate_any(&simulator, &DynamicImage::ImageLuma8(grey), &mut rng())
            .unwrap()
            .unwrap();
        assert_eq!(made_dynamic.image.as_luma8(), Some(&made.image));
    }

    #[test]
    fn the_rest_is_an_error() {
        let error = |image: &DynamicImage| {
            simulate_any(&CutPaste::default(), image, &mut Stream::default().rng(""))
                .unwrap_err()
                .to_string()
        };
        assert!(error(&DynamicImage::new_rgba8(64, 64)).contains("Rgba8"));
        assert!(error(&DynamicImage::new_luma16(64, 64)).contains("L16"));
        assert!(error(&DynamicImage::new_rgb8(31, 64)).contains("31x64"));
        let mut image = Rgb32FImage::new(40, 40);
        image.put_pixel(3, 4, Rgb([0.0, f32::NAN, 0.0]));
        let error = simulate_any(&CutPaste::default(), &image, &mut Stream::default().rng("")).unwrap_err();
        assert_eq!(error.to_string(), "value NaN at (3, 4) is not in [0, 1]");
    }
}
