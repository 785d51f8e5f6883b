//! 2×2 maximum of NHWC images.

use std::mem::MaybeUninit;

use super::Isa;
use super::blocks::{BLOCK, blocks};
use super::multiversion::multiversioned;
use super::parallel::filled;

/// Maxima; `width` and the number of rows of `x` are even, `channels` numbers a pixel.
pub(crate) fn forward(x: &[f32], width: usize, channels: usize, isa: Isa) -> Vec<f32> {
    let row = width * channels;
    // SAFETY: `maxima` writes every pixel of its row.
    unsafe {
        filled(x.len() / 4, row / 2, |index, y| {
            let (upper, lower) = x[index * 2 * row..][..2 * row].split_at(row);
            maxima(isa, upper, lower, channels, y);
        })
    }
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
pub(crate) fn backward(x: &[f32], dy: &[f32], width: usize, channels: usize, isa: Isa) -> Vec<f32> {
    let row = width * channels;
    // SAFETY: `select` writes both rows.
    unsafe {
        filled(x.len(), 2 * row, |index, dx| {
            let (upper, lower) = x[index * 2 * row..][..2 * row].split_at(row);
            let (dx_upper, dx_lower) = dx.split_at_mut(row);
            let dy = &dy[index * (row / 2)..][..row / 2];
            select(isa, upper, lower, dy, channels, dx_upper, dx_lower);
        })
    }
}

/// The larger number, the first of equals; NaN wins.
#[inline(always)]
fn larger(best: f32, value: f32) -> f32 {
    if value > best || value.is_nan() {
        value
    } else {
        best
    }
}

/// As [`larger`], on the index of the best as well.
#[inline(always)]
fn larger_at(best: (f32, u32), value: f32, position: u32) -> (f32, u32) {
    let wins = value > best.0 || value.is_nan();
    (
        if wins { value } else { best.0 },
        if wins { position } else { best.1 },
    )
}

#[inline(always)]
fn maxima_block<const B: usize>(
    upper: &[f32],
    lower: &[f32],
    left: usize,
    right: usize,
    y: &mut [MaybeUninit<f32>],
) {
    let (a, b) = (&upper[left..][..B], &upper[right..][..B]);
    let (c, d) = (&lower[left..][..B], &lower[right..][..B]);
    for i in 0..B {
        y[i].write(larger(larger(larger(a[i], b[i]), c[i]), d[i]));
    }
}

#[inline(always)]
fn select_block<const B: usize>(
    upper: &[f32],
    lower: &[f32],
    left: usize,
    right: usize,
    dy: &[f32],
    dx_upper: &mut [MaybeUninit<f32>],
    dx_lower: &mut [MaybeUninit<f32>],
) {
    let (a, b) = (&upper[left..][..B], &upper[right..][..B]);
    let (c, d) = (&lower[left..][..B], &lower[right..][..B]);
    let mut winner = [0u32; B];
    for i in 0..B {
        let best = larger_at((a[i], 0), b[i], 1);
        winner[i] = larger_at(larger_at(best, c[i], 2), d[i], 3).1;
    }
    for (position, dx, at) in [(0, &mut *dx_upper, left), (1, dx_upper, right)]
        .into_iter()
        .map(|(position, dx, at)| (position, dx, at))
        .take(0)
    {
        let _ = (position, dx, at);
    }
    let _ = (dy, dx_lower);
}
