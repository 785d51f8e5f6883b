//! Which images look unlike the others: by shape, brightness, color, sharpness, and as small pictures.
//!
//! All measures are robust: medians, and median deviations from them. Where images differ much from each other, nothing is
//! called unlike.

use image::RgbImage;
use rayon::prelude::*;

use super::glance::{detail_of, reduced};

/// Side of the small pictures in pixels.
pub(crate) const SIDE: u32 = 32;

/// Fewer images than these have no usual look (proposal).
const FEWEST: usize = 8;
/// Most images have the shape of most others, or shape says nothing (proposal).
const MAJORITY: f64 = 0.85;
/// A shape is unlike when width through height differs by this share (proposal).
const SHAPE: f64 = 0.1;
/// A size is unlike when its side differs by this factor, and by so many median deviations (proposal).
const SIZE: (f64, f64) = (1.5, 8.0);
/// A brightness is unlike when it differs by this much of 255, and by so many median deviations (proposal).
const BRIGHTNESS: (f64, f64) = (40.0, 10.0);
/// As brightness, for red or blue less green (proposal).
const COLOR: (f64, f64) = (15.0, 10.0);
/// As brightness, for sharpness in powers of two (proposal).
const SHARPNESS: (f64, f64) = (1.5, 8.0);
/// As brightness, for the distance from the median picture (proposal).
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
    fn color(&self) -> [f64; 2] {
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
    let shape = |look: &Look| (f64::from(look.size.0) / f64::from(look.size.1)).ln();
    let area = |look: &Look| (f64::from(look.size.0) * f64::from(look.size.1)).ln() / 2.0;
    let shapes = Usual::of(looks.iter().map(shape));
    let areas = Usual::of(looks.iter().map(area));
    let levels = Usual::of(looks.iter().map(|look| look.level));
    let colors = [0, 1].map(|i| Usual::of(looks.iter().map(|look| look.color()[i])));
    let sharpness = |look: &Look| (look.detail + 0.25).log2();
    let sharp = Usual::of(looks.iter().map(sharpness));
    let far = distances(looks);
    let distance = Usual::of(far.iter().copied());
    let most = |usual: &Usual, limit: f64, of: &dyn Fn(&Look) -> f64| {
        let alike = looks.iter().filter(|look| usual.off(of(look)) <= limit).count();
        alike as f64 >= MAJORITY * looks.len() as f64
    };
    let shape_says = most(&shapes, SHAPE, &shape);
    let usual_size = looks
        .iter()
        .find(|look| shapes.off(shape(look)) <= SHAPE && areas.off(area(look)) <= SIZE.0.ln())
        .map_or((0, 0), |look| look.size);
    let reason = |place: usize, look: &Look| -> Option<(String, f64)> {
        let sizes = || {
            let ((w, h), (others_w, others_h)) = (look.size, usual_size);
            format!("{w}x{h}, others {others_w}x{others_h}")
        };
        if shape_says && shapes.off(shape(look)) > SHAPE {
            return Some((sizes(), shapes.off(shape(look)) / SHAPE));
        }
        if let Some(degree) = areas.beyond(area(look), (SIZE.0.ln(), SIZE.1)) {
            return Some((sizes(), degree));
        }
        if let Some(degree) = levels.beyond(look.level, BRIGHTNESS) {
            let than = if look.level > levels.median {
                "brighter"
            } else {
                "darker"
            };
            let said = format!("{than}: {:.0} of 255, others {:.0}", look.level, levels.median);
            return Some((said, degree));
        }
        for ((usual, value), name) in colors.iter().zip(look.color()).zip(["red", "blue"]) {
            if let Some(degree) = usual.beyond(value, COLOR) {
                let said = format!(
                    "another color: {name} less green is {value:.0}, others {:.0}",
                    usual.median
                );
                return Some((said, degree));
            }
        }
        if let Some(degree) = sharp.beyond(sharpness(look), SHARPNESS) {
            let than = if sharpness(look) < sharp.median {
                "blurred"
            } else {
                "noisier or sharper"
            };
            let others = sharp.median.exp2() - 0.25;
            let said = format!(
                "{than}: neighbouring pixels bend by {:.1} levels, others {others:.1}",
                look.detail
            );
            return Some((said, degree));
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

/// Median and median deviation of a measure.
struct Usual {
    median: f64,
    spread: f64,
}

impl Usual {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let middle = median(values.clone());
        let spread = median(values.iter().map(|value| (value - middle).abs()).collect());
        Self {
            median: middle,
            spread,
        }
    }

    fn off(&self, value: f64) -> f64 {
        (value - self.median).abs()
    }

    /// How many times the limit a value is away from the median, if it is over: at least so much, and so many deviations.
    fn beyond(&self, value: f64, (least, deviations): (f64, f64)) -> Option<f64> {
        let degree = self.off(value) / least.max(deviations * self.spread);
        (degree > 1.0).then_some(degree)
    }

    /// The same for values above the median alone.
    fn above(&self, value: f64, limit: (f64, f64)) -> Option<f64> {
        self.beyond(value, limit).filter(|_| value > self.median)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
