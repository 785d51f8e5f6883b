//! Sums of two tensors and the sigmoid.

use std::mem::MaybeUninit;

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::{CHUNK, filled};

/// `a + b`, with `relu` none below 0.
pub(crate) fn sum(a: &[f32], b: &[f32], relu: bool, isa: Isa) -> Vec<f32> {
    // SAFETY: every number of the piece is written.
    unsafe {
        filled(a.len(), CHUNK, |index, y| {
            let range = index * CHUNK..index * CHUNK + y.len();
            let (a, b) = (&a[range.clone()], &b[range]);
            if relu {
                positive_sum(isa, a, b, y);
            } else {
                plain_sum(isa, a, b, y);
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
    fn plain_sum(a: &[f32], b: &[f32], y: &mut [MaybeUninit<f32>]) {
        for ((&a, &b), y) in a.iter().zip(b).zip(y) {
            y.write(a + b);
        }
    }

    fn positive_sum(a: &[f32], b: &[f32], y: &mut [MaybeUninit<f32>]) {
        for ((&a, &b), y) in a.iter().zip(b).zip(y) {
            let sum = a + b;
            y.write(if sum <= 0.0 { 0.0 } else { sum });
        }
    }
}
