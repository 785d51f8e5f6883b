//! The binary cross-entropy.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::mse::finish_mean;
use crate::cuda::gpu::{Floats, Gpu, arguments, count, over_elements};
use crate::cuda::kernels::Module;

/// Mean cross-entropy of probabilities `p` against `t`, one number on the device.
pub(crate) fn bce(gpu: &Gpu, p: Floats<'_>, t: Floats<'_>) -> Result<CudaSlice<f32>> {
    let config = over_elements(p.len);
    let partial = gpu.alloc::<f64>(config.grid_dim.0 as usize)?;
    let given = arguments![p, t, count(p.len)?, gpu.argument(&partial)];
    gpu.launch(Module::Bce, "bce_partial", config, given)?;
    finish_mean(gpu, Module::Bce, &partial, 0.0, 1.0 / p.len as f64)
}

/// Gradient of the probabilities, from the loss's `gradient`, one number on the device.
pub(crate) fn bce_backward(
    gpu: &Gpu,
    p: Floats<'_>,
    t: Floats<'_>,
    gradient: Floats<'_>,
) -> Result<CudaSlice<f32>> {
    let dp = gpu.alloc(p.len)?;
    let factor = (1.0 / p.len as f64) as f32;
    let given = arguments![p, t, gradient, factor, count(p.len)?, gpu.view(&dp)];
    gpu.launch(Module::Bce, "bce_backward", over_elements(p.len), given)?;
    Ok(dp)
}
