//! How anomalous a pixel is that a blend has changed.

use flawforge_masks::Mask;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::Logistic;
use crate::background::median_filter;

/// The kinds of NSA's labels. Text form in serde: `binary`, `continuous`, `logistic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelKind {
    /// 1 where the image has changed, else 0.
    Binary,
    /// The median of the differences around the pixel, in levels of 255.
    Continuous,
    /// The logistic function of that median where the image has changed, else 0; NSA's main variant.
    #[default]
    Logistic,
}

/// A pixel has changed when the sum over its channels differs by more than this: a mean of one level.
const TOLERANCE: u16 = 3;
/// Side of the square of the median filter that removes grain from the changed pixels.
const GRAIN: u32 = 5;
/// Radius of the disk of the median filter of differences.
const RADIUS: i64 = 5;

/// The changed pixels among those touched, and their labels.
pub(super) fn label(
    before: &RgbImage,
    after: &RgbImage,
    touched: &Mask,
    kind: LabelKind,
    logistic: Logistic,
) -> (Mask, Vec<f32>) {
    let (width, height) = before.dimensions();
    let pixels = before
        .as_raw()
        .chunks_exact(3)
        .zip(after.as_raw().chunks_exact(3));
    let mut differences: Vec<u16> = pixels
        .zip(touched.pixels())
        .map(|((a, b), &set)| {
            let sum: u16 = (0..3).map(|c| u16::from(a[c].abs_diff(b[c]))).sum();
            sum * u16::from(set)
        })
        .collect();
    let mut sums = differences.iter();
    let changed = Mask::from_fn(width, height, |_, _| {
        sums.next().is_some_and(|&sum| sum > TOLERANCE)
    });
    let changed = median_filter(&changed, GRAIN);
    if kind == LabelKind::Binary {
        let label = changed.pixels().iter().map(|&set| f32::from(set)).collect();
        return (changed, label);
    }
    for (difference, &set) in differences.iter_mut().zip(changed.pixels()) {
        *difference *= u16::from(set);
    }
    let offsets: Vec<(i64, i64)> = (-RADIUS..=RADIUS)
        .flat_map(|dy| (-RADIUS..=RADIUS).map(move |dx| (dx, dy)))
        .filter(|(dx, dy)| dx * dx + dy * dy <= RADIUS * RADIUS)
        .collect();
    let mut around = vec![0_u16; offsets.len()];
    let middle = offsets.len() / 2;
    let (last_x, last_y) = (i64::from(width) - 1, i64::from(height) - 1);
    let mut median = |x: u32, y: u32| {
        for (value, (dx, dy)) in around.iter_mut().zip(&offsets) {
            let x = (i64::from(x) + dx).clamp(0, last_x);
            let y = (i64::from(y) + dy).clamp(0, last_y);
            *value = differences[(y * (last_x + 1) + x) as usize];
        }
        f64::from(*around.select_nth_unstable(middle).1) / 3.0
    };
    let mut labels = vec![0.0; changed.pixels().len()];
    // A median is zero where fewer than half of the pixels in reach have changed.
    let reach = near(&changed);
    for (index, value) in labels.iter_mut().enumerate() {
        let (x, y) = (index as u32 % width, index as u32 / width);
        let soft = match kind {
            LabelKind::Logistic if changed.pixels()[index] != 0 => {
                let Logistic { steepness, midpoint } = logistic;
                1.0 / (1.0 + (-steepness * (median(x, y) - midpoint)).exp())
            }
            LabelKind::Continuous if reach.contains(x, y) => median(x, y),
            _ => continue,
        };
        *value = soft as f32;
    }
    (changed, labels)
}

/// A box of pixels, bounds included.
struct Box {
    left: i64,
    right: i64,
    top: i64,
    bottom: i64,
}

impl Box {
    fn contains(&self, x: u32, y: u32) -> bool {
        (self.left..=self.right).contains(&i64::from(x)) && (self.top..=self.bottom).contains(&i64::from(y))
    }
}

/// The bounding box of the set pixels and what a disk around them reaches.
fn near(mask: &Mask) -> Box {
    let mut found = Box {
        left: i64::MAX - RADIUS,
        right: i64::MIN + RADIUS,
        top: i64::MAX - RADIUS,
        bottom: i64::MIN + RADIUS,
    };
    let width = mask.width() as usize;
    for (index, _) in mask.pixels().iter().enumerate().filter(|(_, set)| **set != 0) {
        let (x, y) = ((index % width) as i64, (index / width) as i64);
        found.left = found.left.min(x - RADIUS);
        found.right = found.right.max(x + RADIUS);
        found.top = found.top.min(y - RADIUS);
        found.bottom = found.bottom.max(y + RADIUS);
    }
    found
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const LOGISTIC: Logistic = Logistic {
        steepness: 0.5,
        midpoint: 4.0,
    };

    /// A square of 20 px that is brighter by `lift`, and a lone pixel.
    fn pair(lift: u8) -> (RgbImage, RgbImage) {
        let before = RgbImage::from_fn(60, 50, |x, y| Rgb([x as u8, y as u8, 40]));
        let mut after = before.clone();
        for (x, y, pixel) in after.enumerate_pixels_mut() {
            if ((10..30).contains(&x) && (12..32).contains(&y)) || (x, y) == (45, 5) {
                pixel.0 = pixel.0.map(|v| v + lift);
            }
        }
        (before, after)
    }

    fn all() -> Mask {
        Mask::from_fn(60, 50, |_, _| true)
    }

    #[test]
    fn three_kinds() {
        let (before, after) = pair(10);
        let (mask, binary) = label(&before, &after, &all(), LabelKind::Binary, LOGISTIC);
        // The median takes three pixels from each corner, and the lone one.
        assert!(mask.count() == 388 && !mask.get(45, 5) && mask.get(20, 20));
        assert!(binary.iter().zip(mask.pixels()).all(|(&l, &m)| l == f32::from(m)));
        let at = |x: usize, y: usize| y * 60 + x;
        let (_, continuous) = label(&before, &after, &all(), LabelKind::Continuous, LOGISTIC);
        assert_eq!(
            (
                continuous[at(20, 20)],
                continuous[at(5, 5)],
                continuous[at(45, 5)]
            ),
            (10.0, 0.0, 0.0)
        );
        let (same, logistic) = label(&before, &after, &all(), LabelKind::Logistic, LOGISTIC);
        assert_eq!(same, mask);
        let expected = 1.0 / (1.0 + (-0.5_f32 * 6.0).exp());
        assert!((logistic[at(20, 20)] - expected).abs() < 1e-6);
        assert_eq!(logistic[at(9, 20)], 0.0);
        // In a corner most of the disk lies outside: the median is zero there.
        let low = 1.0 / (1.0 + (0.5_f32 * 4.0).exp());
        assert!(
            (logistic[at(11, 13)] - low).abs() < 1e-6,
            "{}",
            logistic[at(11, 13)]
        );
    }

    #[test]
    fn only_touched_pixels_above_the_tolerance_count() {
        let (before, after) = pair(1);
        let (mask, _) = label(&before, &after, &all(), LabelKind::Logistic, LOGISTIC);
        assert!(mask.is_empty());
        let (before, after) = pair(2);
        let left = Mask::from_fn(60, 50, |x, _| x < 20);
        let (mask, labels) = label(&before, &after, &left, LabelKind::Continuous, LOGISTIC);
        assert_eq!(mask.count(), 188);
        assert!(labels.iter().all(|&l| l == 0.0 || (l - 2.0).abs() < 1e-6));
    }

    #[test]
    fn images_without_pixels_have_no_labels() {
        let nothing = RgbImage::new(0, 0);
        let (mask, labels) = label(
            &nothing,
            &nothing,
            &Mask::empty(0, 0),
            LabelKind::Continuous,
            LOGISTIC,
        );
        assert!(mask.is_empty() && labels.is_empty());
    }
}
