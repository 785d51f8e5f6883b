//! Where foreign textures come from.

use flawforge_resample::resize::bilinear_rgb_part;
use image::RgbImage;
use rand::{Rng, RngCore};
use thiserror::Error;

use crate::buffer::reshape;

/// Gives textures of a wanted size.
pub trait TextureSource: Send + Sync {
    /// One texture of `width` x `height` pixels, RGB; a function of the size and the numbers from `rng` only.
    fn texture(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> RgbImage;

    /// The same, written over `texture`. The sources of this crate use its memory again.
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        *texture = self.texture(width, height, rng);
    }
}

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
        Ok(Self { images })
    }

    /// The number of images, at least 1.
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.images.len()
    }
}

impl TextureSource for TextureBank {
    fn texture(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> RgbImage {
        let mut texture = RgbImage::default();
        self.texture_into(width, height, &mut texture, rng);
        texture
    }

    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        let image = &self.images[rng.random_range(0..self.images.len())];
        reshape(texture, width, height);
        bilinear_rgb_part(image, (0, 0), image.dimensions(), texture);
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
    fn empty_banks_are_errors() {
        assert_eq!(TextureBank::new(vec![]).err(), Some(TextureError::Empty));
        let images = vec![RgbImage::new(1, 1), RgbImage::new(0, 4)];
        assert_eq!(
            TextureBank::new(images).err(),
            Some(TextureError::NoPixels { index: 1 })
        );
    }
}
