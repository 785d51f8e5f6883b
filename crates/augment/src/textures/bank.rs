//! Textures from images in memory.

use std::sync::OnceLock;

use flawforge_resample::resize::bilinear_rgb_part;
use image::RgbImage;
use rand::{Rng, RngCore};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{TextureSource, digest, hexadecimal};
use crate::pixels::reshape;

/// A bank without an image, or with an image that has no pixels.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextureError {
    /// No image was given.
    #[error("a texture bank needs at least one image")]
    Empty,
    /// An image has no pixels.
    #[error("texture number {index} has no pixels")]
    NoPixels {
        /// Place of the image among those given, from 0.
        index: usize,
    },
}

/// Texture images in memory, drawn uniformly with replacement. As DRAEM does, an image of another size is
/// resized to the size wanted, whatever its aspect ratio (bilinear, no antialiasing, as OpenCV resizes).
pub struct TextureBank {
    images: Vec<RgbImage>,
    identity: OnceLock<String>,
}

impl TextureBank {
    /// A bank of the given images. Give them in the size in which they will be used where that is known: a
    /// texture of another size is resized at each draw.
    ///
    /// # Errors
    /// [`TextureError`] when there is no image or one has no pixels.
    pub fn new(images: Vec<RgbImage>) -> Result<Self, TextureError> {
        if images.is_empty() {
            return Err(TextureError::Empty);
        }
        if let Some(index) = images
            .iter()
            .position(|image| image.width() == 0 || image.height() == 0)
        {
            return Err(TextureError::NoPixels { index });
        }
        Ok(Self {
            images,
            identity: OnceLock::new(),
        })
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.images.len()
    }
}

impl TextureSource for TextureBank {
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        let image = &self.images[rng.random_range(0..self.images.len())];
        reshape(texture, width, height);
        bilinear_rgb_part(image, (0, 0), image.dimensions(), texture);
    }

    /// A digest of the sizes and pixels of all images, in their order. It is computed once, on all threads.
    fn identity(&self) -> String {
        let digests = || -> Vec<[u8; 32]> { self.images.par_iter().map(digest).collect() };
        self.identity
            .get_or_init(|| hexadecimal(&Sha256::digest(digests().concat())))
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn every_image_is_drawn() {
        let images = (0..4)
            .map(|v| RgbImage::from_pixel(8 + v, 8, image::Rgb([v as u8; 3])))
            .collect();
        let bank = TextureBank::new(images).unwrap();
        let mut rng = Stream::default().rng("");
        let mut counts = [0; 4];
        for _ in 0..400 {
            let texture = bank.texture(5, 9, &mut rng);
            assert_eq!(texture.dimensions(), (5, 9));
            counts[usize::from(texture.get_pixel(4, 8).0[0])] += 1;
        }
        assert!(
            counts.iter().all(|&count| (60..140).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn every_pixel_and_the_order_make_the_identity() {
        let image = |level, width| RgbImage::from_pixel(width, 6, image::Rgb([level; 3]));
        let identity = |images| TextureBank::new(images).unwrap().identity();
        let first = identity(vec![image(1, 4), image(2, 4)]);
        assert_eq!(first, identity(vec![image(1, 4), image(2, 4)]));
        assert!(first.len() == 64 && first.chars().all(|c| c.is_ascii_hexdigit()));
        let mut other = image(2, 4);
        other.put_pixel(3, 5, image::Rgb([2, 2, 3]));
        for images in [
            vec![image(1, 4)],
            vec![image(2, 4), image(1, 4)],
            vec![image(1, 4), other],
            vec![image(1, 6), image(2, 4)],
        ] {
            assert_ne!(first, identity(images));
        }
    }

    #[test]
    fn empty_banks_are_errors() {
        assert_eq!(TextureBank::new(vec![]).err(), Some(TextureError::Empty));
        let images = vec![RgbImage::new(1, 1), RgbImage::new(0, 4)];
        assert_eq!(
            TextureBank::new(images).err(),
            Some(TextureError::NoPixels { index: 1 })
        );
    }
}
