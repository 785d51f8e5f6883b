//! What surrounds convolutions: counts of channels and types that cuDNN's fastest kernels want, and the bias.

use candle_core::Result;
use candle_core::cuda_backend::cudarc::driver::CudaSlice;

use super::gpu::{Argument, Floats, Gpu, arguments, columns, count, over_elements, over_pixels};
use super::kernels::{Kernel, Module};
use super::numbers::{Buffer, Number, Numbers};

/// A bfloat16 copy of `x` (pixels, channels) with zeros up to `padded` channels.
pub(super) fn widen(gpu: &Gpu, x: Numbers<'_>, channels: usize, padded: usize) -> Result<Buffer> {
    let count_padded = x.len / channels * padded;
    let y = Buffer::alloc(gpu, Number::Bf16, count_padded)?;
    let kernel = single(x.number);
    let (of_x, of_y) = (count(channels)?, count(padded)?);
    let given = arguments![x, y.argument(gpu), of_x, of_y, count(count_padded)?];
    gpu.launch(kernel, "widen_channels", over_elements(count_padded), given)?;
    Ok(y)
}

/// The first `channels` of bfloat16 `x` (pixels, padded), as numbers of a type, with a bias where there is one.
pub(super) fn narrow(
    gpu: &Gpu,
    x: &Buffer,
    bias: Option<Floats<'_>>,
    (channels, padded): (usize, usize),
    number: Number,
) -> Result<Buffer> {
    let pixels = x.view(gpu).len / padded;
    let y = Buffer::alloc(gpu, number, pixels * channels)?;
    let (of_y, of_x, all) = (count(channels)?, count(padded)?, count(pixels * channels)?);
    let bias = bias.map_or(Argument::Pointer(0), Argument::from);
    let given = arguments![x.argument(gpu), bias, y.argument(gpu), of_y, of_x, all];
    let config = over_elements(pixels * channels);
    gpu.launch(single(number), "narrow_channels", config, given)?;
    Ok(y)
}

fn single(number: Number) -> Kernel {
    Module::Channels.packed(number, [1], [0; 0])
}

/// Adds a bias to `y` (pixels, channels), in place, with a ReLU behind it when `relu`.
pub(super) fn add_bias(gpu: &Gpu, y: &Buffer, bias: Floats<'_>, relu: bool) -> Result<()> {
    let (view, channels) = (y.view(gpu), bias.len);
    let pixels = view.len / channels;
    let kernel = Module::Channels.packed(view.number, [channels], [view.pointer]);
    let packs = channels / kernel.lanes;
    let given = arguments![view, bias, relu, count(packs)?, count(pixels)?];
    gpu.launch(kernel, "add_bias", over_pixels(pixels, packs), given)
}

/// Gradient of the bias: sums of `dy` (pixels, channels) over all pixels.
pub(crate) fn bias_gradient(gpu: &Gpu, dy: Numbers<'_>, channels: usize) -> Result<CudaSlice<f32>> {
    let pixels = dy.len / channels;
    let kernel = Module::Channels.packed(dy.number, [channels], [dy.pointer]);
    let cut = columns(pixels, channels, kernel.lanes)?;
    let partial = gpu.alloc::<f64>(2 * cut.chunks as usize * channels)?;
    let result = gpu.alloc::<f32>(channels)?;
    let (pixels, packs) = (count(pixels)?, count(channels / kernel.lanes)?);
    let sums = gpu.argument(&partial);
    let given = arguments![dy, pixels, packs, cut.chunk_rows, sums];
    gpu.launch(kernel, "bias_gradient_partial", cut.partial, given)?;
    let given = arguments![sums, cut.chunks, count(channels)?, gpu.view(&result)];
    gpu.launch(kernel, "bias_gradient_final", cut.total, given)?;
    Ok(result)
}
