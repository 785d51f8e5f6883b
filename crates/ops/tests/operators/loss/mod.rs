//! Losses.

mod bce;
mod focal;
mod mse;
mod ssim;
mod truncated_l1;

use candle_core::{DType, Device, Result, Tensor};

/// A ramp of 16×16 pixels from 0 to 1, and a darker one: (1, 16, 16, 1) each.
fn ramps(dtype: DType) -> Result<[Tensor; 2]> {
    let x: Vec<f64> = (0..256).map(|i| f64::from(i) / 255.0).collect();
    let y: Vec<f64> = x.iter().map(|x| (0.9 * x + 0.02).clamp(0.0, 1.0)).collect();
    let image = |values: &[f64]| Tensor::from_slice(values, (1, 16, 16, 1), &Device::Cpu)?.to_dtype(dtype);
    Ok([image(&x)?, image(&y)?])
}

fn number(tensor: &Tensor) -> Result<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}

#[track_caller]
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}
