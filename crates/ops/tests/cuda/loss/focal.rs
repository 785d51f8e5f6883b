//! The focal loss.

use candle_core::Tensor;
use flawforge_ops::{FocalSettings, Precision, focal_loss, softmax};

use super::SHAPES;
use crate::support::{compare, gpu, random};

#[test]
fn value_and_gradient_agree_for_both_kinds_of_exponent() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for [n, h, w, c] in SHAPES {
        let (values, _) = random(1, &[n, h, w, c]);
        let mask: Vec<f32> = values.iter().map(|&value| f32::from(value > 0.3)).collect();
        let logits = [random(3, &[n, h, w * c, 2])];
        for gamma in [2.0, 1.5] {
            let settings = FocalSettings {
                gamma,
                ..FocalSettings::default()
            };
            compare(&gpu, "focal", 1e-4, &logits, &|v| {
                let mask = Tensor::from_vec(mask.clone(), (n, h, w * c), v[0].device())?;
                focal_loss(&softmax(&v[0])?, &mask, settings)
            });
        }
    }
}
