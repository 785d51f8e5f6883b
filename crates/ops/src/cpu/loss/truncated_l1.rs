//! Truncated L1 loss and its gradient.

use crate::cpu::parallel::{CHUNK, filled, per_chunk};

/// What is left of the margin at a pixel with this score (log-odds) and mask, at least 0; NaN stays.
#[inline(always)]
fn rest(logits: &[f32], anomalous: bool, margin: f32) -> f32 {
    let score = logits[1] - logits[0];
    if anomalous { margin - score } else { score + margin }
}

/// Sums of normal and of anomalous pixels, and how many there are.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sums: [f64; 2],
    counts: [u64; 2],
}

fn sums(logits: &[f32], mask: &[f32], margin: f32) -> Sums {
    let chunk = CHUNK / 4;
    let parts = per_chunk(mask.len().div_ceil(chunk), |index| {
        let range = index * chunk..mask.len().min((index + 1) * chunk);
        let pixels = logits[2 * range.start..2 * range.end].chunks_exact(2);
        let mut part = Sums::default();
        for (logits, &mask) in pixels.zip(&mask[range]) {
            let anomalous = mask > 0.0;
            let rest = rest(logits, anomalous, margin);
            // `max` would hide NaN.
            part.sums[usize::from(anomalous)] += f64::from(if rest < 0.0 { 0.0 } else { rest });
            part.counts[usize::from(anomalous)] += 1;
        }
        part
    });
    let mut all = Sums::default();
    for part in parts {
        for class in 0..2 {
            all.sums[class] += part.sums[class];
            all.counts[class] += part.counts[class];
        }
    }
    all
}

/// Sum of the means over normal and over anomalous pixels of `logits` (pixels, 2) by `mask` (pixels).
pub(crate) fn truncated_l1(logits: &[f32], mask: &[f32], margin: f32) -> f64 {
    let Sums { sums, counts } = sums(logits, mask, margin);
    sums[0] / counts[0].max(1) as f64 + sums[1] / counts[1].max(1) as f64
}

/// Gradient of the logits; `gradient` is that of the loss.
pub(crate) fn truncated_l1_backward(logits: &[f32], mask: &[f32], margin: f32, gradient: f32) -> Vec<f32> {
    let Sums { counts, .. } = sums(logits, mask, margin);
    let slopes = counts.map(|count| (f64::from(gradient) / count.max(1) as f64) as f32);
    let slopes = [slopes[0], -slopes[1]];
    let chunk = CHUNK / 4;
    // SAFETY: both numbers of every pixel are written.
    unsafe {
        filled(logits.len(), 2 * chunk, |index, out| {
            let pixels = logits[index * 2 * chunk..].chunks_exact(2);
            let pixels = pixels.zip(&mask[index * chunk..]);
            for ((logits, &mask), out) in pixels.zip(out.chunks_exact_mut(2)) {
                let anomalous = mask > 0.0;
                let slope = if rest(logits, anomalous, margin) > 0.0 {
                    slopes[usize::from(anomalous)]
                } else {
                    0.0
                };
                out[0].write(-slope);
                out[1].write(slope);
            }
        })
    }
}
