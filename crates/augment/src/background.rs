//! Which pixels show the object and which the ground behind it.

use flawforge_masks::Mask;
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// A plain background: a pixel shows the object where its mean over the channels differs from `level` by more
/// than `threshold`, after a median filter (NSA).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Brightness of the ground, in levels of 255.
    pub level: f32,
    /// Largest difference at which a pixel still belongs to the ground, in levels.
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

    /// The pixels of the object.
    pub fn objects(&self, image: &RgbImage) -> Mask {
        let mut pixels = image.pixels();
        let differs = Mask::from_fn(image.width(), image.height(), |_, _| {
            pixels.next().is_some_and(|pixel| {
                let sum: u16 = pixel.0.iter().map(|&v| u16::from(v)).sum();
                (f32::from(sum) / 3.0 - self.level).abs() > self.threshold
            })
        });
        median_filter(&differs, self.median)
    }
}

/// The median over a square of odd side; the mask goes on beyond its edges with its outermost pixels.
pub(crate) fn median_filter(mask: &Mask, side: u32) -> Mask {
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let reach = (side / 2) as usize;
    if reach == 0 || width == 0 || height == 0 {
        return mask.clone();
    }
    let half = (side as usize * side as usize / 2) as u32;
    let place = |at: usize, limit: usize| at.saturating_sub(reach).min(limit - 1);
    // Set pixels in a column's window, for the current row.
    let mut columns = vec![0_u32; width];
    let row = |y: usize| &mask.pixels()[y * width..(y + 1) * width];
    for y in 0..2 * reach + 1 {
        let pixels = row(place(y, height));
        columns
            .iter_mut()
            .zip(pixels)
            .for_each(|(c, &p)| *c += u32::from(p));
    }
    let mut result = Mask::empty(mask.width(), mask.height());
    for y in 0..height {
        if y > 0 {
            let (enter, leave) = (row(place(y + 2 * reach, height)), row(place(y - 1, height)));
            for ((c, &e), &l) in columns.iter_mut().zip(enter).zip(leave) {
                *c = *c + u32::from(e) - u32::from(l);
            }
        }
        let mut sum: u32 = (0..2 * reach + 1).map(|x| columns[place(x, width)]).sum();
        for x in 0..width {
            if x > 0 {
                sum = sum + columns[place(x + 2 * reach, width)] - columns[place(x - 1, width)];
            }
            if sum > half {
                result.set(x as u32, y as u32, true);
            }
        }
    }
    result
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
            assert_eq!(median_filter(&mask, side), expected, "{width}x{height}, {side}");
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
