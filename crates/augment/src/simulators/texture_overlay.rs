//! A foreign texture laid over the surface, inside a mask.

use std::cell::RefCell;
use std::sync::Arc;

use flawforge_masks::{Mask, MaskGenerator, Perlin};
use image::RgbImage;
use rand::RngCore;

use crate::pixels::{reshape, to_float_into};
use crate::textures::operations::{Chain, TextureOperation};
use crate::{Background, Simulated, TextureOperations, TextureSource};

/// Which texture lies over which pixels: what [`Transparent`](crate::Transparent) and [`Opaque`](crate::Opaque) have in common.
#[derive(Clone)]
pub struct TextureOverlay {
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

impl TextureOverlay {
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

    /// Draws a mask, a texture, what is done to it, and last its opacity; mixes them.
    pub(super) fn cover(
        &self,
        normal: &RgbImage,
        made: &mut Simulated,
        rng: &mut dyn RngCore,
        opacity: impl FnOnce(&mut dyn RngCore) -> Option<f32>,
    ) -> bool {
        // Taken, not borrowed: a texture source may simulate by itself.
        let mut scratch = SCRATCH.take();
        let drawn = self.draw_mask(normal, &mut made.mask, &mut scratch.objects, rng);
        if drawn {
            self.draw_texture(normal, made, &mut scratch, rng);
            let opacity = opacity(rng);
            if let Some(opacity) = opacity {
                made.parameters.push("opacity", opacity);
            }
            to_float_into(normal, &mut made.image);
            mix(
                &mut made.image,
                &scratch.texture,
                &scratch.seen,
                opacity.unwrap_or(1.0),
            );
        }
        SCRATCH.set(scratch);
        drawn
    }

    /// Draws masks until one is not empty.
    fn draw_mask(
        &self,
        normal: &RgbImage,
        mask: &mut Mask,
        objects: &mut Mask,
        rng: &mut dyn RngCore,
    ) -> bool {
        let (width, height) = normal.dimensions();
        if let Some(background) = &self.background {
            background.objects_into(normal, objects);
        }
        (0..self.mask_tries).any(|_| {
            self.masks.generate_into(width, height, mask, rng);
            let fits = self.background.is_none() || mask.restrict(objects).is_ok();
            fits && !mask.is_empty()
        })
    }

    /// Draws a texture and changes it where it will be seen; tells how.
    fn draw_texture(
        &self,
        normal: &RgbImage,
        made: &mut Simulated,
        scratch: &mut Scratch,
        rng: &mut dyn RngCore,
    ) {
        let Scratch {
            texture,
            operations,
            seen,
            chain,
            ..
        } = scratch;
        reshape(texture, normal.width(), normal.height());
        self.textures
            .texture_into(normal.width(), normal.height(), texture, rng);
        operations.clear();
        self.operations.draw_into(operations, rng);
        made.parameters.clear();
        for &operation in operations.iter() {
            made.parameters.push("operation", operation);
        }
        positions(&made.mask, seen);
        chain.run(operations, texture, Some(seen));
    }
}

/// Memory that a thread keeps from one anomaly to the next.
#[derive(Default)]
struct Scratch {
    objects: Mask,
    texture: RgbImage,
    operations: Vec<TextureOperation>,
    seen: Vec<u32>,
    chain: Chain,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The indices of the set pixels, row by row.
fn positions(mask: &Mask, positions: &mut Vec<u32>) {
    positions.clear();
    let (eights, rest) = mask.pixels().as_chunks::<8>();
    for (eight, first) in eights.iter().zip((0..).step_by(8)) {
        // Most are clear.
        if u64::from_ne_bytes(*eight) != 0 {
            positions.extend(
                (first..)
                    .zip(eight)
                    .filter(|(_, set)| **set != 0)
                    .map(|(at, _)| at),
            );
        }
    }
    let first = 8 * eights.len() as u32;
    positions.extend(
        (first..)
            .zip(rest)
            .filter(|(_, set)| **set != 0)
            .map(|(at, _)| at),
    );
}

fn mix(image: &mut image::Rgb32FImage, texture: &RgbImage, positions: &[u32], opacity: f32) {
    let (pixels, _) = image.as_chunks_mut::<3>();
    let (textures, _) = texture.as_raw().as_chunks::<3>();
    for &at in positions {
        for (value, &texture) in pixels[at as usize].iter_mut().zip(&textures[at as usize]) {
            *value = (1.0 - opacity) * *value + opacity * (f32::from(texture) / 255.0);
        }
    }
}

/// Textures and masks for the tests of the kinds that are made of them.
#[cfg(test)]
pub(super) mod samples {
    use image::Rgb;

    use super::*;
    use crate::TextureBank;

    pub(in crate::simulators) fn bank() -> Arc<TextureBank> {
        Arc::new(TextureBank::new(vec![RgbImage::from_pixel(4, 4, Rgb([255, 51, 0]))]).unwrap())
    }

    pub(in crate::simulators) fn overlay(masks: impl MaskGenerator + 'static) -> TextureOverlay {
        TextureOverlay {
            masks: Arc::new(masks),
            operations: TextureOperations {
                count: 0,
                ..TextureOperations::default()
            },
            ..TextureOverlay::new(bank())
        }
    }

    pub(in crate::simulators) fn left_half(width: u32, height: u32, _: &mut dyn RngCore) -> Mask {
        Mask::from_fn(width, height, |x, _| x < width / 2)
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::Rng;

    use super::samples::{bank, overlay};
    use super::*;
    use crate::{AnomalySimulator, Opaque, Stream, TextureBank, Transparent};

    #[test]
    fn an_empty_mask_makes_nothing() {
        let empty = |w, h, _: &mut dyn RngCore| Mask::empty(w, h);
        let simulator = Opaque {
            overlay: overlay(empty),
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
            overlay: TextureOverlay {
                masks: Arc::new(flip),
                background: Some(Background::new(200.0, 60.0)),
                mask_tries: 20,
                ..TextureOverlay::new(bank())
            },
        };
        for index in 0..20 {
            let mut rng = Stream {
                seed: 0,
                step: 0,
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

    #[test]
    fn unseen_pixels_of_the_texture_do_not_matter() {
        // The whole texture changed by the same operations, mixed pixel by pixel.
        let texture = RgbImage::from_fn(61, 47, |x, y| {
            Rgb([(x * 4) as u8, (y * 5) as u8, (x * y % 256) as u8])
        });
        let bank: Arc<dyn TextureSource> = Arc::new(TextureBank::new(vec![texture.clone()]).unwrap());
        let normal = RgbImage::from_fn(61, 47, |x, y| Rgb([(x + y) as u8, 90, (y * 3) as u8]));
        let mut visible = 0;
        for index in 0..300 {
            let stream = Stream {
                seed: 8,
                step: 0,
                index,
            };
            let Some(made) = Transparent::new(bank.clone()).simulate(&normal, &mut stream.rng("")) else {
                continue;
            };
            let mut changed = texture.clone();
            for (_, value) in made.parameters.iter() {
                if let crate::Value::Operation(operation) = value {
                    operation.apply(&mut changed);
                }
            }
            let opacity = made.parameters.number("opacity").unwrap() as f32;
            for (x, y, pixel) in made.image.enumerate_pixels() {
                let (before, texture) = (normal.get_pixel(x, y).0, changed.get_pixel(x, y).0);
                for c in 0..3 {
                    let before = f32::from(before[c]) / 255.0;
                    let mixed = (1.0 - opacity) * before + opacity * (f32::from(texture[c]) / 255.0);
                    let expected = if made.mask.get(x, y) { mixed } else { before };
                    assert_eq!(pixel.0[c], expected, "{}", made.parameters);
                }
            }
            visible += 1;
        }
        assert!(visible > 200, "{visible}");
    }
}
