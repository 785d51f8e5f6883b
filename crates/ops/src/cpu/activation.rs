//! ReLU, sigmoid and softmax.

use std::mem::MaybeUninit;

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::{CHUNK, filled, rows_per_chunk};

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

/// `1 / (1 + exp(−x))`.
pub(crate) fn sigmoid(x: &[f32]) -> Vec<f32> {
    // SAFETY: every number of the piece is written.
    unsafe {
        filled(x.len(), CHUNK, |index, y| {
            for (&x, y) in x[index * CHUNK..].iter().zip(y) {
                // exp(−x) overflows to infinity for very small x, whose sigmoid is then 0 as it should be.
                y.write(1.0 / (1.0 + (-x).exp()));
            }
        })
    }
}

/// `dy · y · (1 − y)`.
pub(crate) fn sigmoid_backward(y: &[f32], dy: &[f32]) -> Vec<f32> {
    // SAFETY: every number of the piece is written.
    unsafe {
        filled(y.len(), CHUNK, |index, dx| {
            let (y, dy) = (&y[index * CHUNK..], &dy[index * CHUNK..]);
            for ((&y, &dy), dx) in y.iter().zip(dy).zip(dx) {
                dx.write(dy * (y * (1.0 - y)));
            }
        })
    }
}

multiversioned! {
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
