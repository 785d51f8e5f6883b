//! Foreign patch interpolation.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::decimal::decimal;
use image::RgbImage;
use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize};

use crate::pixels::to_float_into;
use crate::settings::{KindConstants, pair, positive_up_to};
use crate::{AnomalySimulator, Kind, Materials, SettingsError, Simulated, TextureSource};

/// Foreign patch interpolation (FPI, Tan et al. 2020): a rectangle becomes a mixture of the image and of another
/// normal image at the same place. The mask holds the rectangle; the parameter `factor` is FPI's soft label.
///
/// Without other images the patch comes from another place of the image itself (proposal).
#[derive(Clone)]
pub struct ForeignPatch {
    /// The other normal images: a [`TextureBank`](crate::TextureBank); `None`: the image itself.
    pub sources: Option<Arc<dyn TextureSource>>,
    /// The constants.
    pub settings: ForeignPatchSettings,
}

/// The constants of [`ForeignPatch`]: all but the images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForeignPatchSettings {
    /// Smallest and largest half of the rectangle's sides, as a share of the image's, uniform; 0.05 to 0.2.
    pub half: (f64, f64),
    /// Share of the other image in the mixture, uniform; 0.05 to 0.95.
    #[serde(serialize_with = "decimal")]
    pub factor: (f32, f32),
}

impl Default for ForeignPatchSettings {
    fn default() -> Self {
        Self {
            half: (0.05, 0.2),
            factor: (0.05, 0.95),
        }
    }
}

impl ForeignPatch {
    /// The faithful settings with the given normal images.
    pub fn new(sources: Arc<dyn TextureSource>) -> Self {
        Self {
            sources: Some(sources),
            settings: ForeignPatchSettings::default(),
        }
    }
}

impl KindConstants for ForeignPatchSettings {
    fn check(&self) -> Result<(), SettingsError> {
        pair("half", self.half, positive_up_to(0.5))?;
        pair("factor", self.factor, 0.0..=1.0)
    }

    fn simulator(&self, materials: &Materials) -> Arc<dyn AnomalySimulator> {
        Arc::new(ForeignPatch {
            sources: materials.normals.clone(),
            settings: *self,
        })
    }
}

impl AnomalySimulator for ForeignPatch {
    fn kind(&self) -> Kind {
        Kind::ForeignPatch
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        let (width, height) = normal.dimensions();
        if width == 0 || height == 0 {
            return false;
        }
        // Taken, not borrowed: a texture source may simulate by itself.
        let mut source = SOURCE.take();
        if let Some(sources) = &self.sources {
            sources.texture_into(width, height, &mut source, rng);
        }
        let ForeignPatchSettings { half, factor } = self.settings;
        let mut span = |length: u32| {
            let pixels = |share: f64| (share * f64::from(length)).round().max(1.0);
            let (low, high) = (pixels(half.0), pixels(half.1));
            let half = low + (high - low) * rng.random::<f64>();
            let free = (f64::from(length) - 2.0 * low).max(0.0);
            let center = low + free * rng.random::<f64>();
            let start = ((center - half).max(0.0) as u32).min(length - 1);
            (start, ((center + half) as u32).clamp(start + 1, length))
        };
        let ((left, right), (top, bottom)) = (span(width), span(height));
        let (low, high) = factor;
        let factor = low + (high - low) * rng.random::<f32>();
        let (from, (from_x, from_y)) = if self.sources.is_some() {
            (&source, (left, top))
        } else {
            let start = |length: u32, rng: &mut dyn RngCore| rng.random_range(0..=length);
            let across = start(width - (right - left), rng);
            (normal, (across, start(height - (bottom - top), rng)))
        };
        to_float_into(normal, &mut made.image);
        for y in top..bottom {
            for x in left..right {
                let other = from.get_pixel(from_x + x - left, from_y + y - top).0;
                for (value, other) in made.image.get_pixel_mut(x, y).0.iter_mut().zip(other) {
                    *value = (1.0 - factor) * *value + factor * (f32::from(other) / 255.0);
                }
            }
        }
        SOURCE.set(source);
        if self.sources.is_none() && (from_x, from_y) == (left, top) {
            return false;
        }
        made.mask.reset(width, height);
        made.mask.set_rectangle((left, top), (right - left, bottom - top));
        made.kind = Kind::ForeignPatch;
        made.parameters.clear();
        made.parameters.push("x", left);
        made.parameters.push("y", top);
        made.parameters.push("width", right - left);
        made.parameters.push("height", bottom - top);
        made.parameters.push("factor", factor);
        true
    }
}

thread_local! {
    static SOURCE: RefCell<RgbImage> = RefCell::default();
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Stream, TextureBank};

    #[test]
    fn patches_are_mixtures_in_place() {
        let other = RgbImage::from_pixel(100, 80, Rgb([255, 51, 0]));
        let simulator = ForeignPatch::new(Arc::new(TextureBank::new(vec![other]).unwrap()));
        let normal = RgbImage::from_pixel(100, 80, Rgb([102; 3]));
        let (mut factors, mut area, count) = (0.0, 0.0, 400);
        for index in 0..count {
            let mut rng = Stream {
                seed: 0,
                step: 0,
                index,
            }
            .rng("");
            let made = simulator.simulate(&normal, &mut rng).unwrap();
            let number = |key| made.parameters.number(key).unwrap();
            let factor = number("factor") as f32;
            assert!((0.05..0.95).contains(&factor));
            assert_eq!(made.mask.count() as f64, number("width") * number("height"));
            for (x, y, pixel) in made.image.enumerate_pixels() {
                let expected = if made.mask.get(x, y) {
                    [0.4 + 0.6 * factor, 0.4 - 0.2 * factor, 0.4 - 0.4 * factor]
                } else {
                    [0.4; 3]
                };
                assert!((0..3).all(|c| (pixel.0[c] - expected[c]).abs() < 1e-6));
            }
            factors += f64::from(factor) / count as f64;
            area += made.mask.coverage() / count as f64;
        }
        assert!((factors - 0.5).abs() < 0.04, "{factors}");
        // (2 * 0.125)^2, less what the border cuts off.
        assert!((0.048..0.063).contains(&area), "{area}");
        let itself = ForeignPatch {
            sources: None,
            ..simulator.clone()
        };
        let striped = RgbImage::from_fn(100, 80, |x, y| Rgb([(2 * x) as u8, (3 * y) as u8, 7]));
        let made = itself.simulate(&striped, &mut Stream::default().rng("")).unwrap();
        let before = crate::to_float(&striped);
        assert!(
            made.image
                .enumerate_pixels()
                .any(|(x, y, pixel)| pixel != before.get_pixel(x, y))
        );
        let tiny = simulator.simulate(&RgbImage::new(1, 1), &mut Stream::default().rng(""));
        assert_eq!(tiny.map(|made| made.mask.count()), Some(1));
    }
}
