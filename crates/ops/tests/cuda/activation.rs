//! ReLU and softmax.

use flawforge_ops::{Precision, relu, softmax};

use crate::support::{compare, gpu, random};

#[test]
fn activations_agree_at_zero_and_nan_too() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (mut values, shape) = random(5, &[3, 100, 7]);
    values[..4].copy_from_slice(&[0.0, -0.0, f32::NAN, f32::INFINITY]);
    compare(&gpu, "relu", 1e-6, &[(values, shape)], &|v| relu(&v[0]));
    for classes in [1, 2, 5] {
        let inputs = [random(6, &[2, 11, 13, classes])];
        compare(&gpu, "softmax", 1e-5, &inputs, &|v| {
            softmax(&(v[0].as_tensor() * 20.0)?)
        });
    }
}
