//! Pillow's sharpness enhancement.

use image::RgbImage;

/// Blends the image with its smoothed copy: 0 gives the copy, 1 the image, more overshoots.
pub(super) fn enhance(image: &mut RgbImage, factor: f32) {
    let source = image.as_raw().clone();
    let (width, height) = (image.width() as usize, image.height() as usize);
    if width == 0 {
        return;
    }
    let stride = width * 3;
    let blend = |smooth: u8, value: u8| {
        let (smooth, value) = (f32::from(smooth), f32::from(value));
        (smooth + factor * (value - smooth)).clamp(0.0, 255.0) as u8
    };
    // The outermost pixels of the smoothed copy are those of the image, so that blending keeps them.
    if width < 3 || height < 3 {
        return;
    }
    let target: &mut [u8] = image;
    for y in 1..height - 1 {
        let above = &source[(y - 1) * stride..][..stride];
        let row = &source[y * stride..][..stride];
        let below = &source[(y + 1) * stride..][..stride];
        let out = &mut target[y * stride + 3..][..stride - 6];
        for (x, out) in out.iter_mut().enumerate() {
            // Kernel 1 1 1 / 1 5 1 / 1 1 1, divided by 13 and rounded.
            let column = |x: usize| u16::from(above[x]) + u16::from(row[x]) + u16::from(below[x]);
            let centre = row[x + 3];
            let sum = column(x) + column(x + 3) + column(x + 6) + 4 * u16::from(centre);
            *out = blend(((2 * sum + 13) / 26) as u8, centre);
        }
    }
}
