//! Focal loss and its gradient.

use crate::cpu::parallel::{CHUNK, filled, per_chunk};

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
