//! Which images look unlike the others: by shape, brightness, color, sharpness, and as small pictures.

use image::RgbImage;
use rayon::prelude::*;

use super::glance::{detail_of, reduced};
use crate::appearance::{Appearance, Usual};

/// Side of the small pictures in pixels.
pub(crate) const SIDE: u32 = 32;

/// Fewer images than these have no usual look (proposal).
const FEWEST: usize = 8;
/// A picture is unlike when it is this far from the median picture, in levels, and so many median deviations farther than the others
/// (proposal).
const PICTURE: (f64, f64) = (12.0, 8.0);

/// How an image looks.
pub(crate) struct Look {
    /// Width and height of the file in pixels.
    pub(crate) size: (u32, u32),
    /// The small picture.
    pub(crate) small: RgbImage,
    /// Mean second difference of neighbouring pixels, in levels of 255.
    pub(crate) detail: f64,
    /// Mean of all values.
    pub(crate) level: f64,
}

impl Look {
    /// Of an image in memory that comes from a file of this size.
    pub(crate) fn of(size: (u32, u32), image: &RgbImage) -> Self {
        let values = image.as_raw();
        let sum: u64 = values.iter().map(|&value| u64::from(value)).sum();
        Self {
            size,
            small: reduced(image),
            detail: detail_of(image),
            level: sum as f64 / values.len().max(1) as f64,
        }
    }

    /// Of a small picture.
    pub(crate) fn small(size: (u32, u32), small: RgbImage, detail: f64) -> Self {
        let level = Self::of(size, &small).level;
        Self {
            size,
            small,
            detail,
            level,
        }
    }

    /// Means of red less green and blue less green.
    pub(crate) fn color(&self) -> [f64; 2] {
        let mut sums = [0i64; 2];
        for pixel in self.small.pixels() {
            let [r, g, b] = pixel.0.map(i64::from);
            sums[0] += r - g;
            sums[1] += b - g;
        }
        sums.map(|sum| sum as f64 / f64::from(SIDE * SIDE))
    }
}

/// An image unlike the others.
pub(crate) struct Unlike {
    /// Its place.
    pub(crate) place: usize,
    /// In what, in words.
    pub(crate) reason: String,
    /// How much beyond the limit, from 1.
    pub(crate) degree: f64,
}

/// The images that look unlike the others, in their order, each with the first reason that holds.
pub(crate) fn unlike(looks: &[Look]) -> Vec<Unlike> {
    if looks.len() < FEWEST {
        return Vec::new();
    }
    let Some(appearance) = Appearance::of_pictures(looks) else {
        return Vec::new();
    };
    let far = distances(looks);
    let distance = Usual::of(far.iter().copied());
    let reason = |place: usize, look: &Look| -> Option<(String, f64)> {
        if let Some(first) = appearance.reasons(look, "others").into_iter().next() {
            return Some(first);
        }
        let degree = distance.above(far[place], PICTURE)?;
        let said = format!(
            "another picture: {:.0} levels from the median picture, others {:.0}",
            far[place], distance.median
        );
        Some((said, degree))
    };
    let found = looks.iter().enumerate().filter_map(|(place, look)| {
        let (reason, degree) = reason(place, look)?;
        Some(Unlike {
            place,
            reason,
            degree,
        })
    });
    found.collect()
}

/// Mean absolute distance of each small picture from the median of all, value by value.
fn distances(looks: &[Look]) -> Vec<f64> {
    let length = (SIDE * SIDE * 3) as usize;
    let middle: Vec<u8> = (0..length)
        .into_par_iter()
        .map(|at| {
            let mut counts = [0usize; 256];
            for look in looks {
                counts[usize::from(look.small.as_raw()[at])] += 1;
            }
            let mut before = 0;
            let median = counts.iter().position(|count| {
                before += count;
                2 * before >= looks.len()
            });
            median.unwrap_or(0) as u8
        })
        .collect();
    looks
        .par_iter()
        .map(|look| {
            let pairs = look.small.as_raw().iter().zip(&middle);
            let sum: u64 = pairs.map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
            sum as f64 / length as f64
        })
        .collect()
}
