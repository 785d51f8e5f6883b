//! Max pooling.

use candle_core::DType;
use flawforge_ops::{Precision, max_pool2, max_pool3};

use crate::support::{compare, gpu, random};

#[test]
fn pooling_agrees_with_ties_and_nan() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (h, w, c) in [(2, 2, 1), (4, 6, 3), (16, 8, 64), (6, 4, 70)] {
        let (values, shape) = random(1, &[2, h, w, c]);
        // Coarse numbers tie often.
        let mut values: Vec<f32> = values.iter().map(|value| (value * 3.0).round()).collect();
        values[0] = f32::NAN;
        compare(
            &gpu,
            &format!("pool {h}x{w}x{c}"),
            1e-6,
            &[(values, shape)],
            &|v| max_pool2(&v[0]),
        );
    }
}

/// Sides at which windows are cut on one, both or no end, and down to a pixel.
const SIDES: [(usize, usize, usize); 7] = [
    (1, 1, 1),
    (1, 2, 3),
    (2, 5, 4),
    (5, 4, 3),
    (16, 8, 64),
    (7, 9, 70),
    (33, 40, 16),
];

#[test]
fn overlapping_windows_agree_with_ties_and_nan() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (h, w, c) in SIDES {
        let (values, shape) = random(1, &[2, h, w, c]);
        let mut values: Vec<f32> = values.iter().map(|value| (value * 3.0).round()).collect();
        compare(
            &gpu,
            &format!("pool3 {h}x{w}x{c}"),
            1e-6,
            &[(values.clone(), shape.clone())],
            &|v| max_pool3(&v[0]),
        );
        values[h * w * c / 2] = f32::NAN;
        compare(
            &gpu,
            &format!("pool3 {h}x{w}x{c} with NaN"),
            1e-6,
            &[(values, shape)],
            &|v| max_pool3(&v[0]),
        );
    }
}

#[test]
fn overlapping_windows_of_bfloat16_agree() {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    for (h, w, c) in SIDES {
        let (values, shape) = random(1, &[2, h, w, c]);
        // Numbers that bfloat16 holds exactly.
        let values = values.iter().map(|value| (value * 3.0).round()).collect();
        compare(
            &gpu,
            &format!("pool3 {h}x{w}x{c}"),
            2e-2,
            &[(values, shape)],
            &|v| {
                if v[0].device().is_cpu() {
                    return max_pool3(&v[0]);
                }
                max_pool3(&v[0].to_dtype(DType::BF16)?)
            },
        );
    }
}
