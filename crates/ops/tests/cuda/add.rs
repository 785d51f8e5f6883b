//! Sums of two tensors, with and without a ReLU.

use candle_core::DType;
use flawforge_ops::{Precision, add, add_relu};

use crate::support::{compare, gpu, random};

#[test]
fn sums_agree_at_zero_and_nan_too() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for shape in [[1, 1, 1, 1], [2, 5, 7, 3], [2, 8, 8, 64]] {
        let mut inputs = [random(5, &shape), random(6, &shape)];
        if inputs[0].0.len() > 4 {
            inputs[0].0[..4].copy_from_slice(&[0.0, 0.5, f32::NAN, f32::INFINITY]);
            inputs[1].0[..4].copy_from_slice(&[0.0, -0.5, 1.0, 1.0]);
        }
        compare(&gpu, &format!("add {shape:?}"), 1e-6, &inputs, &|v| {
            add(&v[0], &v[1])
        });
        compare(&gpu, &format!("add_relu {shape:?}"), 1e-6, &inputs, &|v| {
            add_relu(&v[0], &v[1])
        });
        // A tensor that is added to itself gets both gradients.
        compare(&gpu, "a tensor twice", 1e-6, &inputs[..1], &|v| {
            add_relu(&v[0], &v[0])
        });
    }
}

#[test]
fn bfloat16_is_added_in_packs() {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    for shape in [[2, 5, 7, 3], [2, 8, 8, 64]] {
        // Rounded first: where two numbers nearly cancel, rounding them decides whether the ReLU is open.
        let inputs = [random(5, &shape), random(6, &shape)].map(|(values, shape)| {
            let values = values.into_iter().map(|v| half::bf16::from_f32(v).to_f32());
            (values.collect(), shape)
        });
        compare(&gpu, &format!("add_relu {shape:?}"), 1.2e-2, &inputs, &|v| {
            let half = DType::BF16;
            if v[0].device().is_cpu() {
                return add_relu(&v[0], &v[1]);
            }
            add_relu(&v[0].to_dtype(half)?, &v[1].to_dtype(half)?)
        });
    }
}
