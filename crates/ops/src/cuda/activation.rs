//! ReLU and softmax.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::gpu::{Floats, Gpu, arguments, count, over_elements};
use super::kernels::Module;

pub(crate) fn relu(gpu: &Gpu, x: Floats<'_>) -> Result<CudaSlice<f32>> {
    let y = gpu.alloc(x.len)?;
    let given = arguments![x, gpu.view(&y), count(x.len)?];
    gpu.launch(Module::Activation, "relu_forward", over_elements(x.len), given)?;
    Ok(y)
}

/// `dy` where the output `y` is above 0.
pub(crate) fn relu_backward(gpu: &Gpu, y: Floats<'_>, dy: Floats<'_>) -> Result<CudaSlice<f32>> {
    let dx = gpu.alloc(y.len)?;
    let given = arguments![y, dy, gpu.view(&dx), count(y.len)?];
    gpu.launch(Module::Activation, "relu_backward", over_elements(y.len), given)?;
    Ok(dx)
}

/// Softmax of every row of `classes` numbers.
pub(crate) fn softmax(gpu: &Gpu, x: Floats<'_>, classes: usize) -> Result<CudaSlice<f32>> {
    let (y, rows) = (gpu.alloc(x.len)?, x.len / classes);
    let given = arguments![x, gpu.view(&y), count(rows)?, count(classes)?];
    gpu.launch(Module::Activation, "softmax_forward", over_elements(rows), given)?;
    Ok(y)
}

pub(crate) fn softmax_backward(
    gpu: &Gpu,
    y: Floats<'_>,
    dy: Floats<'_>,
    classes: usize,
) -> Result<CudaSlice<f32>> {
    let (dx, rows) = (gpu.alloc(y.len)?, y.len / classes);
    let given = arguments![y, dy, gpu.view(&dx), count(rows)?, count(classes)?];
    gpu.launch(Module::Activation, "softmax_backward", over_elements(rows), given)?;
    Ok(dx)
}
