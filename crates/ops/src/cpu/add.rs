//! Sums of two tensors, with or without a ReLU.

use std::mem::MaybeUninit;

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::{CHUNK, filled};

/// `a + b`; with `relu`, 0 where that is negative.
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
