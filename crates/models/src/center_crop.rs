//! Which part of an image a network sees.

use image::{RgbImage, imageops};

use crate::{AnomalyMap, FieldOfView, ModelError};

/// The centre crop of an image that a network sees, and where its scores go. All sizes are (width, height) in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CenterCrop {
    /// Size of the images that come in.
    pub image: (u32, u32),
    /// Size of the part in their middle that the network sees; that of the images for all of them.
    pub crop: (u32, u32),
    /// Size of the anomaly maps that are handed out. They show the whole image: 0 outside of the crop.
    pub map: (u32, u32),
}

impl CenterCrop {
    /// Whole images, and maps of their size.
    pub fn whole(width: u32, height: u32) -> Self {
        Self {
            image: (width, height),
            crop: (width, height),
            map: (width, height),
        }
    }

    /// Square images, crops and maps with these sides.
    pub fn square(image: u32, crop: u32, map: u32) -> Self {
        Self {
            image: (image, image),
            crop: (crop, crop),
            map: (map, map),
        }
    }

    /// Left and upper end of the crop.
    pub fn corner(&self) -> (u32, u32) {
        // As torchvision's centre crop rounds: half to even.
        let middle =
            |whole: u32, part: u32| (f64::from(whole.saturating_sub(part)) / 2.0).round_ties_even() as u32;
        (
            middle(self.image.0, self.crop.0),
            middle(self.image.1, self.crop.1),
        )
    }

    /// The part of an image that the network sees.
    pub fn cropped(&self, image: &RgbImage) -> RgbImage {
        if self.crop == self.image {
            return image.clone();
        }
        let (x, y) = self.corner();
        imageops::crop_imm(image, x, y, self.crop.0, self.crop.1).to_image()
    }

    /// The crop in shares of the image's width and height, unless it is the whole image.
    pub fn share(&self) -> Option<FieldOfView> {
        let (x, y) = self.corner();
        let share = |place: u32, whole: u32| f64::from(place) / f64::from(whole);
        (self.crop != self.image).then(|| FieldOfView {
            left: share(x, self.image.0),
            top: share(y, self.image.1),
            right: share(x + self.crop.0, self.image.0),
            bottom: share(y + self.crop.1, self.image.1),
        })
    }

    /// The map of a whole image, at the image's size, from that of its crop: 0 outside of it.
    ///
    /// # Errors
    /// [`ModelError::CenterCrop`] for a map that is not of the crop's size, or a crop that is larger than the image.
    pub fn placed(&self, crop: AnomalyMap) -> Result<AnomalyMap, ModelError> {
        self.check()?;
        if (crop.width, crop.height) != self.crop
            || crop.scores.len() != crop.width as usize * crop.height as usize
        {
            return Err(self.unfit());
        }
        if self.crop == self.image {
            return Ok(crop);
        }
        let (width, height) = (self.image.0 as usize, self.image.1 as usize);
        let mut scores = vec![0.0; width * height];
        let (x, y) = self.corner();
        for (row, part) in crop.scores.chunks_exact(crop.width as usize).enumerate() {
            scores[(y as usize + row) * width + x as usize..][..part.len()].copy_from_slice(part);
        }
        Ok(AnomalyMap {
            width: self.image.0,
            height: self.image.1,
            scores,
        })
    }

    /// Checks that the crop lies inside the image and that no side is empty.
    ///
    /// # Errors
    /// [`ModelError::CenterCrop`].
    pub fn check(&self) -> Result<(), ModelError> {
        let fits = |part: u32, whole: u32| part > 0 && part <= whole;
        if fits(self.crop.0, self.image.0)
            && fits(self.crop.1, self.image.1)
            && self.map.0.min(self.map.1) > 0
        {
            Ok(())
        } else {
            Err(self.unfit())
        }
    }

    fn unfit(&self) -> ModelError {
        ModelError::CenterCrop {
            image: self.image,
            crop: self.crop,
            map: self.map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_and_its_map_lie_in_the_middle() {
        let crop = CenterCrop {
            image: (7, 6),
            crop: (4, 3),
            map: (7, 6),
        };
        assert_eq!(crop.corner(), (2, 2)); // 1.5 twice, to even
        let image = RgbImage::from_fn(7, 6, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let part = crop.cropped(&image);
        assert_eq!(part.dimensions(), (4, 3));
        assert_eq!(part.get_pixel(0, 0), &image::Rgb([2, 2, 0]));

        let scores: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let map = AnomalyMap {
            width: 4,
            height: 3,
            scores,
        };
        let whole = crop.placed(map.clone()).unwrap();
        assert_eq!((whole.width, whole.height), (7, 6));
        for (place, &score) in whole.scores.iter().enumerate() {
            let (x, y) = (place % 7, place / 7);
            let inside = (2..6).contains(&x) && (2..5).contains(&y);
            let wanted = if inside {
                ((y - 2) * 4 + x - 2 + 1) as f32
            } else {
                0.0
            };
            assert_eq!(score, wanted, "{x} {y}");
        }
        let share = crop.share().unwrap();
        assert_eq!((share.left, share.right), (2.0 / 7.0, 6.0 / 7.0));
        assert_eq!((share.top, share.bottom), (2.0 / 6.0, 5.0 / 6.0));
        assert!(CenterCrop::whole(7, 6).placed(map).is_err());
        assert_eq!(CenterCrop::whole(7, 6).share(), None);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        for wrong in [
            CenterCrop::square(64, 65, 64),
            CenterCrop::square(64, 0, 64),
            CenterCrop::square(64, 32, 0),
        ] {
            let message = wrong.check().unwrap_err().to_string();
            assert!(message.contains("centre crop"), "{message}");
        }
        assert!(CenterCrop::square(64, 64, 1).check().is_ok());
    }
}
