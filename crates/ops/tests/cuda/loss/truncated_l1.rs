//! The truncated L1 loss.

use candle_core::Tensor;
use flawforge_ops::{Precision, truncated_l1_loss};

use super::SHAPES;
use crate::support::{compare, gpu, random};

#[test]
fn value_and_gradient_agree_also_without_anomalous_pixels() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for [n, h, w, c] in SHAPES {
        let (values, _) = random(1, &[n, h, w, c]);
        let logits = [random(3, &[n, h, w * c, 2])];
        for least in [0.3, 2.0] {
            let mask: Vec<f32> = values.iter().map(|&value| f32::from(value > least)).collect();
            compare(&gpu, "truncated L1", 1e-4, &logits, &|v| {
                let mask = Tensor::from_vec(mask.clone(), (n, h, w * c), v[0].device())?;
                truncated_l1_loss(&v[0], &mask, 0.5)
            });
        }
    }
}
