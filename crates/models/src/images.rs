//! From images to tensors.

use candle_core::{Device, Tensor};
use flawforge_ops::upload;
use image::{Rgb32FImage, RgbImage};

use crate::ModelError;

/// A tensor (N, H, W, 3) of images with values in \[0, 1\]; pixels are copied as they lie, without a transpose.
///
/// # Errors
/// No images, images of different sizes, a failed allocation on the device.
pub fn images_to_tensor(images: &[&Rgb32FImage], device: &Device) -> Result<Tensor, ModelError> {
    let (width, height) = same_size(images.iter().map(|image| image.dimensions()))?;
    let mut values = Vec::with_capacity(images.len() * 3 * width * height);
    for image in images {
        values.extend_from_slice(image.as_raw());
    }
    Ok(upload(values, (images.len(), height, width, 3), device)?)
}

/// As [`images_to_tensor`], from bytes, which are divided by 255 (DRAEM's code; no other normalisation).
///
/// # Errors
/// As [`images_to_tensor`].
pub fn bytes_to_tensor(images: &[&RgbImage], device: &Device) -> Result<Tensor, ModelError> {
    let (width, height) = same_size(images.iter().map(|image| image.dimensions()))?;
    let mut values = Vec::with_capacity(images.len() * 3 * width * height);
    for image in images {
        values.extend(image.as_raw().iter().map(|&byte| f32::from(byte) / 255.0));
    }
    Ok(upload(values, (images.len(), height, width, 3), device)?)
}

/// Width and height of images, which are all the same.
pub(crate) fn same_size(mut sizes: impl Iterator<Item = (u32, u32)>) -> Result<(usize, usize), ModelError> {
    let expected = sizes.next().ok_or(ModelError::NoImages)?;
    for (index, found) in (1..).zip(sizes) {
        if found != expected {
            return Err(ModelError::ImageSize {
                index,
                expected,
                found,
            });
        }
    }
    Ok((expected.0 as usize, expected.1 as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn pixels_keep_their_place() {
        let a = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 255]));
        let b = RgbImage::from_pixel(3, 2, Rgb([51, 0, 0]));
        let tensor = bytes_to_tensor(&[&a, &b], &Device::Cpu).unwrap();
        assert_eq!(tensor.dims(), [2, 2, 3, 3]);
        let values = tensor.to_vec1_of_all();
        // image 0, row 1, column 2
        assert_eq!(values[(3 + 2) * 3..][..3], [2.0 / 255.0, 1.0 / 255.0, 1.0]);
        assert_eq!(values[18..21], [0.2, 0.0, 0.0]);
        let float = Rgb32FImage::from_fn(3, 2, |x, y| Rgb([x as f32 / 255.0, y as f32 / 255.0, 1.0]));
        let tensor = images_to_tensor(&[&float], &Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec1_of_all(), values[..18]);
    }

    #[test]
    fn batches_must_be_uniform() {
        let (a, b) = (RgbImage::new(4, 4), RgbImage::new(4, 5));
        assert!(matches!(
            bytes_to_tensor(&[], &Device::Cpu),
            Err(ModelError::NoImages)
        ));
        let error = bytes_to_tensor(&[&a, &a, &b], &Device::Cpu).unwrap_err();
        assert_eq!(error.to_string(), "image 2 is 4x5, not 4x4");
    }

    trait Values {
        fn to_vec1_of_all(&self) -> Vec<f32>;
    }

    impl Values for Tensor {
        fn to_vec1_of_all(&self) -> Vec<f32> {
            self.flatten_all().unwrap().to_vec1().unwrap()
        }
    }
}
