//! ReLU, sigmoid and softmax.

use candle_core::DType;
use flawforge_ops::{Precision, relu, sigmoid, softmax};

use crate::support::{compare, gpu, random};

#[test]
fn activations_agree_at_zero_and_nan_too() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (mut values, shape) = random(5, &[3, 100, 7]);
    values[..4].copy_from_slice(&[0.0, -0.0, f32::NAN, f32::INFINITY]);
    compare(&gpu, "relu", 1e-6, &[(values, shape)], &|v| relu(&v[0]));
    for shape in [vec![3, 100, 7], vec![2, 8, 8, 64]] {
        let (mut values, shape) = random(7, &shape);
        values[..5].copy_from_slice(&[0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -12.0]);
        compare(&gpu, "sigmoid", 3e-6, &[(values, shape)], &|v| {
            sigmoid(&(v[0].as_tensor() * 10.0)?)
        });
    }
    for classes in [1, 2, 5] {
        let inputs = [random(6, &[2, 11, 13, classes])];
        compare(&gpu, "softmax", 1e-5, &inputs, &|v| {
            softmax(&(v[0].as_tensor() * 20.0)?)
        });
    }
}

#[test]
fn bfloat16_goes_through_the_sigmoid_in_packs() {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    for shape in [[3, 10, 7, 1], [2, 8, 8, 64]] {
        let inputs = [random(7, &shape)];
        compare(&gpu, &format!("sigmoid {shape:?}"), 1.2e-2, &inputs, &|v| {
            if v[0].device().is_cpu() {
                return sigmoid(&v[0]);
            }
            sigmoid(&v[0].to_dtype(DType::BF16)?)
        });
    }
}
