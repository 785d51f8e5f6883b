//! Pooling, upsampling, concatenation and the losses.

use candle_core::Tensor;
use flawforge_ops::Precision;
use flawforge_ops::{
    FocalSettings, SsimRange, concat, focal_loss, max_pool2, mse_loss, softmax, ssim_loss, upsample2,
};

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

#[test]
fn upsampling_agrees_down_to_one_pixel() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (h, w, c) in [
        (1, 1, 2),
        (1, 5, 3),
        (2, 3, 8),
        (7, 4, 33),
        (32, 32, 64),
        (3, 129, 5),
    ] {
        let inputs = [random(1, &[2, h, w, c])];
        compare(&gpu, &format!("upsample {h}x{w}x{c}"), 1e-5, &inputs, &|v| {
            upsample2(&v[0])
        });
    }
}

#[test]
fn concatenation_agrees() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (a, b) in [(1, 1), (3, 3), (64, 32), (5, 70)] {
        let inputs = [random(1, &[2, 9, 7, a]), random(2, &[2, 9, 7, b])];
        compare(&gpu, &format!("concat {a}+{b}"), 0.0, &inputs, &|v| {
            concat(&v[0], &v[1])
        });
    }
}

#[test]
fn losses_agree() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (n, h, w, c) in [(1, 5, 7, 1), (2, 16, 16, 3), (2, 33, 40, 3), (1, 128, 96, 2)] {
        let inputs = [random(1, &[n, h, w, c]), random(2, &[n, h, w, c])];
        compare(&gpu, "mse", 1e-5, &inputs, &|v| mse_loss(&v[0], &v[1]));
        for range in [SsimRange::Unit, SsimRange::FromPrediction] {
            let what = format!("ssim {n}x{h}x{w}x{c} {range:?}");
            compare(&gpu, &what, 1e-4, &inputs, &|v| ssim_loss(&v[0], &v[1], range));
            // Beyond 128 the range is 255.
            let grey = |v: &Tensor| (v * 100.0)? + 100.0;
            let large = format!("{what} of grey levels");
            compare(&gpu, &large, 1e-4, &inputs, &|v| {
                ssim_loss(&grey(&v[0])?, &grey(&v[1])?, range)
            });
        }
        let mask: Vec<f32> = inputs[0].0.iter().map(|&value| f32::from(value > 0.3)).collect();
        let logits = [random(3, &[n, h, w * c, 2])];
        for settings in [
            FocalSettings::default(),
            FocalSettings {
                gamma: 1.5,
                ..FocalSettings::default()
            },
        ] {
            compare(&gpu, "focal", 1e-4, &logits, &|v| {
                let mask = Tensor::from_vec(mask.clone(), (n, h, w * c), v[0].device())?;
                focal_loss(&softmax(&v[0])?, &mask, settings)
            });
        }
    }
}
