//! Foreign patch interpolation.

use std::cell::RefCell;
use std::sync::Arc;

use image::RgbImage;
use rand::{Rng, RngCore};

use crate::buffer::to_float_into;
use crate::simulator::fresh;
use crate::{AnomalySimulator, Kind, Simulated, TextureSource};

/// Foreign patch interpolation (FPI, Tan et al. 2020): a rectangle becomes a mixture of the image and of another
/// normal image at the same place. The mask holds the rectangle; the parameter `factor` is FPI's soft label.
#[derive(Clone)]
pub struct ForeignPatch {
    /// The other normal images: a [`TextureBank`](crate::TextureBank).
    pub sources: Arc<dyn TextureSource>,
    /// Smallest and largest half of the rectangle's sides, as a share of the image's, uniform; 0.05 to 0.2.
    pub half: (f64, f64),
    /// Share of the other image in the mixture, uniform; 0.05 to 0.95.
    pub factor: (f32, f32),
}

impl ForeignPatch {
    /// The faithful settings with the given normal images.
    pub fn new(sources: Arc<dyn TextureSource>) -> Self {
        Self {
            sources,
            half: (0.05, 0.2),
            factor: (0.05, 0.95),
        }
    }
}

impl AnomalySimulator for ForeignPatch {
    fn kind(&self) -> Kind {
        Kind::ForeignPatch
    }

    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        fresh(|made| self.simulate_into(normal, made, rng))
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        let (width, height) = normal.dimensions();
        if width == 0 || height == 0 {
            return false;
        }
        // Taken, not borrowed: a texture source may simulate by itself.
        let mut source = SOURCE.take();
        self.sources.texture_into(width, height, &mut source, rng);
        let mut span = |length: u32| {
            let pixels = |share: f64| (share * f64::from(length)).round().max(1.0);
            let (low, high) = (pixels(self.half.0), pixels(self.half.1));
            let half = low + (high - low) * rng.random::<f64>();
            let free = (f64::from(length) - 2.0 * low).max(0.0);
            let center = low + free * rng.random::<f64>();
            let start = ((center - half).max(0.0) as u32).min(length - 1);
            (start, ((center + half) as u32).clamp(start + 1, length))
        };
        let ((left, right), (top, bottom)) = (span(width), span(height));
        let (low, high) = self.factor;
        let factor = low + (high - low) * rng.random::<f32>();
        to_float_into(normal, &mut made.image);
        for y in top..bottom {
            for x in left..right {
                let other = source.get_pixel(x, y).0;
                for (value, other) in made.image.get_pixel_mut(x, y).0.iter_mut().zip(other) {
                    *value = (1.0 - factor) * *value + factor * (f32::from(other) / 255.0);
                }
            }
        }
        SOURCE.set(source);
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
        let tiny = simulator.simulate(&RgbImage::new(1, 1), &mut Stream::default().rng(""));
        assert_eq!(tiny.map(|made| made.mask.count()), Some(1));
    }
}
