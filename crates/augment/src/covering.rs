//! Anomalies that cover the surface with a foreign texture.

use std::sync::Arc;

use flawforge_masks::{Mask, MaskGenerator, Perlin};
use image::{Rgb32FImage, RgbImage};
use rand::{Rng, RngCore};

use crate::simulator::to_float;
use crate::{AnomalySimulator, Background, Kind, Parameters, Simulated, TextureOperations, TextureSource};

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
    /// Keeps masks on the object in front of this background, so that no anomaly lies beside it (GLASS); `None`,
    /// as DRAEM: anywhere.
    pub background: Option<Background>,
    /// How often a mask is drawn while it is empty; 1, as DRAEM.
    pub mask_tries: u32,
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
            background: None,
            mask_tries: 1,
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
        let mask = draw_mask(&*self.masks, self.background, self.mask_tries, normal, rng)?;
        let (texture, parameters) = draw_texture(&*self.textures, self.operations, normal, rng);
        let opacity = high - (high - low) * rng.random::<f32>();
        Some(Simulated {
            image: cover(normal, &texture, &mask, opacity),
            mask,
            kind: Kind::Transparent,
            parameters: parameters.with("opacity", opacity),
        })
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
    /// Keeps masks on the object in front of this background, so that no anomaly lies beside it (GLASS); `None`,
    /// as DRAEM: anywhere.
    pub background: Option<Background>,
    /// How often a mask is drawn while it is empty; 1, as DRAEM.
    pub mask_tries: u32,
}

impl Opaque {
    /// The faithful settings with the given textures.
    pub fn new(textures: Arc<dyn TextureSource>) -> Self {
        Self {
            textures,
            operations: TextureOperations::default(),
            masks: Arc::new(Perlin::default()),
            background: None,
            mask_tries: 1,
        }
    }
}

impl AnomalySimulator for Opaque {
    fn kind(&self) -> Kind {
        Kind::Opaque
    }

    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        let mask = draw_mask(&*self.masks, self.background, self.mask_tries, normal, rng)?;
        let (texture, parameters) = draw_texture(&*self.textures, self.operations, normal, rng);
        Some(Simulated {
            image: cover(normal, &texture, &mask, 1.0),
            mask,
            kind: Kind::Opaque,
            parameters,
        })
    }
}

/// Draws masks until one is not empty.
fn draw_mask(
    masks: &dyn MaskGenerator,
    background: Option<Background>,
    tries: u32,
    normal: &RgbImage,
    rng: &mut dyn RngCore,
) -> Option<Mask> {
    let (width, height) = normal.dimensions();
    let objects = background.map(|background| background.objects(normal));
    for _ in 0..tries {
        let mut mask = masks.generate(width, height, rng);
        if let Some(objects) = &objects {
            mask = mask.intersection(objects).ok()?;
        }
        if !mask.is_empty() {
            return Some(mask);
        }
    }
    None
}

/// Draws a texture and changes it; tells how.
fn draw_texture(
    textures: &dyn TextureSource,
    operations: TextureOperations,
    normal: &RgbImage,
    rng: &mut dyn RngCore,
) -> (RgbImage, Parameters) {
    let mut texture = textures.texture(normal.width(), normal.height(), rng);
    let mut parameters = Parameters::new();
    for operation in operations.draw(rng) {
        operation.apply(&mut texture);
        parameters.push("operation", operation);
    }
    (texture, parameters)
}

fn cover(normal: &RgbImage, texture: &RgbImage, mask: &Mask, opacity: f32) -> Rgb32FImage {
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
    image
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
    #[test]
    fn masks_keep_to_the_object_and_are_drawn_again() {
        let normal = RgbImage::from_fn(64, 64, |x, _| Rgb([if x < 32 { 200 } else { 90 }; 3]));
        let flip = |w, h, rng: &mut dyn RngCore| {
            let full: bool = rng.random();
            Mask::from_fn(w, h, |_, _| full)
        };
        let simulator = Opaque {
            masks: Arc::new(flip),
            background: Some(Background::new(200.0, 60.0)),
            mask_tries: 20,
            ..Opaque::new(bank())
        };
        for index in 0..20 {
            let mut rng = Stream {
                seed: 0,
                epoch: 0,
                index,
            }
            .rng("");
            let made = simulator.simulate(&normal, &mut rng).unwrap();
            assert_eq!(made.mask, Mask::from_fn(64, 64, |x, _| x >= 32));
            assert_eq!(made.parameters.iter().count(), 3, "{}", made.parameters);
        }
        let hidden = RgbImage::from_pixel(64, 64, Rgb([200; 3]));
        assert!(
            simulator
                .simulate(&hidden, &mut Stream::default().rng(""))
                .is_none()
        );
    }
}
