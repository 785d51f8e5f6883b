//! At which size a method wants its images, and by which filter.

use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::resize;

/// How images are brought to a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resampling {
    /// OpenCV's bilinear, which skips pixels when it reduces (DRAEM's code).
    OpenCv,
    /// The triangle filter, as wide as the reduction: Pillow's bilinear, within a grey level (NSA's and PatchCore's code).
    Antialiased,
}

/// Sizes (width, height in pixels) and filter by which a category is decoded. Ground truth has a size of its own, so that
/// methods which look at images of other sizes are scored on the same masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loading {
    /// Size of the images.
    pub image: (u32, u32),
    /// Size of the masks, which are always resized by OpenCV's bilinear.
    pub mask: (u32, u32),
    /// Filter of the images.
    pub resampling: Resampling,
}

impl Loading {
    /// Images and masks of the same size, by OpenCV's bilinear.
    pub fn opencv(width: u32, height: u32) -> Self {
        Self {
            image: (width, height),
            mask: (width, height),
            resampling: Resampling::OpenCv,
        }
    }

    /// An image at the size of the images; aspect ratio ignored.
    pub fn resized(&self, image: &RgbImage) -> RgbImage {
        let (width, height) = self.image;
        match self.resampling {
            Resampling::OpenCv => resize::bilinear_rgb(image, width, height),
            Resampling::Antialiased => imageops::resize(image, width, height, FilterType::Triangle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo;

    #[test]
    fn antialiasing_sees_every_pixel() {
        let image = RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb(if (x + y) % 2 == 0 { [200; 3] } else { [100; 3] })
        });
        let loading = Loading {
            image: (16, 12),
            mask: (8, 8),
            resampling: Resampling::Antialiased,
        };
        let small = loading.resized(&image);
        assert_eq!(small.dimensions(), (16, 12));
        assert!(small.as_raw().iter().all(|value| value.abs_diff(150) <= 1));
    }

    #[test]
    fn demo_masks_have_a_size_of_their_own() {
        let loading = Loading {
            image: (40, 40),
            mask: (32, 32),
            resampling: Resampling::Antialiased,
        };
        let (category, plain) = (
            demo::category_as("gear", &loading, 0).unwrap(),
            demo::category("gear", 32, 0).unwrap(),
        );
        for (a, b) in category.test.iter().zip(&plain.test) {
            assert_eq!((a.image.dimensions(), &a.name), ((40, 40), &b.name));
            assert_eq!(a.mask, b.mask);
        }
    }
}
