//! The binary cross-entropy.

use candle_core::Tensor;
use flawforge_ops::{Precision, bce_loss, sigmoid};

use super::SHAPES;
use crate::support::{compare, gpu, random};

#[test]
fn value_and_gradient_agree() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for shape in SHAPES {
        let logits = [random(1, &shape)];
        let (values, _) = random(2, &shape);
        let target: Vec<f32> = values.iter().map(|value| value.abs()).collect();
        compare(&gpu, &format!("bce {shape:?}"), 1e-4, &logits, &|v| {
            let target = Tensor::from_vec(target.clone(), &shape, v[0].device())?;
            bce_loss(&sigmoid(&(v[0].as_tensor() * 6.0)?)?, &target)
        });
    }
}

/// Logarithms end at -100 and denominators at 1e-12; what is no number stays none.
#[test]
fn certain_predictions_agree() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let target = vec![0f32, 1.0, 0.0, 1.0, 0.5, 0.25];
    let sure = |last: f32| [(vec![0f32, 0.0, 1.0, 1.0, 0.5, last], vec![6])];
    for last in [1e-20, f32::NAN] {
        compare(&gpu, &format!("bce and {last}"), 1e-5, &sure(last), &|v| {
            let target = Tensor::from_vec(target.clone(), 6, v[0].device())?;
            bce_loss(&v[0], &target)
        });
    }
}
