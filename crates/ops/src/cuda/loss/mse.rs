//! The mean squared error, and the end that all means share.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use crate::cuda::gpu::{Floats, Gpu, arguments, blocks, count, over_elements};
use crate::cuda::kernels::Module;

/// Mean of the squared differences, one number on the device.
pub(crate) fn mse(gpu: &Gpu, a: Floats<'_>, b: Floats<'_>) -> Result<CudaSlice<f32>> {
    let config = over_elements(a.len);
    let partial = gpu.alloc::<f64>(config.grid_dim.0 as usize)?;
    let given = arguments![a, b, count(a.len)?, gpu.argument(&partial)];
    gpu.launch(Module::Mse, "mse_partial", config, given)?;
    finish_mean(gpu, Module::Mse, &partial, 0.0, 1.0 / a.len as f64)
}

/// Gradient of `a`, from the loss's `gradient`, one number on the device.
pub(crate) fn mse_backward(
    gpu: &Gpu,
    a: Floats<'_>,
    b: Floats<'_>,
    gradient: Floats<'_>,
) -> Result<CudaSlice<f32>> {
    let da = gpu.alloc(a.len)?;
    let factor = (2.0 / a.len as f64) as f32;
    let given = arguments![a, b, gradient, factor, count(a.len)?, gpu.view(&da)];
    gpu.launch(Module::Mse, "mse_backward", over_elements(a.len), given)?;
    Ok(da)
}

/// `offset + factor · Σ partial`.
pub(crate) fn finish_mean(
    gpu: &Gpu,
    module: Module,
    partial: &CudaSlice<f64>,
    offset: f64,
    factor: f64,
) -> Result<CudaSlice<f32>> {
    let result = gpu.alloc(1)?;
    let sums = gpu.argument(partial);
    let given = arguments![sums, count(partial.len())?, offset, factor, gpu.view(&result)];
    gpu.launch(module, "finish_mean", blocks(1, 1, false)?, given)?;
    Ok(result)
}
