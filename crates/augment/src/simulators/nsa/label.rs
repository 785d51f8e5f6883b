//! How anomalous a pixel is that a blend has changed.

use flawforge_masks::Mask;
use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::Logistic;
use crate::poisson::Area;
use crate::simulators::background::median_filter_into;

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

/// Finds what has changed; with memory that is used again.
#[derive(Default)]
pub(super) struct Labelling {
    /// Summed differences of the pixels around those touched.
    differences: Vec<u16>,
    raw: Mask,
    changed: Mask,
    around: Vec<u16>,
}

impl Labelling {
    /// Writes the changed pixels among those touched, and their labels; `false` when there are none.
    ///
    /// Everything happens in the bounding box of the touched pixels and what the filters reach: outside of it
    /// nothing has changed.
    pub(super) fn label(
        &mut self,
        before: &RgbImage,
        after: &RgbImage,
        touched: &Mask,
        (kind, logistic): (LabelKind, Logistic),
        mask: &mut Mask,
        label: Option<&mut Vec<f32>>,
    ) -> bool {
        let (width, height) = before.dimensions();
        mask.reset(width, height);
        let Some(area) = around(touched, RADIUS as u32 + GRAIN) else {
            return false;
        };
        let (old, _) = before.as_raw().as_chunks::<3>();
        let (new, _) = after.as_raw().as_chunks::<3>();
        let row = |y: u32| {
            let first = (area.y + y) as usize * width as usize + area.x as usize;
            first..first + area.width as usize
        };
        self.raw.reset(area.width, area.height);
        self.differences.clear();
        for y in 0..area.height {
            let pixels = old[row(y)]
                .iter()
                .zip(&new[row(y)])
                .zip(&touched.pixels()[row(y)]);
            self.differences.extend(pixels.map(|((a, b), &set)| {
                let sum: u16 = (0..3).map(|c| u16::from(a[c].abs_diff(b[c]))).sum();
                sum * u16::from(set)
            }));
        }
        let mut sums = self.differences.chunks_exact(area.width as usize);
        self.raw.change_rows(|_, out| {
            for (out, &sum) in out.iter_mut().zip(sums.next().unwrap_or_default()) {
                *out = u8::from(sum > TOLERANCE);
            }
        });
        median_filter_into(&self.raw, GRAIN, &mut self.changed);
        let mut rows = self.changed.pixels().chunks_exact(area.width as usize);
        mask.change_rows(|y, out| {
            if (area.y..area.y + area.height).contains(&y) {
                out[area.x as usize..][..area.width as usize]
                    .copy_from_slice(rows.next().unwrap_or_default());
            }
        });
        if let Some(label) = label {
            label.clear();
            label.resize(mask.pixels().len(), 0.0);
            for (difference, &set) in self.differences.iter_mut().zip(self.changed.pixels()) {
                *difference *= u16::from(set);
            }
            for y in 0..area.height {
                let out = &mut label[row(y)];
                for (x, out) in (0..area.width).zip(out) {
                    let changed = self.changed.get(x, y);
                    *out = match kind {
                        LabelKind::Binary => f32::from(u8::from(changed)),
                        LabelKind::Logistic if changed => {
                            let Logistic { steepness, midpoint } = logistic;
                            let median = self.median(area, x, y);
                            (1.0 / (1.0 + (-steepness * (median - midpoint)).exp())) as f32
                        }
                        LabelKind::Continuous => self.median(area, x, y) as f32,
                        LabelKind::Logistic => 0.0,
                    };
                }
            }
        }
        !mask.is_empty()
    }

    /// The median of the differences in the disk around a pixel of the area, in levels; an image goes on beyond its
    /// edges with its outermost pixels, and beside the area nothing differs.
    fn median(&mut self, area: Area, x: u32, y: u32) -> f64 {
        self.around.clear();
        let (last_x, last_y) = (i64::from(area.width) - 1, i64::from(area.height) - 1);
        for dy in -RADIUS..=RADIUS {
            let row = ((i64::from(y) + dy).clamp(0, last_y) * (last_x + 1)) as usize;
            for dx in -RADIUS..=RADIUS {
                if dx * dx + dy * dy <= RADIUS * RADIUS {
                    let column = (i64::from(x) + dx).clamp(0, last_x) as usize;
                    self.around.push(self.differences[row + column]);
                }
            }
        }
        let middle = self.around.len() / 2;
        f64::from(*self.around.select_nth_unstable(middle).1) / 3.0
    }
}

/// The bounding box of the set pixels and of what lies within a distance of it in the image.
fn around(mask: &Mask, distance: u32) -> Option<Area> {
    let (width, height) = (mask.width(), mask.height());
    let (mut left, mut right, mut top, mut bottom) = (u32::MAX, 0, u32::MAX, 0);
    for (y, row) in (0..).zip(mask.pixels().chunks_exact(width.max(1) as usize)) {
        let first = row.iter().position(|&set| set != 0);
        let last = row.iter().rposition(|&set| set != 0);
        if let (Some(first), Some(last)) = (first, last) {
            (left, right) = (left.min(first as u32), right.max(last as u32));
            (top, bottom) = (top.min(y), y);
        }
    }
    (left <= right).then(|| {
        let (x, y) = (left.saturating_sub(distance), top.saturating_sub(distance));
        Area {
            x,
            y,
            width: (right + distance + 1).min(width) - x,
            height: (bottom + distance + 1).min(height) - y,
        }
    })
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

    fn label(
        before: &RgbImage,
        after: &RgbImage,
        touched: &Mask,
        kind: LabelKind,
        logistic: Logistic,
    ) -> (Mask, Vec<f32>) {
        let (mut mask, mut labels) = (Mask::default(), Vec::new());
        let kind = (kind, logistic);
        let any = Labelling::default().label(before, after, touched, kind, &mut mask, Some(&mut labels));
        assert_eq!(any, !mask.is_empty());
        (mask, labels)
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
