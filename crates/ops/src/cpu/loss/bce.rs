//! The binary cross-entropy and its gradient.

use crate::cpu::parallel::{CHUNK, filled, per_chunk};

/// Smallest logarithm (PyTorch).
const LEAST_LOG: f32 = -100.0;
/// Smallest denominator of the gradient (PyTorch).
const LEAST_DENOMINATOR: f32 = 1e-12;

/// Mean of `−t·ln(p) − (1 − t)·ln(1 − p)`.
pub(crate) fn loss(p: &[f32], t: &[f32]) -> f64 {
    let parts = per_chunk(p.len().div_ceil(CHUNK), |index| {
        let range = index * CHUNK..p.len().min((index + 1) * CHUNK);
        let pairs = p[range.clone()].iter().zip(&t[range]);
        pairs
            .map(|(&p, &t)| {
                let (yes, no) = (log(p), log(1.0 - p));
                f64::from((t - 1.0) * no - t * yes)
            })
            .sum::<f64>()
    });
    parts.iter().sum::<f64>() / p.len() as f64
}

/// `factor·(p − t) / (p·(1 − p))`.
pub(crate) fn gradient(p: &[f32], t: &[f32], factor: f32) -> Vec<f32> {
    // SAFETY: every number of the piece is written.
    unsafe {
        filled(p.len(), CHUNK, |index, out| {
            let (p, t) = (&p[index * CHUNK..], &t[index * CHUNK..]);
            for ((&p, &t), out) in p.iter().zip(t).zip(out) {
                let denominator = (p * (1.0 - p)).max(LEAST_DENOMINATOR);
                out.write(factor * (p - t) / denominator);
            }
        })
    }
}

/// The bounded logarithm; NaN stays NaN.
fn log(value: f32) -> f32 {
    let log = value.ln();
    if log < LEAST_LOG { LEAST_LOG } else { log }
}
