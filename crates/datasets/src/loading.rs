//! At which sizes a category is decoded, and by which filter.

use std::path::Path;

use flawforge_masks::paint_outside;
use flawforge_resample::{Resampling, Resizing, Sizing};
use image::RgbImage;

use crate::{DatasetError, Limits, PixelScale, RegionOfInterest};

/// Sizes and filter by which a category is decoded. Ground truth has a size of its own, so that methods whose networks take
/// images of other sizes are scored on the same masks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loading {
    /// Size of the images.
    pub image: Sizing,
    /// Size of the masks, which are always resized by OpenCV's bilinear.
    pub mask: Sizing,
    /// Filter of the images.
    pub resampling: Resampling,
    /// The scale of files with more than 8 bits, where a run has one already; without, the training images give it.
    pub scale: Option<PixelScale>,
    /// What of the images is looked at, if not all: the rest is [painted](flawforge_masks::paint_outside).
    pub region: Option<RegionOfInterest>,
}

impl Loading {
    /// Images and masks of the same size, by OpenCV's bilinear.
    pub fn opencv(width: u32, height: u32) -> Self {
        Self {
            image: Sizing::Exactly((width, height)),
            mask: Sizing::Exactly((width, height)),
            resampling: Resampling::OpenCv,
            scale: None,
            region: None,
        }
    }

    /// Images as a detector takes them, and masks of this width and height.
    pub fn new(images: Resizing, mask: (u32, u32)) -> Self {
        Self {
            image: Sizing::Exactly(images.size),
            mask: Sizing::Exactly(mask),
            resampling: images.resampling,
            scale: None,
            region: None,
        }
    }

    /// The same by a run's scale.
    pub fn by(self, scale: PixelScale) -> Self {
        Self {
            scale: Some(scale),
            ..self
        }
    }

    /// An image at the size of the images, all of it.
    pub(crate) fn resized(&self, image: &RgbImage) -> RgbImage {
        self.resampling.apply(image, self.image.of(image.dimensions()))
    }

    /// An image of this file, if it comes from one, at the size of the images; what lies outside of their region is painted.
    ///
    /// # Errors
    /// As [`RegionOfInterest::of`].
    pub fn shown(
        &self,
        image: &RgbImage,
        file: Option<&Path>,
        limits: &Limits,
    ) -> Result<RgbImage, DatasetError> {
        let Some(region) = &self.region else {
            return Ok(self.resized(image));
        };
        let size = image.dimensions();
        let region = region.of(file, size, limits)?;
        // Before, so that the filter takes nothing from outside; after, so that the border is sharp.
        let mut painted = image.clone();
        paint_outside(&mut painted, &region);
        let mut shown = self.resized(&painted);
        paint_outside(&mut shown, &region);
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    #[test]
    fn demo_masks_have_a_size_of_their_own() {
        let loading = Loading::new(Resizing::antialiased(40, 40), (32, 32));
        let category = demo::category("gear", &loading, 0).unwrap();
        let plain = demo::category("gear", &Loading::opencv(32, 32), 0).unwrap();
        for (a, b) in category.test.iter().zip(&plain.test) {
            assert_eq!((a.image.dimensions(), &a.name), ((40, 40), &b.name));
            assert_eq!(a.mask, b.mask);
        }
    }
}
