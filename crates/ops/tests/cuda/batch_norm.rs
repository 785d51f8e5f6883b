//! Batch norm, also fused with ReLU.

use candle_core::{Device, Result, Tensor, Var};
use flawforge_ops::Precision;
use flawforge_ops::{BatchNorm, Mode, batch_norm, batch_norm_relu};

use crate::support::{close, compare, gpu, noise, random};

#[test]
fn batch_norm_agrees_in_both_modes_with_and_without_relu() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (rows, channels) in [(5usize, 3usize), (36, 1), (1000, 33), (4096, 64), (50_000, 8)] {
        let inputs = [
            random(1, &[rows, 1, 1, channels]),
            random(2, &[channels]),
            random(3, &[channels]),
        ];
        for mode in [Mode::Train, Mode::Eval] {
            for fused in [false, true] {
                let f = |v: &[Var]| -> Result<Tensor> {
                    let norm = BatchNorm::new(v[1].as_tensor().clone(), v[2].as_tensor().clone())?;
                    let statistics = Tensor::from_vec(noise(4, channels), channels, v[0].device())?;
                    norm.running_mean.set(&statistics)?;
                    norm.running_var.set(&(statistics.abs()? + 0.5)?)?;
                    // Far from zero, so that a variance by the difference of two large sums would show.
                    let x = (v[0].as_tensor() + 30.0)?;
                    if fused {
                        batch_norm_relu(&x, &norm, mode)
                    } else {
                        batch_norm(&x, &norm, mode)
                    }
                };
                let what = format!("{rows}x{channels} {mode:?} relu {fused}");
                compare(&gpu, &what, 1e-3, &inputs, &f);
            }
        }
    }
}

#[test]
fn running_statistics_move_alike() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let statistics = |device: &Device| -> Result<Vec<Vec<f32>>> {
        let ones = Tensor::ones(40, candle_core::DType::F32, device)?;
        let norm = BatchNorm::new(ones.clone(), ones)?;
        for seed in 0..3 {
            let x = Tensor::from_vec(noise(seed, 4 * 9 * 7 * 40), (4, 9, 7, 40), device)?;
            batch_norm(&x, &norm, Mode::Train)?;
        }
        Ok(vec![norm.running_mean.to_vec1()?, norm.running_var.to_vec1()?])
    };
    let (expected, found) = (
        statistics(&Device::Cpu).unwrap(),
        statistics(&gpu.device).unwrap(),
    );
    close("running mean", 1e-5, &expected[0], &found[0]);
    close("running variance", 1e-5, &expected[1], &found[1]);
}
