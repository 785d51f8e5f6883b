//! The normal images of a category as a source of patches, whether their pixels are held or not.

use std::sync::{Arc, Mutex, PoisonError};

use flawforge_augment::TextureSource;
use flawforge_datasets::{DatasetError, TrainImage, resize};
use image::RgbImage;
use rand::{Rng, RngCore};

use flawforge_resample::Windows;

use crate::error::Result;
use crate::recipe::{Batch, BatchSource};
use crate::settings::View;

/// Normal images, drawn uniformly with replacement; the same textures as a [`TextureBank`](flawforge_augment::TextureBank) of
/// them gives. Images that are not held are decoded when they are drawn.
///
/// A source of textures cannot fail, but a file can go: whoever uses what was made of the textures must [`check`](Self::check)
/// first.
#[derive(Debug)]
pub struct NormalImages {
    images: Vec<TrainImage>,
    view: View,
    fault: Mutex<Option<DatasetError>>,
}

impl NormalImages {
    /// A source of these images; `None` without any. Pixels are shared, not copied. Under a view other than the papers' square a
    /// texture is a window anywhere over an image.
    pub fn new(images: &[TrainImage], view: View) -> Option<Self> {
        (!images.is_empty()).then(|| Self {
            images: images.to_vec(),
            view,
            fault: Mutex::default(),
        })
    }

    /// Whether every image that was drawn so far could be read.
    ///
    /// # Errors
    /// That of the first that could not.
    pub fn check(&self) -> Result<(), DatasetError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone().map_or(Ok(()), Err)
    }
}

impl TextureSource for NormalImages {
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        let image = &self.images[rng.random_range(0..self.images.len())];
        match image.image() {
            // As a whole, so that an image that fits is seen as under the papers' square.
            Ok(image) if image.dimensions() == (width, height) => texture.clone_from(image.as_ref()),
            Ok(image) if !self.view.is_stretch() => {
                let windows = Windows::new((width, height), 0.0);
                let window = windows.anywhere(image.dimensions(), (rng.random(), rng.random()));
                *texture = windows.cut(&image, window);
            }
            Ok(image) => *texture = resize::bilinear_rgb(&image, width, height),
            Err(fault) => {
                let mut first = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(fault);
                *texture = RgbImage::new(width, height);
            }
        }
    }
}

/// Batches of which none is given whose patches could not be read.
pub(crate) struct Checked<'a> {
    pub(crate) batches: Box<dyn BatchSource + 'a>,
    pub(crate) normals: Option<Arc<NormalImages>>,
}

impl BatchSource for Checked<'_> {
    fn batch(&self, step: u64) -> Result<Batch> {
        let batch = self.batches.batch(step)?;
        if let Some(normals) = &self.normals {
            normals.check()?;
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use flawforge_augment::{Stream, TextureBank};

    use super::*;

    #[test]
    fn textures_are_those_of_a_bank() {
        let picture = |seed: u32| {
            RgbImage::from_fn(12, 9, |x, y| {
                image::Rgb([(x * seed) as u8, (y * 9) as u8, seed as u8])
            })
        };
        let images: Vec<TrainImage> = (0..7).map(|seed| TrainImage::new("", picture(seed))).collect();
        let own = NormalImages::new(&images, View::Stretch).unwrap();
        let bank = TextureBank::new((0..7).map(picture).collect()).unwrap();
        for (width, height) in [(12, 9), (5, 7), (30, 20)] {
            for index in 0..20 {
                let stream = Stream {
                    index,
                    ..Stream::default()
                };
                let drawn =
                    |source: &dyn TextureSource| source.texture(width, height, &mut stream.rng("texture"));
                assert_eq!(drawn(&own), drawn(&bank));
            }
        }
        assert!(own.check().is_ok() && NormalImages::new(&[], View::Stretch).is_none());
    }
}
