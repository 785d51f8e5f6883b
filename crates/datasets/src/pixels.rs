//! Decoded samples as 8-bit RGB: by the run's scale, on one ground.

use image::{DynamicImage, ImageBuffer, Pixel, Rgb, RgbImage};

use crate::note::Remark;
use crate::scale::{Extent, PixelScale, bits};

/// A 16-bit file that fills so many bits fewer than the scale is called dark: an eighth of the range, 32 levels (proposal).
const DARK: u32 = 3;
/// Real values beyond the range from 0 to 1 by more than this are refused where nothing says what is white.
const UNKNOWN_RANGE: f32 = 0.5;

/// What alpha means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// Colors are as they would be without it.
    Straight,
    /// Colors are multiplied with it already.
    Multiplied,
}

/// The image as 8-bit RGB. Transparent pixels lie on black: what is hidden under them never comes to light, and files that
/// hold nothing there, black that is, are read as they are.
///
/// # Errors
/// The farthest real value, where the scale knows nothing of such values.
pub(crate) fn to_rgb(
    image: &DynamicImage,
    alpha: Alpha,
    scale: &PixelScale,
) -> Result<(RgbImage, Vec<Remark>), f32> {
    let mut remarks = Vec::new();
    let same = |value: u8| value;
    let word = |value: u16| scale.word(value);
    let real = |value: f32| scale.real(value);
    let (rgb, transparent) = match image {
        DynamicImage::ImageLuma8(i) => opaque(i, same),
        DynamicImage::ImageRgb8(i) => (i.clone(), false),
        DynamicImage::ImageLumaA8(i) => on_black(i, alpha, same, u32::from, 255),
        DynamicImage::ImageRgba8(i) => on_black(i, alpha, same, u32::from, 255),
        DynamicImage::ImageLuma16(i) => opaque(i, word),
        DynamicImage::ImageRgb16(i) => opaque(i, word),
        DynamicImage::ImageLumaA16(i) => on_black(i, alpha, word, u32::from, 65_535),
        DynamicImage::ImageRgba16(i) => on_black(i, alpha, word, u32::from, 65_535),
        DynamicImage::ImageRgb32F(i) => opaque(i, real),
        DynamicImage::ImageRgba32F(i) => {
            let cover = |value: f32| (value.clamp(0.0, 1.0) * 65_535.0).round() as u32;
            on_black(i, alpha, real, cover, 65_535)
        }
        other => (other.to_rgb8(), false),
    };
    if transparent {
        remarks.push(Remark::Transparent);
    }
    beyond(image, scale, &mut remarks)?;
    Ok((rgb, remarks))
}

/// Whether values lie where the scale does not reach.
fn beyond(image: &DynamicImage, scale: &PixelScale, remarks: &mut Vec<Remark>) -> Result<(), f32> {
    outside(&Extent::of(image), scale, remarks)?;
    if has_nan(image) {
        remarks.push(Remark::NotNumbers);
    }
    Ok(())
}

/// Whether values of this extent lie where the scale does not reach.
///
/// # Errors
/// The farthest real value, where the scale knows nothing of such values.
pub(crate) fn outside(extent: &Extent, scale: &PixelScale, remarks: &mut Vec<Remark>) -> Result<(), f32> {
    if let Some((_, most)) = extent.words {
        let white = scale.largest_word();
        if most > white {
            remarks.push(Remark::Beyond {
                value: f32::from(most),
                black: 0.0,
                white: f32::from(white),
            });
        } else if bits(most) + DARK <= bits(white) {
            remarks.push(Remark::Dark {
                bits: bits(most),
                of: scale.words,
            });
        }
    }
    if let Some((least, most)) = extent.reals {
        let (black, white) = scale.ends();
        let value = if most - white > black - least { most } else { least };
        if scale.reals.is_none() && (most > white + UNKNOWN_RANGE || least < black - UNKNOWN_RANGE) {
            return Err(value);
        }
        if most > white || least < black {
            remarks.push(Remark::Beyond { value, black, white });
        }
    }
    Ok(())
}

/// Whether some values are no numbers.
pub(crate) fn has_nan(image: &DynamicImage) -> bool {
    let samples = match image {
        DynamicImage::ImageRgb32F(i) => i.as_raw(),
        DynamicImage::ImageRgba32F(i) => i.as_raw(),
        _ => return false,
    };
    samples.iter().any(|value| value.is_nan())
}

/// Whether an image has 8-bit alpha, and nothing of it is visible.
pub(crate) fn is_hidden(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().all(|pixel| pixel[3] == 0),
        _ => false,
    }
}

/// The image without its fourth channel.
pub(crate) fn without_alpha(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageRgba8(_) => image.into_rgb8().into(),
        DynamicImage::ImageRgba16(_) => image.into_rgb16().into(),
        DynamicImage::ImageRgba32F(_) => image.into_rgb32f().into(),
        other => other,
    }
}

fn opaque<P: Pixel>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    level: impl Fn(P::Subpixel) -> u8,
) -> (RgbImage, bool) {
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        *to = match *from.channels() {
            [grey] => Rgb([level(grey); 3]),
            [red, green, blue, ..] => Rgb([level(red), level(green), level(blue)]),
            _ => Rgb([0; 3]),
        };
    }
    (out, false)
}

/// On black, and whether anything is transparent. `cover` makes a number up to `full` of an alpha value.
fn on_black<P: Pixel>(
    image: &ImageBuffer<P, Vec<P::Subpixel>>,
    alpha: Alpha,
    level: impl Fn(P::Subpixel) -> u8,
    cover: impl Fn(P::Subpixel) -> u32,
    full: u32,
) -> (RgbImage, bool) {
    let mut out = RgbImage::new(image.width(), image.height());
    let mut transparent = false;
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        let (colors, alpha_value) = match *from.channels() {
            [grey, alpha] => ([grey; 3], alpha),
            [red, green, blue, alpha] => ([red, green, blue], alpha),
            _ => continue,
        };
        let cover = cover(alpha_value).min(full);
        transparent |= cover < full;
        let share = match alpha {
            Alpha::Straight => cover,
            Alpha::Multiplied => full,
        };
        *to = Rgb(colors.map(|color| {
            // At most 255 · 65535.
            ((u32::from(level(color)) * share + full / 2) / full) as u8
        }));
    }
    (out, transparent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{LumaA, Rgba};

    #[test]
    fn what_is_hidden_stays_hidden_and_what_is_opaque_stays_as_it_is() {
        let image = |hidden: u8| {
            image::RgbaImage::from_fn(256, 2, |x, y| match y {
                0 => Rgba([x as u8, 255 - x as u8, 7, 255]),
                _ => Rgba([hidden, 200, hidden, if x < 128 { 0 } else { 128 }]),
            })
        };
        let read =
            |hidden| to_rgb(&image(hidden).into(), Alpha::Straight, &PixelScale::default()).expect("read");
        let (rgb, remarks) = read(90);
        assert_eq!(remarks, [Remark::Transparent]);
        for x in 0..256u32 {
            assert_eq!(rgb.get_pixel(x, 0).0, [x as u8, 255 - x as u8, 7]);
        }
        assert_eq!(rgb.get_pixel(0, 1).0, [0; 3]);
        assert_eq!(rgb.get_pixel(200, 1).0, [45, 100, 45]);
        assert_eq!(read(255).0.get_pixel(5, 1), rgb.get_pixel(5, 1));
        let full = image::GrayAlphaImage::from_pixel(2, 2, LumaA([9, 255]));
        let (rgb, remarks) = to_rgb(&full.into(), Alpha::Straight, &PixelScale::default()).expect("read");
        assert!(remarks.is_empty() && rgb.pixels().all(|pixel| pixel.0 == [9; 3]));
        let multiplied = image::RgbaImage::from_pixel(1, 1, Rgba([60, 50, 40, 128]));
        let (rgb, _) = to_rgb(&multiplied.into(), Alpha::Multiplied, &PixelScale::default()).expect("read");
        assert_eq!(rgb.get_pixel(0, 0).0, [60, 50, 40]);
    }

    #[test]
    fn values_beyond_the_scale_are_said_or_refused() {
        let deep: DynamicImage = ImageBuffer::from_pixel(2, 2, image::Luma([4000u16])).into();
        let of = |image: &DynamicImage, scale: PixelScale| to_rgb(image, Alpha::Straight, &scale);
        assert_eq!(
            of(&deep, PixelScale::default()).expect("read").1,
            [Remark::Dark { bits: 12, of: None }]
        );
        let twelve = PixelScale {
            words: Some(12),
            reals: None,
        };
        assert!(of(&deep, twelve).expect("read").1.is_empty());
        let ten = PixelScale {
            words: Some(10),
            reals: None,
        };
        let (rgb, remarks) = of(&deep, ten).expect("read");
        assert!(matches!(
            remarks[..],
            [Remark::Beyond {
                value: 4000.0,
                white: 1023.0,
                ..
            }]
        ));
        assert_eq!(rgb.get_pixel(0, 0).0, [255; 3]);

        let float: DynamicImage = image::Rgb32FImage::from_pixel(2, 2, Rgb([0.0, 3000.0, f32::NAN])).into();
        assert_eq!(of(&float, PixelScale::default()).expect_err("refused"), 3000.0);
        let wide = PixelScale {
            words: None,
            reals: Some((0.0, 4095.0)),
        };
        let (rgb, remarks) = of(&float, wide).expect("read");
        assert_eq!(
            (rgb.get_pixel(0, 0).0, remarks),
            ([0, 187, 0], vec![Remark::NotNumbers])
        );
    }
}
