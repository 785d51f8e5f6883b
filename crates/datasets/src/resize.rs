//! OpenCV's 8-bit bilinear `resize`, bit for bit.
//!
//! DRAEM reads images with OpenCV and brings them to 256×256 with its default interpolation, without antialiasing
//! (method: from 1024 px that is the mean of a 2×2 block out of every 4×4). The arithmetic is integer: sample positions have
//! half-pixel centres, coefficients are rounded to 11 bits, the horizontal pass is exact in `i32`, the vertical pass drops
//! 4 bits, multiplies, drops 16 more and rounds the last two. An exact halving of both sides is, as in OpenCV, the rounded
//! mean of 2×2 blocks instead.

use image::{GrayImage, RgbImage};

/// Fractional bits of a coefficient.
const BITS: i32 = 11;
/// One, as a coefficient.
const ONE: f32 = (1 << BITS) as f32;

/// A colour image brought to `width × height`, aspect ratio ignored. The same size gives a copy; an empty source or target
/// gives a black (or empty) image.
pub fn bilinear_rgb(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    resize::<3>(image.as_raw(), image.dimensions(), &mut out, (width, height));
    out
}

/// A grey image brought to `width × height`, aspect ratio ignored; otherwise as [`bilinear_rgb`].
pub fn bilinear_gray(image: &GrayImage, width: u32, height: u32) -> GrayImage {
    let mut out = GrayImage::new(width, height);
    resize::<1>(image.as_raw(), image.dimensions(), &mut out, (width, height));
    out
}

/// Where one output coordinate samples: the two source coordinates and their 11-bit coefficients.
#[derive(Clone, Copy)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

/// Taps along one axis. At the ends OpenCV treats the axes differently: horizontally the outer pixel gets the whole weight,
/// vertically the row is repeated with both weights (which, after truncation, is not quite the same).
fn taps(source: u32, target: u32, whole_at_ends: bool) -> Vec<Tap> {
    // Reciprocal of the reciprocal: the rounding of OpenCV's own scale.
    let scale = 1.0 / (f64::from(target) / f64::from(source));
    let last = i64::from(source) - 1;
    (0..target)
        .map(|i| {
            let position = ((f64::from(i) + 0.5) * scale - 0.5) as f32;
            let floor = position.floor();
            let mut fraction = position - floor;
            let start = floor as i64;
            if whole_at_ends && (start < 0 || start >= last) {
                fraction = 0.0;
            }
            let weight = |w: f32| (w * ONE).round_ties_even() as i32;
            Tap {
                first: start.clamp(0, last) as usize,
                second: (start + 1).clamp(0, last) as usize,
                weights: [weight(1.0 - fraction), weight(fraction)],
            }
        })
        .collect()
}

fn resize<const C: usize>(source: &[u8], from: (u32, u32), target: &mut [u8], to: (u32, u32)) {
    if source.is_empty() || target.is_empty() {
        return;
    }
    if from == to {
        target.copy_from_slice(source);
        return;
    }
    let source_row = from.0 as usize * C;
    let target_row = to.0 as usize * C;
    if u64::from(from.0) == 2 * u64::from(to.0) && u64::from(from.1) == 2 * u64::from(to.1) {
        for (y, row) in target.chunks_exact_mut(target_row).enumerate() {
            let above = &source[2 * y * source_row..][..source_row];
            let below = &source[(2 * y + 1) * source_row..][..source_row];
            for (i, value) in row.iter_mut().enumerate() {
                let left = i / C * 2 * C + i % C;
                let sum = [above[left], above[left + C], below[left], below[left + C]]
                    .map(u32::from)
                    .iter()
                    .sum::<u32>();
                *value = ((sum + 2) >> 2) as u8;
            }
        }
        return;
    }

    let columns = taps(from.0, to.0, true);
    let rows = taps(from.1, to.1, false);
    let horizontal = |y: usize, out: &mut Vec<i32>| {
        let line = &source[y * source_row..][..source_row];
        out.clear();
        for tap in &columns {
            for c in 0..C {
                let (a, b) = (
                    i32::from(line[tap.first * C + c]),
                    i32::from(line[tap.second * C + c]),
                );
                out.push(a * tap.weights[0] + b * tap.weights[1]);
            }
        }
    };
    // Two horizontal rows are kept: going down, the lower one is mostly the next upper one.
    let mut upper = (usize::MAX, Vec::with_capacity(target_row));
    let mut lower = (usize::MAX, Vec::with_capacity(target_row));
    for (tap, row) in rows.iter().zip(target.chunks_exact_mut(target_row)) {
        if upper.0 != tap.first {
            if lower.0 == tap.first {
                std::mem::swap(&mut upper, &mut lower);
            } else {
                horizontal(tap.first, &mut upper.1);
                upper.0 = tap.first;
            }
        }
        if lower.0 != tap.second {
            horizontal(tap.second, &mut lower.1);
            lower.0 = tap.second;
        }
        let [w0, w1] = tap.weights;
        for ((value, a), b) in row.iter_mut().zip(&upper.1).zip(&lower.1) {
            let sum = ((w0 * (a >> 4)) >> 16) + ((w1 * (b >> 4)) >> 16);
            *value = ((sum + 2) >> 2).clamp(0, 255) as u8;
        }
    }
}
