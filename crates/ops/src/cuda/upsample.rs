//! Bilinear interpolation by two.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::gpu::{Floats, Gpu, arguments, count, over_pixels};
use super::kernels::Module;

/// (n·2h, 2w, c) from (n·h, w, c).
pub(crate) fn upsample(gpu: &Gpu, x: Floats<'_>, (h, w, c): (usize, usize, usize)) -> Result<CudaSlice<f32>> {
    let outputs = 4 * x.len;
    count(outputs)?;
    let y = gpu.alloc(outputs)?;
    let pixels = outputs / c;
    let given = arguments![x, gpu.view(&y), count(h)?, count(w)?, count(c)?, count(pixels)?];
    gpu.launch(
        Module::Upsample,
        "upsample_forward",
        over_pixels(pixels, c),
        given,
    )?;
    Ok(y)
}

/// Gradient (n·h, w, c) of the input from `dy` (n·2h, 2w, c).
pub(crate) fn upsample_backward(
    gpu: &Gpu,
    dy: Floats<'_>,
    (h, w, c): (usize, usize, usize),
) -> Result<CudaSlice<f32>> {
    let dx = gpu.alloc(dy.len / 4)?;
    let pixels = dy.len / 4 / c;
    let given = arguments![dy, gpu.view(&dx), count(h)?, count(w)?, count(c)?, count(pixels)?];
    gpu.launch(
        Module::Upsample,
        "upsample_backward",
        over_pixels(pixels, c),
        given,
    )?;
    Ok(dx)
}
