//! Anomalies that cover the surface with a foreign texture.

use std::sync::Arc;

use flawforge_masks::{Mask, MaskGenerator, Perlin};
use image::RgbImage;
use rand::{Rng, RngCore};

use crate::simulator::to_float;
use crate::{AnomalySimulator, Kind, Simulated, TextureOperations, TextureSource};

/// A foreign texture that shines through: `I_t = (1 - M) I + M [(1 - beta) I + beta N]` (Lin & Yan eq. 1; the
/// same as DRAEM's blend).
#[derive(Clone)]
pub struct Transparent {
    /// Where the texture N comes from.
    pub textures: Arc<dyn TextureSource>,
    /// What is done to the texture; DRAEM's three of ten.
    pub operations: TextureOperations,
    /// Where the mask M comes from; DRAEM's Perlin mask.
    pub masks: Arc<dyn MaskGenerator>,
    /// The opacity beta is uniform in (first, second], both in [0, 1]; (0.2, 1.0], which is DRAEM's code.
    /// Lin & Yan give no range.
    pub opacity: (f32, f32),
}

impl Transparent {
    /// The faithful settings with the given textures.
    pub fn new(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            textures,
            operations: TextureOperations::default(),
            masks: Arc::new(Perlin::default()),
            opacity: (0.2, 1.0),
        }
    }
}

impl AnomalySimulator for Transparent {
    fn kind(&self) -> Kind {
        Kind::Transparent
    }

    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        let (low, high) = self.opacity;
        let (mask, texture) = draw(&*self.masks, &*self.textures, self.operations, normal, rng)?;
        let opacity = high - (high - low) * rng.random::<f32>();
        Some(cover(normal, &texture, mask, opacity, Kind::Transparent))
    }
}

/// A foreign texture that hides the surface: `I_o = (1 - M) I + M N` (Lin & Yan eq. 2, which lacks the
/// overline of the first M in print).
#[derive(Clone)]
pub struct Opaque {
    /// Where the texture N comes from.
    pub textures: Arc<dyn TextureSource>,
    /// What is done to the texture; DRAEM's three of ten.
    pub operations: TextureOperations,
    /// Where the mask M comes from; DRAEM's Perlin mask.
    pub masks: Arc<dyn MaskGenerator>,
}

impl Opaque {
    /// The faithful settings with the given textures.
    pub fn new(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            textures,
            operations: TextureOperations::default(),
            masks: Arc::new(Perlin::default()),
        }
    }
}

impl AnomalySimulator for Opaque {
    fn kind(&self) -> Kind {
        Kind::Opaque
    }

    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        let (mask, texture) = draw(&*self.masks, &*self.textures, self.operations, normal, rng)?;
        Some(cover(normal, &texture, mask, 1.0, Kind::Opaque))
    }
}

/// Draws a mask and, when it is not empty, a texture.
fn draw(
    masks: &dyn MaskGenerator,
    textures: &dyn TextureSource,
    operations: TextureOperations,
    normal: &RgbImage,
    rng: &mut dyn RngCore,
) -> Option<(Mask, RgbImage)> {
    let (width, height) = normal.dimensions();
    let mask = masks.generate(width, height, rng);
    if mask.is_empty() {
        return None;
    }
    let texture = textures.texture(width, height, rng);
    Some((mask, operations.apply(texture, rng)))
}

fn cover(normal: &RgbImage, texture: &RgbImage, mask: Mask, opacity: f32, kind: Kind) -> Simulated {
    let mut image = to_float(normal);
    let pixels = image
        .chunks_exact_mut(3)
        .zip(texture.as_raw().chunks_exact(3))
        .zip(mask.pixels());
    for ((pixel, texture), &set) in pixels {
        if set != 0 {
            for (value, &texture) in pixel.iter_mut().zip(texture) {
                *value = (1.0 - opacity) * *value + opacity * (f32::from(texture) / 255.0);
            }
        }
    }
    Simulated { image, mask, kind }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Stream, TextureBank};

    fn bank() -> Arc<TextureBank> {
        Arc::new(TextureBank::new(vec![RgbImage::from_pixel(4, 4, Rgb([255, 51, 0]))]).unwrap())
    }

    fn left_half(width: u32, height: u32, _: &mut dyn RngCore) -> Mask {
        Mask::from_fn(width, height, |x, _| x < width / 2)
    }

    #[test]
    fn equation_one() {
        let normal = RgbImage::from_pixel(6, 5, Rgb([102, 102, 102]));
        let simulator = Transparent {
            masks: Arc::new(left_half),
            operations: TextureOperations { count: 0 },
            ..Transparent::new(bank())
        };
        let mut rng = Stream::default().rng("");
        let (mut low, mut high) = (1.0_f32, 0.0_f32);
        for _ in 0..400 {
            let made = simulator.simulate(&normal, &mut rng).unwrap();
            assert_eq!(made.kind, Kind::Transparent);
            assert_eq!(made.image.get_pixel(3, 4).0, [0.4; 3]);
            let [r, g, b] = made.image.get_pixel(2, 4).0;
            let beta = (r - 0.4) / 0.6;
            assert!((g - (0.4 - 0.2 * beta)).abs() < 1e-6 && (b - (0.4 - 0.4 * beta)).abs() < 1e-6);
            (low, high) = (low.min(beta), high.max(beta));
        }
        assert!(
            low > 0.199 && low < 0.22 && high > 0.98 && high <= 1.000_001,
            "{low} {high}"
        );
    }

    #[test]
    fn equation_two() {
        let normal = RgbImage::from_pixel(6, 5, Rgb([102, 102, 102]));
        let simulator = Opaque {
            masks: Arc::new(left_half),
            operations: TextureOperations { count: 0 },
            ..Opaque::new(bank())
        };
        let made = simulator
            .simulate(&normal, &mut Stream::default().rng(""))
            .unwrap();
        for (x, y, pixel) in made.image.enumerate_pixels() {
            let expected = if made.mask.get(x, y) {
                [1.0, 0.2, 0.0]
            } else {
                [0.4; 3]
            };
            assert_eq!(pixel.0, expected);
        }
        assert_eq!(made.mask.count(), 15);
    }

    #[test]
    fn an_empty_mask_makes_nothing() {
        let empty = |w, h, _: &mut dyn RngCore| Mask::empty(w, h);
        let simulator = Opaque {
            masks: Arc::new(empty),
            ..Opaque::new(bank())
        };
        assert!(
            simulator
                .simulate(&RgbImage::new(8, 8), &mut Stream::default().rng(""))
                .is_none()
        );
    }
}
