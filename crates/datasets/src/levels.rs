//! What a mask file marks, at its own size and depth.
//!
//! People write masks as 0 and 255, as gray 200, as JPEG, with 1 bit, with labels 0, 1, 2, as colored palettes, or into the
//! alpha channel. One rule for all: what is marked is told apart from what is not at the file's own size, and only then resized.

use std::collections::BTreeSet;

use image::{DynamicImage, GrayImage, Luma};

use crate::decode::Decoded;
use crate::note::Remark;

/// Levels beside 0 that are still taken for labels (proposal).
const LABELS: usize = 16;
/// Colors that are still taken for labels, in a file whose colors are exact (proposal).
const COLORS: usize = 64;
/// Below this largest value, a lossy mask has lost its labels (proposal).
const FAINTEST: u16 = 32;
/// Levels between 0 and 255 that reducing a mask leaves at least: quarters, where four pixels become one (proposal).
const QUARTERS: usize = 3;
/// Share of gray pixels that must lie between marked and unmarked ones for a mask to count as reduced (proposal).
const ON_BORDERS: f64 = 0.95;

/// What a mask file marks, as stored: 255 where marked, 0 where not, between them only where the mask was reduced before.
pub(crate) struct Marked {
    pub(crate) image: GrayImage,
    pub(crate) remarks: Vec<Remark>,
}

/// Values that grow with how much a pixel is marked.
struct Plane {
    values: Vec<u16>,
    /// Whether they are more than 8 bits wide.
    deep: bool,
}

/// Reads what a decoded mask marks.
///
/// # Errors
/// The largest value, where values are too faint to tell marks from noise.
pub(crate) fn marked(decoded: &Decoded) -> Result<Marked, u8> {
    let mut remarks = Vec::new();
    let plane = plane(decoded, &mut remarks);
    let (width, height) = (decoded.image.width(), decoded.image.height());
    let mut levels = vec![false; 1 << 16];
    for &value in &plane.values {
        levels[usize::from(value)] = true;
    }
    let has_zero = levels[0];
    // Without 0.
    let levels: Vec<u16> = (1..=u16::MAX)
        .filter(|&level| levels[usize::from(level)])
        .collect();
    let largest = levels.last().copied().unwrap_or(0);
    let full = match (plane.deep, largest) {
        (false, _) | (true, ..256) => 255,
        (true, _) => u16::MAX >> largest.leading_zeros(),
    };
    let half = full / 2 + 1;
    let binary = |from: u16| {
        let values = plane
            .values
            .iter()
            .map(|&value| if value >= from { 255 } else { 0 });
        GrayImage::from_raw(width, height, values.collect()).unwrap_or_default()
    };
    let image = if levels.len() <= 1 {
        if (1..half).contains(&largest) {
            remarks.push(Remark::Labels { largest });
        }
        binary(largest.max(1))
    } else if largest >= half {
        let greys = GrayImage::from_fn(width, height, |x, y| {
            Luma([plane.values[(y * width + x) as usize].min(255) as u8])
        });
        if has_zero && full == 255 && largest == 255 && !decoded.lossy && is_reduced(&greys, levels.len()) {
            remarks.push(Remark::Reduced);
            greys
        } else {
            if levels.len() > LABELS || decoded.lossy {
                remarks.push(Remark::ManyGreys { from: half, full });
            } else if levels[0] < half {
                let levels = std::iter::once(0)
                    .filter(|_| has_zero)
                    .chain(levels.iter().copied())
                    .collect();
                remarks.push(Remark::SeveralLevels { levels, from: half });
            }
            binary(half)
        }
    } else if levels.len() <= LABELS && !decoded.lossy {
        remarks.push(Remark::Labels { largest });
        binary(1)
    } else if decoded.lossy && largest < FAINTEST {
        return Err(largest as u8);
    } else {
        let from = largest.div_ceil(2);
        remarks.push(Remark::ManyGreys { from, full: largest });
        binary(from)
    };
    Ok(Marked { image, remarks })
}

/// Whether gray values are the borders of a mask that was brought to another size by bilinear resizing: they lie between
/// marked and unmarked pixels, one pixel wide, in several levels. Such a pixel is partly covered, and DRAEM's rule (only 255
/// counts) is about that.
fn is_reduced(mask: &GrayImage, levels: usize) -> bool {
    if levels <= QUARTERS {
        return false;
    }
    let (mut gray, mut between) = (0u64, 0u64);
    for (x, y, pixel) in mask.enumerate_pixels() {
        if (1..255).contains(&pixel[0]) {
            gray += 1;
            let around = || {
                let (rows, columns) = (y.saturating_sub(1)..=y + 1, x.saturating_sub(1)..=x + 1);
                rows.flat_map(move |y| columns.clone().map(move |x| (x, y)))
                    .filter_map(|(x, y)| mask.get_pixel_checked(x, y))
            };
            let touches = |level: u8| around().any(|pixel| pixel[0] == level);
            between += u64::from(touches(0) && touches(255));
        }
    }
    gray > 0 && between as f64 >= ON_BORDERS * gray as f64
}

/// The channel in which a mask is.
fn plane(decoded: &Decoded, remarks: &mut Vec<Remark>) -> Plane {
    let deep = |values: Vec<u16>| Plane { values, deep: true };
    let flat = |values: Vec<u8>| Plane {
        values: values.into_iter().map(u16::from).collect(),
        deep: false,
    };
    match &decoded.image {
        DynamicImage::ImageLuma8(i) => flat(i.as_raw().clone()),
        DynamicImage::ImageLuma16(i) => deep(i.as_raw().clone()),
        DynamicImage::ImageLumaA8(i) => with_alpha(&wide(i.as_raw()), 2, false, decoded.lossy, remarks),
        DynamicImage::ImageLumaA16(i) => with_alpha(i.as_raw(), 2, true, decoded.lossy, remarks),
        DynamicImage::ImageRgba8(i) => with_alpha(&wide(i.as_raw()), 4, false, decoded.lossy, remarks),
        DynamicImage::ImageRgba16(i) => with_alpha(i.as_raw(), 4, true, decoded.lossy, remarks),
        DynamicImage::ImageRgb16(i) => colors(i.as_raw(), true, decoded.lossy, remarks),
        DynamicImage::ImageRgb32F(i) => {
            let values: Vec<u16> = whole_numbers(i.as_raw());
            colors(&values, true, decoded.lossy, remarks)
        }
        other => colors(&wide(other.to_rgb8().as_raw()), false, decoded.lossy, remarks),
    }
}

fn wide(values: &[u8]) -> Vec<u16> {
    values.iter().copied().map(u16::from).collect()
}

/// Real values: from 0 to 1 over all 16 bits, larger ones as they are.
fn whole_numbers(values: &[f32]) -> Vec<u16> {
    let largest = values
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(0.0, f32::max);
    let factor = if largest <= 1.0 { f32::from(u16::MAX) } else { 1.0 };
    values
        .iter()
        .map(|value| (value * factor).round() as u16)
        .collect()
}

/// Gray or color with alpha. The mask is in what varies: in the colors, or in alpha where visible colors are constant.
fn with_alpha(samples: &[u16], channels: usize, deep: bool, lossy: bool, remarks: &mut Vec<Remark>) -> Plane {
    let pixels = || {
        samples
            .chunks_exact(channels)
            .map(|pixel| pixel.split_at(channels - 1))
    };
    let full = if deep { u16::MAX } else { 255 };
    let alphas: Vec<u16> = pixels().map(|(_, alpha)| alpha[0]).collect();
    let alpha_varies = alphas.iter().any(|&alpha| Some(&alpha) != alphas.first());
    let mut visible = pixels().filter(|(_, alpha)| alpha[0] > 0).map(|(color, _)| color);
    let first = visible.next();
    if alpha_varies && visible.all(|color| Some(color) == first) {
        remarks.push(Remark::Alpha);
        return Plane { values: alphas, deep };
    }
    // What is hidden under alpha is not marked.
    let shown: Vec<u16> = pixels()
        .flat_map(|(color, alpha)| {
            let share = if alpha_varies {
                u64::from(alpha[0])
            } else {
                u64::from(full)
            };
            let cover =
                move |level: u16| ((u64::from(level) * share + u64::from(full) / 2) / u64::from(full)) as u16;
            [0, 1, 2].map(|channel| cover(color[channel.min(color.len() - 1)]))
        })
        .collect();
    colors(&shown, deep, lossy, remarks)
}

/// RGB. Gray stays what it is; of few exact colors all but black are marks; otherwise the brightest channel counts.
fn colors(samples: &[u16], deep: bool, lossy: bool, remarks: &mut Vec<Remark>) -> Plane {
    let pixels = || samples.chunks_exact(3);
    if pixels().all(|p| p[0] == p[1] && p[1] == p[2]) {
        return Plane {
            values: pixels().map(|p| p[0]).collect(),
            deep,
        };
    }
    let mut known = BTreeSet::new();
    let few = !lossy
        && pixels().all(|p| {
            known.insert(p);
            known.len() <= COLORS
        })
        && (known.len() <= LABELS || !is_one_hue(&known));
    let values = pixels().map(|p| match few {
        true if p.iter().all(|&level| level == 0) => 0,
        true => 255,
        false => p.iter().copied().max().unwrap_or(0),
    });
    let plane = Plane {
        values: values.collect(),
        deep: deep && !few,
    };
    let count = known.iter().filter(|p| p.iter().any(|&level| level > 0)).count();
    if few {
        remarks.push(Remark::Colors { count });
    }
    plane
}

/// Whether colors are shades of one, as at soft borders: within a level of the brightest one, darkened.
fn is_one_hue(colors: &BTreeSet<&[u16]>) -> bool {
    let most = |color: &[u16]| color.iter().copied().max().map_or(0, i64::from);
    let Some(bright) = colors.iter().max_by_key(|color| most(color)) else {
        return true;
    };
    let full = most(bright);
    colors.iter().all(|color| {
        let share = most(color);
        let mut channels = color.iter().zip(bright.iter());
        channels.all(|(&a, &b)| (i64::from(a) * full - i64::from(b) * share).abs() <= full)
    })
}
