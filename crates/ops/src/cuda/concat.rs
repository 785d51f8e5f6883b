//! Channels side by side, and apart again.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::gpu::{Floats, Gpu, arguments, count, over_pixels};
use super::kernels::Module;

/// Pixels of `of_a` and `of_b` numbers side by side.
pub(crate) fn concatenate(
    gpu: &Gpu,
    a: Floats<'_>,
    b: Floats<'_>,
    (of_a, of_b): (usize, usize),
) -> Result<CudaSlice<f32>> {
    count(a.len + b.len)?;
    let y = gpu.alloc(a.len + b.len)?;
    let pixels = a.len / of_a;
    let given = arguments![a, b, gpu.view(&y), count(of_a)?, count(of_b)?, count(pixels)?];
    gpu.launch(
        Module::Concat,
        "concatenate",
        over_pixels(pixels, of_a + of_b),
        given,
    )?;
    Ok(y)
}

/// The channels `from..from + taken` of pixels of `channels` numbers.
pub(crate) fn take_channels(
    gpu: &Gpu,
    x: Floats<'_>,
    channels: usize,
    from: usize,
    taken: usize,
) -> Result<CudaSlice<f32>> {
    let pixels = x.len / channels;
    let y = gpu.alloc(pixels * taken)?;
    let (first, of_pixel) = (count(from)?, count(channels)?);
    let given = arguments![x, gpu.view(&y), of_pixel, first, count(taken)?, count(pixels)?];
    gpu.launch(Module::Concat, "take_channels", over_pixels(pixels, taken), given)?;
    Ok(y)
}
