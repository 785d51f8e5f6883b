//! Channels side by side, and apart again.

use std::mem::MaybeUninit;

use super::pages;
use super::parallel::{fill_pieces, filled, rows_per_chunk};

/// Rows of `ca` and `cb` numbers side by side.
pub(crate) fn concat(a: &[f32], b: &[f32], ca: usize, cb: usize) -> Vec<f32> {
    let len = a.len() + b.len();
    let mut y = pages::vector(len);
    concat_into(a, b, ca, cb, &mut y.spare_capacity_mut()[..len]);
    // SAFETY: both parts of every row are written.
    unsafe { y.set_len(len) };
    y
}

/// As [`concat`], into memory that is there.
pub(crate) fn concat_into(a: &[f32], b: &[f32], ca: usize, cb: usize, y: &mut [MaybeUninit<f32>]) {
    let (both, rows) = (ca + cb, rows_per_chunk(ca + cb));
    fill_pieces(y, rows * both, |index, y| {
        let a = a[index * rows * ca..].chunks_exact(ca);
        let b = b[index * rows * cb..].chunks_exact(cb);
        for ((y, a), b) in y.chunks_exact_mut(both).zip(a).zip(b) {
            y[..ca].write_copy_of_slice(a);
            y[ca..].write_copy_of_slice(b);
        }
    });
}

/// The columns `from..from + count` of rows of `channels` numbers.
pub(crate) fn columns(x: &[f32], channels: usize, from: usize, count: usize) -> Vec<f32> {
    let rows = rows_per_chunk(count);
    // SAFETY: every row is written.
    unsafe {
        filled(x.len() / channels * count, rows * count, |index, y| {
            let x = x[index * rows * channels..].chunks_exact(channels);
            for (y, x) in y.chunks_exact_mut(count).zip(x) {
                y.write_copy_of_slice(&x[from..from + count]);
            }
        })
    }
}
