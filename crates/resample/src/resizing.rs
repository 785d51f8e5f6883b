//! A size and a filter: how images are brought to what a network takes.

use image::RgbImage;

use crate::{antialiased, resize};

/// The filter by which images are brought to a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resampling {
    /// OpenCV's bilinear, which skips pixels when it reduces (DRAEM's code).
    OpenCv,
    /// The triangle filter, as wide as the reduction: Pillow's bilinear, within a grey level (NSA's and PatchCore's code).
    Antialiased,
}

/// How images of any size are brought to one size. The aspect ratio is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resizing {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// The filter.
    pub resampling: Resampling,
}

impl Resizing {
    /// To this width and height by OpenCV's bilinear.
    pub fn opencv(width: u32, height: u32) -> Self {
        Self {
            size: (width, height),
            resampling: Resampling::OpenCv,
        }
    }

    /// To this width and height by the antialiased filter.
    pub fn antialiased(width: u32, height: u32) -> Self {
        Self {
            size: (width, height),
            resampling: Resampling::Antialiased,
        }
    }

    /// The image at this size.
    pub fn apply(&self, image: &RgbImage) -> RgbImage {
        self.resampling.apply(image, self.size)
    }
}

impl Resampling {
    /// The image at this width and height.
    pub fn apply(self, image: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
        match self {
            Self::OpenCv => resize::bilinear_rgb(image, width, height),
            Self::Antialiased => antialiased::triangle(image, width, height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn antialiasing_sees_every_pixel() {
        let image = RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb(if (x + y) % 2 == 0 { [200; 3] } else { [100; 3] })
        });
        let small = Resizing::antialiased(16, 12).apply(&image);
        assert_eq!(small.dimensions(), (16, 12));
        assert!(small.as_raw().iter().all(|value| value.abs_diff(150) <= 1));
        let skipped = Resizing::opencv(16, 12).apply(&image);
        assert_eq!(skipped, resize::bilinear_rgb(&image, 16, 12));
    }

    #[test]
    fn an_image_of_the_size_stays_what_it_is() {
        let image = RgbImage::from_fn(33, 20, |x, y| image::Rgb([(x * 7) as u8, (y * 11) as u8, 3]));
        for resizing in [Resizing::opencv(33, 20), Resizing::antialiased(33, 20)] {
            assert_eq!(resizing.apply(&image), image);
        }
    }
}
