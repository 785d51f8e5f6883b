//! Pillow's sharpness enhancement.

use flawforge_resample::multiversioned;
use image::RgbImage;

/// Blends the given pixels of the image, or all, with its smoothed copy, and writes them to another image of the same
/// size: 0 gives the copy, 1 the image, more overshoots.
pub(super) fn enhance(image: &RgbImage, pixels: Option<&[u32]>, factor: f32, into: &mut RgbImage) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (source, stride) = (image.as_raw().as_slice(), width * 3);
    let target: &mut [u8] = into;
    match pixels {
        // The outermost pixels of the smoothed copy are those of the image, so that blending keeps them.
        None if width < 3 || height < 3 => target.copy_from_slice(source),
        None => {
            for (y, out) in target.chunks_exact_mut(stride).enumerate() {
                let row = &source[y * stride..][..stride];
                out.copy_from_slice(row);
                if y > 0 && y + 1 < height {
                    let above = &source[(y - 1) * stride..][..stride];
                    let below = &source[(y + 1) * stride..][..stride];
                    enhance_row(&mut out[3..stride - 3], above, row, below, factor);
                }
            }
        }
        Some(pixels) => {
            for &at in pixels {
                let (x, y, first) = (at as usize % width, at as usize / width, at as usize * 3);
                let inside = x > 0 && y > 0 && x + 1 < width && y + 1 < height;
                for k in first..first + 3 {
                    target[k] = if inside {
                        let column = |k: usize| {
                            u16::from(source[k - stride])
                                + u16::from(source[k])
                                + u16::from(source[k + stride])
                        };
                        sharpen(column(k - 3) + column(k) + column(k + 3), source[k], factor)
                    } else {
                        source[k]
                    };
                }
            }
        }
    }
}

multiversioned! {
    fn enhance_row(out: &mut [u8], above: &[u8], row: &[u8], below: &[u8], factor: f32) {
        let length = out.len();
        let (above, row, below) = (&above[..length + 6], &row[..length + 6], &below[..length + 6]);
        for (x, out) in out.iter_mut().enumerate() {
            let column = |x: usize| u16::from(above[x]) + u16::from(row[x]) + u16::from(below[x]);
            *out = sharpen(column(x) + column(x + 3) + column(x + 6), row[x + 3], factor);
        }
    }
}

/// A value from the sum over its 3x3 neighbourhood: kernel 1 1 1 / 1 5 1 / 1 1 1, divided by 13 and rounded.
#[inline(always)]
fn sharpen(sum: u16, value: u8, factor: f32) -> u8 {
    let smooth = ((2 * (sum + 4 * u16::from(value)) + 13) / 26) as u8;
    let (smooth, value) = (f32::from(smooth), f32::from(value));
    (smooth + factor * (value - smooth)).clamp(0.0, 255.0) as u8
}
