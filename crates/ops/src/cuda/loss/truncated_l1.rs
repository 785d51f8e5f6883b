//! The truncated L1 loss.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use crate::cuda::gpu::{Floats, Gpu, arguments, blocks, count, over_elements};
use crate::cuda::kernels::Module;

/// Loss of `logits` (pixels, 2) by `mask` (pixels), one number on the device.
pub(crate) fn truncated_l1(
    gpu: &Gpu,
    logits: Floats<'_>,
    mask: Floats<'_>,
    margin: f32,
) -> Result<CudaSlice<f32>> {
    let (loss, _) = summed(gpu, logits, mask, margin)?;
    Ok(loss)
}

/// Gradient of the logits, from the loss's `gradient`, one number on the device.
pub(crate) fn truncated_l1_backward(
    gpu: &Gpu,
    logits: Floats<'_>,
    mask: Floats<'_>,
    gradient: Floats<'_>,
    margin: f32,
) -> Result<CudaSlice<f32>> {
    // The numbers of pixels are counted again: cheaper than to carry them from the forward pass.
    let (_, shares) = summed(gpu, logits, mask, margin)?;
    let result = gpu.alloc(logits.len)?;
    let (pixels, to) = (count(mask.len)?, gpu.view(&result));
    let given = arguments![logits, mask, gradient, gpu.view(&shares), margin, pixels, to];
    let config = over_elements(mask.len);
    gpu.launch(Module::TruncatedL1, "truncated_l1_backward", config, given)?;
    Ok(result)
}

/// The loss, and what a normal and an anomalous pixel that misses the margin adds to it.
fn summed(
    gpu: &Gpu,
    logits: Floats<'_>,
    mask: Floats<'_>,
    margin: f32,
) -> Result<(CudaSlice<f32>, CudaSlice<f32>)> {
    let config = over_elements(mask.len);
    let partial = gpu.alloc::<f64>(4 * config.grid_dim.0 as usize)?;
    let given = arguments![logits, mask, margin, count(mask.len)?, gpu.argument(&partial)];
    gpu.launch(Module::TruncatedL1, "truncated_l1_partial", config, given)?;
    let (loss, shares) = (gpu.alloc(1)?, gpu.alloc(2)?);
    let sums = gpu.argument(&partial);
    let given = arguments![sums, config.grid_dim.0, gpu.view(&loss), gpu.view(&shares)];
    let one = blocks(1, 1, false)?;
    gpu.launch(Module::TruncatedL1, "truncated_l1_finish", one, given)?;
    Ok((loss, shares))
}
