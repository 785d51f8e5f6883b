//! The convolution in its three precisions.

use candle_core::Device;
use flawforge_ops::Precision;
use flawforge_ops::conv3x3;

use crate::support::{compare, gpu, random, run};

/// (n, h, w, in, out): odd sides, few channels as in the first and last layers, and a layer of the networks' kind.
const SHAPES: [(usize, usize, usize, usize, usize); 5] = [
    (1, 5, 7, 3, 8),
    (2, 16, 16, 8, 2),
    (1, 1, 1, 4, 4),
    (2, 33, 20, 6, 40),
    (2, 32, 32, 64, 64),
];

fn within(precision: Precision, tolerance: f32) {
    let Some(gpu) = gpu(precision) else { return };
    for (n, h, w, ci, co) in SHAPES {
        let inputs = [
            random(1, &[n, h, w, ci]),
            random(2, &[co, ci, 3, 3]),
            random(3, &[co]),
        ];
        let what = format!("{precision:?} {n}x{h}x{w} {ci} to {co}");
        compare(&gpu, &what, tolerance, &inputs, &|v| conv3x3(&v[0], &v[1], &v[2]));
    }
}

#[test]
fn f32_agrees_to_rounding() {
    within(Precision::F32, 1e-5);
}

#[test]
fn tf32_agrees_to_its_eleven_bits() {
    within(Precision::Tf32, 4e-3);
}

#[test]
fn bf16_agrees_to_its_eight_bits() {
    within(Precision::Bf16, 3e-2);
}

#[test]
fn the_same_convolution_gives_the_same_bits() {
    let Some(gpu) = gpu(Precision::Tf32) else { return };
    let inputs = [
        random(1, &[4, 32, 32, 64]),
        random(2, &[64, 64, 3, 3]),
        random(3, &[64]),
    ];
    let once = || run(&gpu.device, &inputs, &|v| conv3x3(&v[0], &v[1], &v[2])).unwrap();
    assert!(once() == once());
    assert!(matches!(gpu.device, Device::Cuda(_)));
}
