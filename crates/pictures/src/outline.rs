//! Masks and images of `[0, 1]` as pictures, and outlines of a mask drawn on one.

use image::{GrayImage, Rgb, Rgb32FImage, RgbImage};

/// A mask as a picture: black where it is zero, white elsewhere.
pub fn mask_image(mask: &GrayImage) -> RgbImage {
    RgbImage::from_fn(mask.width(), mask.height(), |x, y| {
        Rgb([if mask.get_pixel(x, y).0[0] == 0 { 0 } else { 255 }; 3])
    })
}

/// An image of `[0, 1]` in 8 bits, rounded, with values outside the range (of a reconstruction) cut to it.
/// NaN becomes 0.
pub fn unit_image(image: &Rgb32FImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        Rgb(image.get_pixel(x, y).0.map(|value| (value * 255.0).round() as u8))
    })
}

/// Draws the outline of a mask: every set pixel of which one of the four neighbours is not set, or that lies
/// on the border. A mask of another size than the image is stretched to it (nearest pixel).
pub fn outline(image: &mut RgbImage, mask: &GrayImage, color: Rgb<u8>) {
    let (width, height) = image.dimensions();
    if mask.width() == 0 || mask.height() == 0 {
        return;
    }
    let column = |x: u32| (u64::from(x) * u64::from(mask.width()) / u64::from(width)) as u32;
    let row = |y: u32| (u64::from(y) * u64::from(mask.height()) / u64::from(height)) as u32;
    let set = |x: u32, y: u32| x < width && y < height && mask.get_pixel(column(x), row(y)).0[0] != 0;
    for y in 0..height {
        for x in 0..width {
            // One step left of column 0 wraps to a huge number, which is outside as well.
            let inside =
                set(x.wrapping_sub(1), y) && set(x + 1, y) && set(x, y.wrapping_sub(1)) && set(x, y + 1);
            if set(x, y) && !inside {
                image.put_pixel(x, y, color);
            }
        }
    }
}

/// Sides of a picture in pixels for which a contour is one pixel wide; it grows with the picture, so that it can be seen in a
/// large one (proposal).
const FINE: u32 = 600;

/// Draws the outline of a mask of the image's size (row-major, set where it is not 0), wide enough to be seen in large images. The
/// line lies around the marked pixels and on their rim, and is cut off where the image ends.
pub fn contour(image: &mut RgbImage, mask: &[u8], color: Rgb<u8>) {
    let (width, height) = image.dimensions();
    let reach = width.max(height) / FINE;
    let set = |x: u32, y: u32| {
        x < width
            && y < height
            && mask
                .get(y as usize * width as usize + x as usize)
                .is_some_and(|&m| m != 0)
    };
    for y in 0..height {
        for x in 0..width {
            if !set(x, y) {
                continue;
            }
            // One step left of column 0 wraps to a huge number, which is outside as well.
            let inside =
                set(x.wrapping_sub(1), y) && set(x + 1, y) && set(x, y.wrapping_sub(1)) && set(x, y + 1);
            if inside {
                continue;
            }
            for row in y.saturating_sub(reach)..(y + reach + 1).min(height) {
                for column in x.saturating_sub(reach)..(x + reach + 1).min(width) {
                    image.put_pixel(column, row, color);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    const INK: Rgb<u8> = Rgb([1, 2, 3]);

    fn mask(rows: &[&str]) -> GrayImage {
        GrayImage::from_fn(rows[0].len() as u32, rows.len() as u32, |x, y| {
            Luma([if rows[y as usize].as_bytes()[x as usize] == b'#' {
                255
            } else {
                0
            }])
        })
    }

    fn drawn(width: u32, height: u32, rows: &[&str]) -> Vec<String> {
        let mut image = RgbImage::new(width, height);
        outline(&mut image, &mask(rows), INK);
        let dot = |x, y| if *image.get_pixel(x, y) == INK { 'o' } else { '.' };
        (0..height)
            .map(|y| (0..width).map(|x| dot(x, y)).collect())
            .collect()
    }

    #[test]
    fn the_outline_is_the_rim_of_the_mask() {
        let rows = [".....", ".###.", ".###.", ".###.", "....."];
        assert_eq!(drawn(5, 5, &rows), [".....", ".ooo.", ".o.o.", ".ooo.", "....."]);
        assert_eq!(drawn(3, 3, &["###", "###", "###"]), ["ooo", "o.o", "ooo"]);
        assert_eq!(drawn(2, 2, &["..", ".."]), ["..", ".."]);
    }

    #[test]
    fn a_mask_of_another_size_is_stretched() {
        assert_eq!(drawn(6, 3, &["#."]), ["ooo...", "o.o...", "ooo..."]);
        assert_eq!(drawn(2, 2, &["##..", "##..", "....", "...."]), ["o.", ".."]);
    }

    #[test]
    fn a_contour_is_wider_in_a_larger_image() {
        let mut small = RgbImage::new(5, 5);
        let mask: Vec<u8> = (0..25)
            .map(|i| u8::from((1..4).contains(&(i % 5)) && (1..4).contains(&(i / 5))))
            .collect();
        contour(&mut small, &mask, INK);
        let inked = small.pixels().filter(|pixel| **pixel == INK).count();
        assert_eq!((inked, *small.get_pixel(2, 2)), (8, Rgb([0; 3])));
        let mut large = RgbImage::new(1300, 3);
        let mut mask = vec![0; 1300 * 3];
        mask[1300 + 50] = 255;
        contour(&mut large, &mask, INK);
        assert_eq!(large.pixels().filter(|pixel| **pixel == INK).count(), 5 * 3);
    }

    #[test]
    fn masks_are_black_and_white() {
        let picture = mask_image(&GrayImage::from_raw(3, 1, vec![0, 1, 255]).unwrap());
        assert_eq!(picture.into_raw(), [0, 0, 0, 255, 255, 255, 255, 255, 255]);
    }

    #[test]
    fn floats_are_cut_and_rounded() {
        let image = Rgb32FImage::from_raw(2, 1, vec![-0.5, 0.0, 0.5, 1.0, 7.0, f32::NAN]).unwrap();
        assert_eq!(unit_image(&image).into_raw(), [0, 0, 128, 255, 255, 0]);
    }
}
