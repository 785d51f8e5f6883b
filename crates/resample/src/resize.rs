//! OpenCV's 8-bit bilinear `resize`, bit for bit.
//!
//! DRAEM reads images with OpenCV and brings them to 256×256 with its default interpolation, without antialiasing
//! (docs/method.md, section 1.1: from 1024 px that is the mean of a 2×2 block out of every 4×4). The arithmetic is integer: sample positions have
//! half-pixel centres, coefficients are rounded to 11 bits, the horizontal pass is exact in `i32`, the vertical pass drops
//! 4 bits, multiplies, drops 16 more and rounds the last two. An exact halving of both sides is, as in OpenCV, the rounded
//! mean of 2×2 blocks instead.

use std::cell::RefCell;

use image::{GrayImage, RgbImage};

/// Fractional bits of a coefficient.
const BITS: i32 = 11;
/// One, as a coefficient.
const ONE: f32 = (1 << BITS) as f32;

/// A colour image brought to `width × height`, aspect ratio ignored. The same size gives a copy; an empty source or target
/// gives a black (or empty) image.
pub fn bilinear_rgb(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    bilinear_rgb_part(image, (0, 0), image.dimensions(), &mut out);
    out
}

/// The part of a colour image that begins at `from` (column, row) and has `size` pixels (width, height), brought to the
/// size of `out` as if it were an image of its own; otherwise as [`bilinear_rgb`], without taking memory.
///
/// # Panics
/// When the part reaches beyond the image.
pub fn bilinear_rgb_part(image: &RgbImage, from: (u32, u32), size: (u32, u32), out: &mut RgbImage) {
    let fits = |start: u32, length: u32, limit: u32| u64::from(start) + u64::from(length) <= u64::from(limit);
    assert!(
        fits(from.0, size.0, image.width()) && fits(from.1, size.1, image.height()),
        "the part lies inside the image"
    );
    let pitch = image.width() as usize * 3;
    let start = from.1 as usize * pitch + from.0 as usize * 3;
    let source = image.as_raw().get(start..).unwrap_or(&[]);
    let to = out.dimensions();
    resize::<3>(source, pitch, size, out, to);
}

/// A grey image brought to `width × height`, aspect ratio ignored; otherwise as [`bilinear_rgb`].
pub fn bilinear_gray(image: &GrayImage, width: u32, height: u32) -> GrayImage {
    let mut out = GrayImage::new(width, height);
    resize::<1>(
        image.as_raw(),
        image.width() as usize,
        image.dimensions(),
        &mut out,
        (width, height),
    );
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
fn taps(source: u32, target: u32, whole_at_ends: bool, taps: &mut Vec<Tap>) {
    // Reciprocal of the reciprocal: the rounding of OpenCV's own scale.
    let scale = 1.0 / (f64::from(target) / f64::from(source));
    let last = i64::from(source) - 1;
    taps.clear();
    taps.extend((0..target).map(|i| {
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
    }));
}

/// Memory that a thread keeps from one image to the next.
#[derive(Default)]
struct Workspace {
    columns: Vec<Tap>,
    rows: Vec<Tap>,
    upper: Vec<i32>,
    lower: Vec<i32>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// `pitch` is the number of bytes from one source row to the next.
fn resize<const C: usize>(source: &[u8], pitch: usize, from: (u32, u32), target: &mut [u8], to: (u32, u32)) {
    if from.0 == 0 || from.1 == 0 || target.is_empty() {
        return;
    }
    let source_row = from.0 as usize * C;
    let target_row = to.0 as usize * C;
    let line = |y: usize| &source[y * pitch..][..source_row];
    if from == to {
        for (y, row) in target.chunks_exact_mut(target_row).enumerate() {
            row.copy_from_slice(line(y));
        }
        return;
    }
    if u64::from(from.0) == 2 * u64::from(to.0) && u64::from(from.1) == 2 * u64::from(to.1) {
        for (y, row) in target.chunks_exact_mut(target_row).enumerate() {
            let (above, below) = (line(2 * y), line(2 * y + 1));
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
    WORKSPACE.with_borrow_mut(|workspace| {
        let Workspace {
            columns,
            rows,
            upper,
            lower,
        } = workspace;
        taps(from.0, to.0, true, columns);
        taps(from.1, to.1, false, rows);
        let horizontal = |y: usize, out: &mut Vec<i32>| {
            let line = line(y);
            out.resize(target_row, 0);
            for (out, tap) in out.chunks_exact_mut(C).zip(columns.iter()) {
                let (first, second) = (&line[tap.first * C..][..C], &line[tap.second * C..][..C]);
                for ((out, &a), &b) in out.iter_mut().zip(first).zip(second) {
                    *out = i32::from(a) * tap.weights[0] + i32::from(b) * tap.weights[1];
                }
            }
        };
        // Two horizontal rows are kept: going down, the lower one is mostly the next upper one.
        let mut held = (usize::MAX, usize::MAX);
        for (tap, row) in rows.iter().zip(target.chunks_exact_mut(target_row)) {
            if held.0 != tap.first {
                if held.1 == tap.first {
                    std::mem::swap(upper, lower);
                    held = (held.1, held.0);
                } else {
                    horizontal(tap.first, upper);
                    held.0 = tap.first;
                }
            }
            if held.1 != tap.second {
                horizontal(tap.second, lower);
                held.1 = tap.second;
            }
            vertical(row, upper, lower, tap.weights);
        }
    });
}

crate::multiversioned! {
    /// One row of the result from two horizontally resized rows.
    fn vertical(row: &mut [u8], upper: &[i32], lower: &[i32], weights: [i32; 2]) {
        for ((value, a), b) in row.iter_mut().zip(upper).zip(lower) {
            let sum = ((weights[0] * (a >> 4)) >> 16) + ((weights[1] * (b >> 4)) >> 16);
            *value = ((sum + 2) >> 2).clamp(0, 255) as u8;
        }
    }
}
