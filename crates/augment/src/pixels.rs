//! Pictures in memory that is used again.

use flawforge_resample::multiversioned;
use image::{ImageBuffer, Pixel, Rgb32FImage, RgbImage};

/// Gives a picture another size. Its pixels are then old ones or zero, and must be written.
pub(crate) fn reshape<P>(image: &mut ImageBuffer<P, Vec<P::Subpixel>>, width: u32, height: u32)
where
    P: Pixel,
    P::Subpixel: Default,
{
    if image.dimensions() != (width, height) {
        let mut values = std::mem::take(image).into_raw();
        let length = width as usize * height as usize * usize::from(P::CHANNEL_COUNT);
        values.resize(length, P::Subpixel::default());
        *image = ImageBuffer::from_raw(width, height, values).unwrap_or_default();
    }
}

/// Makes a picture a copy of another one.
pub(crate) fn copy<P>(from: &ImageBuffer<P, Vec<P::Subpixel>>, into: &mut ImageBuffer<P, Vec<P::Subpixel>>)
where
    P: Pixel,
    P::Subpixel: Default,
{
    reshape(into, from.width(), from.height());
    into.copy_from_slice(from);
}

/// The same image with values in [0, 1] instead of 0..=255.
pub fn to_float(image: &RgbImage) -> Rgb32FImage {
    let mut result = Rgb32FImage::default();
    to_float_into(image, &mut result);
    result
}

/// The same image with values in [0, 1] instead of 0..=255, in memory that is used again.
pub(crate) fn to_float_into(image: &RgbImage, into: &mut Rgb32FImage) {
    reshape(into, image.width(), image.height());
    to_values(image, into);
}

multiversioned! {
    /// Levels as values in [0, 1], in memory that is there; as many as the shorter slice has. They are divided by 255 and rounded as a
    /// division rounds, which takes much longer.
    pub fn to_values(levels: &[u8], values: &mut [f32]) {
        // 1/255 in two parts: products of a level and the first are exact.
        const FIRST: f32 = 257.0 / 65536.0;
        const REST: f32 = (1.0 / 255.0 - 257.0 / 65536.0) as f32;
        for (value, &level) in values.iter_mut().zip(levels) {
            let level = f32::from(level);
            *value = level * FIRST + level * REST;
        }
    }
}

/// The image in bytes; values are clamped to [0, 1] and rounded to the nearest of 256 levels.
pub fn to_bytes(image: &Rgb32FImage) -> RgbImage {
    let mut levels = vec![0; image.as_raw().len()];
    to_levels(image, &mut levels);
    ImageBuffer::from_raw(image.width(), image.height(), levels).unwrap_or_default()
}

multiversioned! {
    /// Values as bytes, as [`to_bytes`] rounds them, in memory that is there; as many as the shorter slice has.
    pub fn to_levels(values: &[f32], levels: &mut [u8]) {
        // A float of this size has no bits left for a fraction, and its last eight are a level.
        const WHOLE: f32 = 8_388_608.0;
        for (level, &value) in levels.iter_mut().zip(values) {
            // Not `clamp`, which keeps what is not a number.
            let value = if value > 0.0 { value.min(1.0) } else { 0.0 };
            let wanted = value * 255.0 + 0.5;
            let rounded = wanted + WHOLE;
            // What was rounded upward is cut back: a cast says the same, and takes five times as long.
            let upward = u32::from(rounded - WHOLE > wanted);
            *level = (rounded.to_bits() - upward) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip() {
        let image = RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb([(16 * y + x) as u8, x as u8, 255 - y as u8])
        });
        assert_eq!(to_bytes(&to_float(&image)), image);
        // Every level, divided as the processor divides.
        for (value, &level) in to_float(&image).iter().zip(image.iter()) {
            assert_eq!(*value, f32::from(level) / 255.0);
        }
    }

    #[test]
    fn levels_are_those_of_a_cast() {
        let mut values: Vec<f32> = (0..=255)
            .flat_map(|level: u8| {
                let edge = (f32::from(level) - 0.5) / 255.0;
                [edge.next_down(), edge, edge.next_up(), f32::from(level) / 255.0]
            })
            .collect();
        values.extend([
            -0.0,
            -3.0,
            1.5,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MIN_POSITIVE,
        ]);
        values.extend((0..10_000).map(|place| place as f32 / 9_999.0));
        let cast: Vec<u8> = values
            .iter()
            .map(|value| (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8)
            .collect();
        let mut levels = vec![7; values.len()];
        to_levels(&values, &mut levels);
        assert_eq!(levels, cast);
    }

    #[test]
    fn another_size_takes_the_same_memory() {
        let mut image = RgbImage::from_pixel(20, 10, image::Rgb([1, 2, 3]));
        let memory = image.as_ptr();
        copy(&RgbImage::from_pixel(7, 9, image::Rgb([5, 6, 7])), &mut image);
        assert_eq!(image, RgbImage::from_pixel(7, 9, image::Rgb([5, 6, 7])));
        assert_eq!(image.as_ptr(), memory);
    }
}
