//! Which pixels show the object and which the background.

use std::cell::RefCell;

use flawforge_masks::Mask;
use flawforge_masks::decimal::decimal;
use flawforge_resample::multiversioned;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::SettingsError;
use crate::settings::number;

/// A plain background: a pixel shows the object where its mean over the channels differs from `level` by more
/// than `threshold`, after a median filter (NSA).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Brightness of the background, in levels of 255.
    #[serde(serialize_with = "decimal")]
    pub level: f32,
    /// Largest difference at which a pixel still belongs to the background, in levels.
    #[serde(serialize_with = "decimal")]
    pub threshold: f32,
    /// Side of the median filter's square in px, odd; 7.
    #[serde(default = "median")]
    pub median: u32,
}

fn median() -> u32 {
    7
}

impl Background {
    /// A background with NSA's median filter.
    pub fn new(level: f32, threshold: f32) -> Self {
        Self {
            level,
            threshold,
            median: median(),
        }
    }

    /// Checks the background that a simulator may have as its constant `background`.
    pub(crate) fn check(background: Option<Self>) -> Result<(), SettingsError> {
        let Some(background) = background else {
            return Ok(());
        };
        let checked = number("level", background.level, 0.0..=255.0)
            .and_then(|()| number("threshold", background.threshold, 0.0..=255.0))
            .and_then(|()| match background.median {
                side if side % 2 == 1 && side < 256 => Ok(()),
                side => Err(SettingsError::new(
                    "median",
                    format!("must be odd and less than 256, not {side}"),
                )),
            });
        checked.map_err(|error| error.within("background"))
    }

    /// The pixels of the object.
    pub fn objects(&self, image: &RgbImage) -> Mask {
        let mut objects = Mask::default();
        self.objects_into(image, &mut objects);
        objects
    }

    pub(crate) fn objects_into(&self, image: &RgbImage, objects: &mut Mask) {
        let mut differs = DIFFERS.take();
        differs.reset(image.width(), image.height());
        let (pixels, _) = image.as_raw().as_chunks::<3>();
        let mut rows = pixels.chunks_exact((image.width() as usize).max(1));
        differs.change_rows(|_, row| {
            differing(row, rows.next().unwrap_or_default(), self.level, self.threshold)
        });
        median_filter_into(&differs, self.median, objects);
        DIFFERS.set(differs);
    }
}

thread_local! {
    static DIFFERS: RefCell<Mask> = RefCell::default();
    static COLUMNS: RefCell<Vec<u32>> = RefCell::default();
}

multiversioned! {
    /// 1 where the mean of a pixel differs from `level` by more than `threshold`, else 0.
    fn differing(out: &mut [u8], pixels: &[[u8; 3]], level: f32, threshold: f32) {
        for (out, pixel) in out.iter_mut().zip(pixels) {
            let sum = u16::from(pixel[0]) + u16::from(pixel[1]) + u16::from(pixel[2]);
            *out = u8::from((f32::from(sum) / 3.0 - level).abs() > threshold);
        }
    }
}

/// The median over a square of odd side; the mask goes on beyond its edges with its outermost pixels.
pub(crate) fn median_filter_into(mask: &Mask, side: u32, result: &mut Mask) {
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let reach = (side / 2) as usize;
    if reach == 0 || width == 0 || height == 0 {
        result.copy_from(mask);
        return;
    }
    let half = (side as usize * side as usize / 2) as u32;
    let place = |at: usize, limit: usize| at.saturating_sub(reach).min(limit - 1);
    let row = |y: usize| &mask.pixels()[y * width..(y + 1) * width];
    // Set pixels in a column's window for the current row, with the columns beyond the edges.
    let mut columns = COLUMNS.take();
    columns.clear();
    columns.resize(width + 2 * reach, 0);
    for y in 0..2 * reach + 1 {
        let pixels = row(place(y, height));
        for (column, &pixel) in columns[reach..].iter_mut().zip(pixels) {
            *column += u32::from(pixel);
        }
    }
    result.reset(mask.width(), mask.height());
    result.change_rows(|y, out| {
        let y = y as usize;
        if y > 0 {
            let (enter, leave) = (row(place(y + 2 * reach, height)), row(place(y - 1, height)));
            for ((column, &e), &l) in columns[reach..].iter_mut().zip(enter).zip(leave) {
                *column = *column + u32::from(e) - u32::from(l);
            }
        }
        let (first, last) = (columns[reach], columns[reach + width - 1]);
        columns[..reach].fill(first);
        columns[reach + width..].fill(last);
        // Where nothing is set near a row there is nothing to add up.
        if columns.iter().all(|&column| column == 0) {
            return;
        }
        let mut sum: u32 = columns[..2 * reach].iter().sum();
        for ((out, &enter), &leave) in out.iter_mut().zip(&columns[2 * reach..]).zip(&columns) {
            sum += enter;
            *out = u8::from(sum > half);
            sum -= leave;
        }
    });
    COLUMNS.set(columns);
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::Rng;

    use super::*;
    use crate::Stream;

    #[test]
    fn the_median_is_the_majority() {
        let mut rng = Stream::default().rng("");
        for (width, height, side) in [(17, 9, 5), (3, 20, 7), (1, 1, 5), (12, 12, 1)] {
            let mask = Mask::from_fn(width, height, |_, _| rng.random());
            let reach = i64::from(side / 2);
            let expected = Mask::from_fn(width, height, |x, y| {
                let mut set = 0;
                for dy in -reach..=reach {
                    for dx in -reach..=reach {
                        let at =
                            |p: u32, d: i64, n: u32| (i64::from(p) + d).clamp(0, i64::from(n) - 1) as u32;
                        set += u32::from(mask.get(at(x, dx, width), at(y, dy, height)));
                    }
                }
                2 * set > side * side
            });
            let mut found = Mask::default();
            median_filter_into(&mask, side, &mut found);
            assert_eq!(found, expected, "{width}x{height}, {side}");
        }
    }

    #[test]
    fn the_object_stands_out() {
        let image = RgbImage::from_fn(40, 30, |x, y| {
            let grain = x == 2 && y == 3;
            let object = (10..30).contains(&x) && (5..25).contains(&y);
            Rgb(if object || grain {
                [90, 120, 60]
            } else {
                [200, 210, 190]
            })
        });
        let objects = Background::new(200.0, 60.0).objects(&image);
        assert!(objects.get(20, 15) && objects.get(10, 15) && !objects.get(2, 3) && !objects.get(9, 15));
        // Only the corners are rounded.
        assert!((380..400).contains(&objects.count()), "{}", objects.count());
    }
}
