//! Maxima of 2×2 windows, and of 3×3 windows that overlap, of NHWC images.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Isa;
use super::blocks::in_blocks;
use super::multiversion::multiversioned;
use super::pages;
use super::parallel::{fill_pieces, filled};

/// Maxima of 2×2 windows with stride 2; `width` and the number of rows of `x` are even, `channels` numbers a pixel.
pub(crate) fn forward2(x: &[f32], width: usize, channels: usize, isa: Isa) -> Vec<f32> {
    let mut y = pages::vector(x.len() / 4);
    forward2_into(
        x,
        width,
        channels,
        isa,
        &mut y.spare_capacity_mut()[..x.len() / 4],
    );
    // SAFETY: `forward2_into` writes every pixel.
    unsafe { y.set_len(x.len() / 4) };
    y
}

/// As [`forward2`], into memory that is there.
pub(crate) fn forward2_into(x: &[f32], width: usize, channels: usize, isa: Isa, y: &mut [MaybeUninit<f32>]) {
    let row = width * channels;
    fill_pieces(y, row / 2, |index, y| {
        let (upper, lower) = x[index * 2 * row..][..2 * row].split_at(row);
        maxima(isa, upper, lower, channels, y);
    });
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
pub(crate) fn backward2(x: &[f32], dy: &[f32], width: usize, channels: usize, isa: Isa) -> Vec<f32> {
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

/// Maxima of 3×3 windows with stride 2 and padding 1, of images of height, width and channels.
pub(crate) fn forward3(x: &[f32], [h, w, c]: [usize; 3], isa: Isa) -> Vec<f32> {
    let (ho, wo) = (h.div_ceil(2), w.div_ceil(2));
    let images = x.len() / (h * w * c);
    // SAFETY: every pixel of the row is written by the copy of its first pixel before `raise` reads it.
    unsafe {
        filled(images * ho * wo * c, wo * c, |row, y| {
            let (image, row) = (&x[row / ho * h * w * c..][..h * w * c], row % ho);
            for (column, y) in y.chunks_exact_mut(c).enumerate() {
                let mut begun = false;
                for iy in window(row, h) {
                    for ix in window(column, w) {
                        let pixel = &image[(iy * w + ix) * c..][..c];
                        if begun {
                            raise(isa, pixel, y);
                        } else {
                            y.write_copy_of_slice(pixel);
                            begun = true;
                        }
                    }
                }
            }
        })
    }
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
///
/// An input pixel lies in up to four windows, so images are the tasks: their sums are made one after the other.
pub(crate) fn backward3(x: &[f32], dy: &[f32], [h, w, c]: [usize; 3]) -> Vec<f32> {
    let (ho, wo) = (h.div_ceil(2), w.div_ceil(2));
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(h * w * c)
        .zip(x.par_chunks(h * w * c))
        .zip(dy.par_chunks(ho * wo * c))
        .for_each(|((dx, x), dy)| {
            let mut places = vec![0usize; c];
            let mut best = vec![0f32; c];
            for (pixel, dy) in dy.chunks_exact(c).enumerate() {
                let (row, column) = (pixel / wo, pixel % wo);
                let mut begun = false;
                for iy in window(row, h) {
                    for ix in window(column, w) {
                        let at = (iy * w + ix) * c;
                        let values = &x[at..][..c];
                        for ((&value, best), place) in values.iter().zip(&mut best).zip(&mut places) {
                            if !begun || wins(value, *best) {
                                *best = value;
                                *place = at;
                            }
                        }
                        begun = true;
                    }
                }
                for (channel, (&place, &dy)) in places.iter().zip(dy).enumerate() {
                    dx[place + channel] += dy;
                }
            }
        });
    dx
}

/// The positions of a window along one axis that lie inside.
fn window(output: usize, length: usize) -> std::ops::Range<usize> {
    (2 * output).saturating_sub(1)..(2 * output + 2).min(length)
}

/// Whether `value` takes the place of the best so far: the first of equals stays, NaN wins.
#[inline(always)]
fn wins(value: f32, best: f32) -> bool {
    (value > best) | value.is_nan()
}

#[inline(always)]
fn larger(best: f32, value: f32) -> f32 {
    if wins(value, best) { value } else { best }
}

multiversioned! {
    /// One row of maxima from two rows.
    fn maxima(upper: &[f32], lower: &[f32], channels: usize, y: &mut [MaybeUninit<f32>]) {
        for (pixel, y) in y.chunks_exact_mut(channels).enumerate() {
            let pair = pixel * 2 * channels..(pixel + 1) * 2 * channels;
            let (a, b) = upper[pair.clone()].split_at(channels);
            let (c, d) = lower[pair].split_at(channels);
            in_blocks!(channels, at, B => {
                let (a, b) = (&a[at..][..B], &b[at..][..B]);
                let (c, d) = (&c[at..][..B], &d[at..][..B]);
                let y = &mut y[at..][..B];
                for i in 0..B {
                    y[i].write(larger(larger(larger(a[i], b[i]), c[i]), d[i]));
                }
            });
        }
    }

    /// Two rows of gradients from one.
    fn select(upper: &[f32], lower: &[f32], dy: &[f32], channels: usize, dx_upper: &mut [MaybeUninit<f32>], dx_lower: &mut [MaybeUninit<f32>]) {
        for (pixel, dy) in dy.chunks_exact(channels).enumerate() {
            let pair = pixel * 2 * channels..(pixel + 1) * 2 * channels;
            let (a, b) = upper[pair.clone()].split_at(channels);
            let (c, d) = lower[pair.clone()].split_at(channels);
            let (da, db) = dx_upper[pair.clone()].split_at_mut(channels);
            let (dc, dd) = dx_lower[pair].split_at_mut(channels);
            in_blocks!(channels, at, B => {
                let (a, b) = (&a[at..][..B], &b[at..][..B]);
                let (c, d) = (&c[at..][..B], &d[at..][..B]);
                let (da, db) = (&mut da[at..][..B], &mut db[at..][..B]);
                let (dc, dd) = (&mut dc[at..][..B], &mut dd[at..][..B]);
                let dy = &dy[at..][..B];
                for i in 0..B {
                    let second = wins(b[i], a[i]);
                    let best = larger(a[i], b[i]);
                    let third = wins(c[i], best);
                    let best = larger(best, c[i]);
                    let fourth = wins(d[i], best);
                    let lower = third | fourth;
                    da[i].write(if second | lower { 0.0 } else { dy[i] });
                    db[i].write(if second & !lower { dy[i] } else { 0.0 });
                    dc[i].write(if third & !fourth { dy[i] } else { 0.0 });
                    dd[i].write(if fourth { dy[i] } else { 0.0 });
                }
            });
        }
    }

    /// Raises the numbers written so far to those of a pixel.
    fn raise(pixel: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (&value, y) in pixel.iter().zip(y) {
            // SAFETY: the caller has written it.
            let best = unsafe { y.assume_init() };
            y.write(if wins(value, best) { value } else { best });
        }
    }
}
