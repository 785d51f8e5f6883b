//! 2x2 maximum.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::gpu::{Floats, Gpu, arguments, count, over_pixels};
use super::kernels::Module;

/// Maxima of images with `width` pixels of `channels` numbers a row; all sides are even.
pub(crate) fn pool(gpu: &Gpu, x: Floats<'_>, width: usize, channels: usize) -> Result<CudaSlice<f32>> {
    let y = gpu.alloc(x.len / 4)?;
    let pixels = x.len / 4 / channels;
    let given = arguments![x, gpu.view(&y), count(width)?, count(channels)?, count(pixels)?];
    gpu.launch(
        Module::MaxPool,
        "pool_forward",
        over_pixels(pixels, channels),
        given,
    )?;
    Ok(y)
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
pub(crate) fn pool_backward(
    gpu: &Gpu,
    x: Floats<'_>,
    dy: Floats<'_>,
    width: usize,
    channels: usize,
) -> Result<CudaSlice<f32>> {
    let dx = gpu.alloc(x.len)?;
    let pixels = dy.len / channels;
    let (width, of_pixel) = (count(width)?, count(channels)?);
    let given = arguments![x, dy, gpu.view(&dx), width, of_pixel, count(pixels)?];
    gpu.launch(
        Module::MaxPool,
        "pool_backward",
        over_pixels(pixels, channels),
        given,
    )?;
    Ok(dx)
}
