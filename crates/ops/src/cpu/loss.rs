//! Mean squared error and focal loss, with gradients.

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::{CHUNK, filled, per_chunk};

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

/// The smallest and the largest number.
pub(crate) fn extremes(x: &[f32]) -> (f32, f32) {
    let parts = per_chunk(x.len().div_ceil(CHUNK), |index| {
        let start = (f32::INFINITY, f32::NEG_INFINITY);
        let x = &x[index * CHUNK..x.len().min((index + 1) * CHUNK)];
        x.iter().fold(start, |(low, high), &x| (low.min(x), high.max(x)))
    });
    let start = (f32::INFINITY, f32::NEG_INFINITY);
    parts
        .into_iter()
        .fold(start, |(low, high), part| (low.min(part.0), high.max(part.1)))
}

/// Constants of the focal loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Focal {
    pub(crate) gamma: f32,
    pub(crate) smooth: f32,
}

impl Focal {
    /// The smoothed one-hot target.
    #[inline(always)]
    fn one_hot(self, anomalous: f32) -> [f32; 2] {
        [1.0 - anomalous, anomalous].map(|value| value.clamp(self.smooth, 1.0 - self.smooth))
    }

    #[inline(always)]
    fn probability(self, p: &[f32], one_hot: [f32; 2]) -> f32 {
        p[0] * one_hot[0] + p[1] * one_hot[1] + self.smooth
    }

    /// `(1 − pt)^γ` and its derivative with respect to pt. Rounding may carry pt past 1; that counts as 1.
    #[inline(always)]
    fn factor(self, pt: f32) -> (f32, f32) {
        let rest = 1.0 - pt;
        if self.gamma == 2.0 {
            (rest * rest, -2.0 * rest)
        } else {
            // `max` would hide NaN.
            let rest = if rest < 0.0 { 0.0 } else { rest };
            (rest.powf(self.gamma), -self.gamma * rest.powf(self.gamma - 1.0))
        }
    }
}

/// Mean focal loss of `probabilities` (pixels, 2) against `mask` (pixels).
pub(crate) fn focal(probabilities: &[f32], mask: &[f32], focal: Focal) -> f64 {
    let chunk = CHUNK / 4;
    let parts = per_chunk(mask.len().div_ceil(chunk), |index| {
        let range = index * chunk..mask.len().min((index + 1) * chunk);
        let pixels = probabilities[2 * range.start..2 * range.end].chunks_exact(2);
        let losses = pixels.zip(&mask[range]).map(|(p, &anomalous)| {
            let pt = focal.probability(p, focal.one_hot(anomalous));
            f64::from(-focal.factor(pt).0 * pt.ln())
        });
        losses.sum::<f64>()
    });
    parts.iter().sum::<f64>() / mask.len() as f64
}

/// Gradient of the probabilities; `factor` is the gradient of the loss over the number of pixels.
pub(crate) fn focal_backward(probabilities: &[f32], mask: &[f32], focal: Focal, factor: f32) -> Vec<f32> {
    let chunk = CHUNK / 4;
    // SAFETY: both numbers of every pixel are written.
    unsafe {
        filled(probabilities.len(), 2 * chunk, |index, out| {
            let pixels = probabilities[index * 2 * chunk..].chunks_exact(2);
            let pixels = pixels.zip(&mask[index * chunk..]);
            for ((p, &anomalous), out) in pixels.zip(out.chunks_exact_mut(2)) {
                let one_hot = focal.one_hot(anomalous);
                let pt = focal.probability(p, one_hot);
                let (value, slope) = focal.factor(pt);
                let gradient = -factor * (slope * pt.ln() + value / pt);
                out[0].write(gradient * one_hot[0]);
                out[1].write(gradient * one_hot[1]);
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
