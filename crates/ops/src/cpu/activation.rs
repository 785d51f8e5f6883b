//! ReLU, softmax, concatenation and sums.

use std::mem::MaybeUninit;

use super::Isa;
use super::multiversion::multiversioned;
use super::pages;
use super::parallel::{CHUNK, fill_pieces, filled, rows_per_chunk};

/// `max(x, 0)`, NaN kept.
pub(crate) fn relu(x: &[f32], isa: Isa) -> Vec<f32> {
    // SAFETY: `positive` writes as many numbers as it reads.
    unsafe {
        filled(x.len(), CHUNK, |index, y| {
            positive(isa, &x[index * CHUNK..][..y.len()], y)
        })
    }
}

/// `dy` where the output `y` is above 0.
pub(crate) fn relu_backward(y: &[f32], dy: &[f32], isa: Isa) -> Vec<f32> {
    // SAFETY: `open` writes as many numbers as it reads.
    unsafe {
        filled(y.len(), CHUNK, |index, dx| {
            let range = index * CHUNK..index * CHUNK + dx.len();
            open(isa, &y[range.clone()], &dy[range], dx);
        })
    }
}

/// Softmax of every row of `classes` numbers.
pub(crate) fn softmax(x: &[f32], classes: usize) -> Vec<f32> {
    let chunk = rows_per_chunk(classes) * classes;
    // SAFETY: every row of the piece is written.
    unsafe {
        filled(x.len(), chunk, |index, y| {
            let x = &x[index * chunk..][..y.len()];
            for (x, y) in x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
                let highest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut total = 0.0;
                for (&x, y) in x.iter().zip(&mut *y) {
                    total += *y.write((x - highest).exp());
                }
                for y in y {
                    // SAFETY: written by the loop above.
                    let value = y.assume_init();
                    y.write(value / total);
                }
            }
        })
    }
}

/// `y·(dy − Σ dy·y)` of every row.
pub(crate) fn softmax_backward(y: &[f32], dy: &[f32], classes: usize) -> Vec<f32> {
    let chunk = rows_per_chunk(classes) * classes;
    // SAFETY: every row of the piece is written.
    unsafe {
        filled(y.len(), chunk, |index, dx| {
            let range = index * chunk..index * chunk + dx.len();
            let rows = y[range.clone()]
                .chunks_exact(classes)
                .zip(dy[range].chunks_exact(classes));
            for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(classes)) {
                let inner: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
                for ((y, dy), dx) in y.iter().zip(dy).zip(dx) {
                    dx.write(y * (dy - inner));
                }
            }
        })
    }
}

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

/// `a + b`.
pub(crate) fn sum(a: &[f32], b: &[f32], isa: Isa) -> Vec<f32> {
    // SAFETY: `added` writes as many numbers as it reads.
    unsafe {
        filled(a.len().min(b.len()), CHUNK, |index, y| {
            let range = index * CHUNK..index * CHUNK + y.len();
            added(isa, &a[range.clone()], &b[range], y);
        })
    }
}

multiversioned! {
    fn added(a: &[f32], b: &[f32], y: &mut [MaybeUninit<f32>]) {
        for ((&a, &b), y) in a.iter().zip(b).zip(y) {
            y.write(a + b);
        }
    }

    fn positive(x: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (&x, y) in x.iter().zip(y) {
            y.write(if x <= 0.0 { 0.0 } else { x });
        }
    }

    fn open(y: &[f32], dy: &[f32], dx: &mut [MaybeUninit<f32>]) {
        for ((&y, &dy), dx) in y.iter().zip(dy).zip(dx) {
            dx.write(if y <= 0.0 { 0.0 } else { dy });
        }
    }
}
