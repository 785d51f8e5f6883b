//! The structural similarity.

use candle_core::Tensor;
use flawforge_ops::{Precision, SsimRange, ssim_loss};

use super::SHAPES;
use crate::support::{compare, gpu, random};

#[test]
fn value_and_gradients_agree_in_both_ranges() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for shape in SHAPES {
        let inputs = [random(1, &shape), random(2, &shape)];
        for range in [SsimRange::Unit, SsimRange::FromPrediction] {
            let what = format!("ssim {shape:?} {range:?}");
            compare(&gpu, &what, 1e-4, &inputs, &|v| ssim_loss(&v[0], &v[1], range));
            // Beyond 128 the range is 255.
            let gray = |v: &Tensor| (v * 100.0)? + 100.0;
            let large = format!("{what} of gray levels");
            compare(&gpu, &large, 1e-4, &inputs, &|v| {
                ssim_loss(&gray(&v[0])?, &gray(&v[1])?, range)
            });
        }
    }
}
