//! Brightness, changed in one of six colour spaces.

use image::RgbImage;

use super::chain::each;
use super::color::{self, ColorSpace};
use super::hue;
use super::{Table, table};

/// The combined effect of multiplication and addition on every level.
pub(super) fn levels(multiply: f32, add: f32, multiply_first: bool) -> Table {
    let add = add.round_ties_even();
    let multiplied = |v: f32| (v * multiply).clamp(0.0, 255.0).trunc();
    let added = |v: f32| (v + add).clamp(0.0, 255.0);
    table(|v| if multiply_first { added(multiplied(v)) } else { multiplied(added(v)) } as u8)
}

/// Looks up the brightness channel of the given pixels, or of all; red and blue are taken for each other, as DRAEM
/// does.
pub(super) fn adjust(image: &mut RgbImage, pixels: Option<&[u32]>, space: ColorSpace, levels: &Table) {
    let new = |level: u8| levels[usize::from(level)];
    match space {
        ColorSpace::YCrCb => swapped(image, pixels, |p| {
            let [y, a, b] = color::to_luma(p, &color::YCRCB);
            color::from_luma([new(y), a, b], &color::YCRCB)
        }),
        ColorSpace::Yuv => swapped(image, pixels, |p| {
            let [y, a, b] = color::to_luma(p, &color::YUV);
            color::from_luma([new(y), a, b], &color::YUV)
        }),
        ColorSpace::Hsv => {
            let divisors = hue::hsv_divisors();
            swapped(image, pixels, |p| {
                let [h, s, v] = hue::to_hsv(p, divisors);
                hue::from_hsv([h, s, new(v)])
            });
        }
        ColorSpace::Hls => swapped(image, pixels, |p| {
            let [h, l, s] = hue::to_hls(p);
            hue::from_hls([h, new(l), s])
        }),
        ColorSpace::Lab => {
            let tables = color::lab_tables();
            swapped(image, pixels, |p| {
                let [l, a, b] = color::to_lab(p, tables);
                color::from_lab([new(l), a, b], tables)
            });
        }
        ColorSpace::Luv => {
            let (tables, cube, luv) = (color::lab_tables(), color::luv_cube(), color::luv_tables());
            swapped(image, pixels, |p| {
                let [l, u, v] = color::to_luv(p, cube);
                color::from_luv([new(l), u, v], tables, luv)
            });
        }
    }
}

/// Applies `f` to the given pixels, or to all, with their channels in the order B, G, R.
#[inline(always)]
pub(super) fn swapped(image: &mut RgbImage, pixels: Option<&[u32]>, f: impl Fn([u8; 3]) -> [u8; 3]) {
    each(image, pixels, |[r, g, b]| {
        let [b, g, r] = f([b, g, r]);
        [r, g, b]
    });
}
