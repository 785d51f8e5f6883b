//! Filters in cuDNN's order, and their gradients in ours.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, LaunchConfig};

use super::cudnn::ConvSize;
use super::gpu::{BLOCK, Floats, Gpu, arguments, count};
use super::kernels::Module;
use super::numbers::{Buffer, Number};

/// Inputs of a block, `TILE` in the kernel file.
const TILE: usize = 64;

/// Filters (out, in, taps) of `size` as (out, taps, in) of a type, with zeros up to the channels of `padded`.
pub(super) fn to_channels_last(
    gpu: &Gpu,
    size: ConvSize,
    padded: ConvSize,
    number: Number,
    filters: Floats<'_>,
) -> Result<Buffer> {
    let result = Buffer::alloc(gpu, number, padded.filters())?;
    let (outputs, inputs, taps) = (count(size.co)?, count(size.ci)?, count(size.taps())?);
    let to = result.argument(gpu);
    let given = arguments![filters, to, outputs, inputs, taps, count(padded.ci)?];
    let kernel = match number {
        Number::F32 => "filters_to_channels_last",
        Number::Bf16 => "filters_to_channels_last_bf16",
    };
    let config = tiles(padded.ci, padded.co)?;
    gpu.launch(Module::Filters, kernel, config, given)?;
    Ok(result)
}

/// The way back, to f32 and without what was added.
pub(super) fn from_channels_last(
    gpu: &Gpu,
    size: ConvSize,
    padded: ConvSize,
    filters: &Buffer,
) -> Result<CudaSlice<f32>> {
    let result = gpu.alloc::<f32>(size.filters())?;
    let (inputs, taps, wide) = (count(size.ci)?, count(size.taps())?, count(padded.ci)?);
    let given = arguments![filters.argument(gpu), gpu.view(&result), inputs, taps, wide];
    let kernel = match filters {
        Buffer::F32(_) => "filters_from_channels_last",
        Buffer::Bf16(_) => "filters_from_channels_last_bf16",
    };
    let config = tiles(size.ci, size.co)?;
    gpu.launch(Module::Filters, kernel, config, given)?;
    Ok(result)
}

/// A block for every tile of inputs of every output.
fn tiles(inputs: usize, outputs: usize) -> Result<LaunchConfig> {
    Ok(LaunchConfig {
        grid_dim: (count(inputs.div_ceil(TILE))?, count(outputs)?, 1),
        block_dim: (count(BLOCK)?, 1, 1),
        shared_mem_bytes: 0,
    })
}
