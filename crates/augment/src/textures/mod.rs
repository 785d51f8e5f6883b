//! Where foreign textures come from, and what is done to them.

mod bank;
pub(crate) mod operations;
mod procedural;

use flawforge_masks::Stream;
use image::RgbImage;
use rand::RngCore;
use sha2::{Digest, Sha256};

pub use bank::{TextureBank, TextureError};
pub use operations::{ColorSpace, TextureOperation, TextureOperations};
pub use procedural::ProceduralTextures;

/// Gives textures of a wanted size. Closures `Fn(u32, u32, &mut dyn RngCore) -> RgbImage + Send + Sync` are sources, too.
pub trait TextureSource: Send + Sync {
    /// Writes one texture of `width` x `height` pixels, RGB, over `texture`; a function of the size and the numbers from
    /// `rng` only. The sources of this crate use the memory again.
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore);

    /// The same in new memory.
    fn texture(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> RgbImage {
        let mut texture = RgbImage::default();
        self.texture_into(width, height, &mut texture, rng);
        texture
    }

    /// What tells this source from others: two sources with the same identity give the same textures. A program notes it
    /// beside what it made, and compares it before it goes on. Either 64 hexadecimal digits, or words.
    ///
    /// Unless a source says better, a digest of a few textures drawn by fixed [`Stream`]s: sources that differ only in
    /// textures that are not among them are taken for the same.
    fn identity(&self) -> String {
        let mut hash = Sha256::new();
        let mut texture = RgbImage::default();
        for index in 0..PROBES {
            let stream = Stream {
                index,
                ..Stream::default()
            };
            let mut rng = stream.rng("texture source: identity");
            self.texture_into(PROBE_SIDE, PROBE_SIDE, &mut texture, &mut rng);
            hash.update(digest(&texture));
        }
        hexadecimal(&hash.finalize())
    }
}

/// Textures that make the identity of a source.
const PROBES: u64 = 16;
/// Their side in pixels.
const PROBE_SIDE: u32 = 64;

impl<F> TextureSource for F
where
    F: Fn(u32, u32, &mut dyn RngCore) -> RgbImage + Send + Sync,
{
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        *texture = self(width, height, rng);
    }
}

/// SHA-256 of an image's size and pixels.
fn digest(image: &RgbImage) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(image.width().to_le_bytes());
    hash.update(image.height().to_le_bytes());
    hash.update(image.as_raw());
    hash.finalize().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::Rng;

    use super::*;

    #[test]
    fn a_closure_is_known_by_what_it_gives() {
        let source = |levels: u8| {
            move |width, height, rng: &mut dyn RngCore| {
                let level = rng.random_range(0..levels);
                RgbImage::from_pixel(width, height, Rgb([level; 3]))
            }
        };
        let identity = |source: &dyn TextureSource| source.identity();
        assert_eq!(identity(&source(200)), identity(&source(200)));
        assert_ne!(identity(&source(200)), identity(&source(100)));
        assert_eq!(identity(&source(200)).len(), 64);
    }
}
