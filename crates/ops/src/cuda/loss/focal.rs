//! The focal loss.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::mse::finish_mean;
use crate::cuda::gpu::{Floats, Gpu, arguments, count, over_elements};
use crate::cuda::kernels::Module;

/// Mean focal loss of `probabilities` (pixels, 2) against `mask` (pixels), one number on the device.
pub(crate) fn focal(
    gpu: &Gpu,
    probabilities: Floats<'_>,
    mask: Floats<'_>,
    (gamma, smooth): (f32, f32),
) -> Result<CudaSlice<f32>> {
    let config = over_elements(mask.len);
    let partial = gpu.alloc::<f64>(config.grid_dim.0 as usize)?;
    let (pixels, sums) = (count(mask.len)?, gpu.argument(&partial));
    let given = arguments![probabilities, mask, gamma, smooth, pixels, sums];
    gpu.launch(Module::Focal, "focal_partial", config, given)?;
    finish_mean(gpu, Module::Focal, &partial, 0.0, 1.0 / mask.len as f64)
}

/// Gradient of the probabilities, from the loss's `gradient`, one number on the device.
pub(crate) fn focal_backward(
    gpu: &Gpu,
    probabilities: Floats<'_>,
    mask: Floats<'_>,
    gradient: Floats<'_>,
    (gamma, smooth): (f32, f32),
) -> Result<CudaSlice<f32>> {
    let result = gpu.alloc(probabilities.len)?;
    let (pixels, factor) = (count(mask.len)?, (1.0 / mask.len as f64) as f32);
    let to = gpu.view(&result);
    let given = arguments![probabilities, mask, gradient, factor, gamma, smooth, pixels, to];
    gpu.launch(Module::Focal, "focal_backward", over_elements(mask.len), given)?;
    Ok(result)
}
