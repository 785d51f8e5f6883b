//! Convolutions with any kernel and stride, and transposed ones, in the three precisions.

use candle_core::{Device, Result, Tensor, Var};
use flawforge_ops::{Precision, conv_transpose2d, conv2d};

use crate::support::{compare, gpu, random, run};

/// (n, h, w, in, out).
type Shape = (usize, usize, usize, usize, usize);

/// Kernel, stride and padding: those of residual networks, with odd sides and a stride that leaves a rest.
const CASES: [(Shape, usize, usize, usize); 8] = [
    ((2, 33, 40, 3, 16), 7, 2, 3),
    ((1, 64, 64, 3, 64), 7, 2, 3),
    ((2, 16, 17, 16, 24), 3, 2, 1),
    ((2, 9, 8, 8, 5), 1, 2, 0),
    ((1, 28, 28, 32, 64), 1, 2, 0),
    ((2, 14, 14, 32, 8), 1, 1, 0),
    ((1, 12, 12, 16, 16), 3, 1, 1),
    ((1, 1, 1, 8, 4), 1, 1, 0),
];

/// Kernels of NSA's decoder, which double the size.
const DOUBLING: [(Shape, usize); 5] = [
    ((2, 7, 7, 16, 8), 3),
    ((1, 14, 14, 64, 32), 3),
    ((2, 7, 5, 16, 8), 1),
    ((1, 28, 28, 16, 1), 7),
    ((1, 1, 1, 3, 2), 3),
];

fn within(precision: Precision, tolerance: f32) {
    let Some(gpu) = gpu(precision) else { return };
    for ((n, h, w, ci, co), kernel, stride, padding) in CASES {
        let inputs = [
            random(1, &[n, h, w, ci]),
            random(2, &[co, ci, kernel, kernel]),
            random(3, &[co]),
        ];
        let what = format!(
            "{precision} {n}x{h}x{w} {ci} to {co}, kernel {kernel}, stride {stride}, padding {padding}"
        );
        compare(&gpu, &what, tolerance, &inputs[..2], &|v| {
            conv2d(&v[0], &v[1], None, stride, padding)
        });
        compare(&gpu, &format!("{what}, with bias"), tolerance, &inputs, &|v| {
            conv2d(&v[0], &v[1], Some(&v[2]), stride, padding)
        });
    }
    for ((n, h, w, ci, co), kernel) in DOUBLING {
        let inputs = [random(1, &[n, h, w, ci]), random(2, &[ci, co, kernel, kernel])];
        let what = format!("{precision} transposed {n}x{h}x{w} {ci} to {co}, kernel {kernel}");
        compare(&gpu, &what, tolerance, &inputs, &|v| doubled(v, kernel));
    }
}

fn doubled(v: &[Var], kernel: usize) -> Result<Tensor> {
    let y = conv_transpose2d(&v[0], &v[1], 2, kernel / 2, 1)?;
    let (_, h, w, _) = v[0].dims4()?;
    assert_eq!(y.dims4()?.1, 2 * h);
    assert_eq!(y.dims4()?.2, 2 * w);
    Ok(y)
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
fn filters_that_are_not_square_are_served_by_the_reference() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let inputs = [random(1, &[2, 9, 8, 3]), random(2, &[4, 3, 3, 2])];
    compare(&gpu, "3x2 filters", 1e-5, &inputs, &|v| {
        conv2d(&v[0], &v[1], None, 1, 1)
    });
}

#[test]
fn the_same_convolution_gives_the_same_bits() {
    let Some(gpu) = gpu(Precision::Tf32) else { return };
    let stem = [random(1, &[4, 64, 64, 3]), random(2, &[64, 3, 7, 7])];
    let once = || run(&gpu.device, &stem, &|v| conv2d(&v[0], &v[1], None, 2, 3)).unwrap();
    assert!(once() == once(), "the first convolution of a residual network");
    let double = [random(1, &[4, 16, 16, 64]), random(2, &[64, 32, 3, 3])];
    let once = || run(&gpu.device, &double, &|v| doubled(v, 3)).unwrap();
    assert!(once() == once(), "a transposed convolution");
    assert!(matches!(gpu.device, Device::Cuda(_)));
}
