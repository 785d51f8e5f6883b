//! Mean squared error and its gradient.

use crate::cpu::Isa;
use crate::cpu::multiversion::multiversioned;
use crate::cpu::parallel::{CHUNK, filled, per_chunk};

/// Sums that run beside each other, so that they vectorise in a fixed order.
const LANES: usize = 8;

/// Mean of the squared differences.
pub(crate) fn mse(a: &[f32], b: &[f32], isa: Isa) -> f64 {
    let parts = per_chunk(a.len().div_ceil(CHUNK), |index| {
        let range = index * CHUNK..a.len().min((index + 1) * CHUNK);
        squared_difference(isa, &a[range.clone()], &b[range])
    });
    parts.iter().sum::<f64>() / a.len() as f64
}

/// `factor·(a − b)`.
pub(crate) fn scaled_difference(a: &[f32], b: &[f32], factor: f32) -> Vec<f32> {
    // SAFETY: every number of the piece is written.
    unsafe {
        filled(a.len(), CHUNK, |index, out| {
            let (a, b) = (&a[index * CHUNK..], &b[index * CHUNK..]);
            for ((&a, &b), out) in a.iter().zip(b).zip(out) {
                out.write(factor * (a - b));
            }
        })
    }
}

multiversioned! {
    fn squared_difference(a: &[f32], b: &[f32]) -> f64 {
        let mut sums = [0f64; LANES];
        for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
            for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                let difference = f64::from(a) - f64::from(b);
                *sum += difference * difference;
            }
        }
        sums.iter().sum()
    }
}
