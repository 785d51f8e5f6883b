//! Channels side by side, and apart again.

use candle_core::Result;

use super::channels::{narrow, widen};
use super::gpu::{Gpu, arguments, count, over_pixels};
use super::kernels::Module;
use super::numbers::{Buffer, Number, Numbers};

/// Pixels of `of_a` and `of_b` numbers side by side. Where only one tensor is bfloat16 (layers with few channels give f32), both
/// become bfloat16: the convolution behind them would round them anyway.
pub(crate) fn concatenate(
    gpu: &Gpu,
    a: Numbers<'_>,
    b: Numbers<'_>,
    (of_a, of_b): (usize, usize),
) -> Result<Buffer> {
    match (a.number, b.number) {
        (Number::F32, Number::Bf16) => {
            return concatenate(gpu, rounded(gpu, a, of_a)?.view(gpu), b, (of_a, of_b));
        }
        (Number::Bf16, Number::F32) => {
            return concatenate(gpu, a, rounded(gpu, b, of_b)?.view(gpu), (of_a, of_b));
        }
        _ => {}
    }
    let y = Buffer::alloc(gpu, a.number, a.len + b.len)?;
    let pixels = a.len / of_a;
    let kernel = Module::Concat.packed(a.number, [of_a, of_b], [a.pointer, b.pointer]);
    let (of_a, of_b) = (of_a / kernel.lanes, of_b / kernel.lanes);
    let given = arguments![a, b, y.argument(gpu), count(of_a)?, count(of_b)?, count(pixels)?];
    gpu.launch(kernel, "concatenate", over_pixels(pixels, of_a + of_b), given)?;
    Ok(y)
}

/// A copy in bfloat16.
fn rounded(gpu: &Gpu, x: Numbers<'_>, channels: usize) -> Result<Buffer> {
    widen(gpu, x, channels, channels)
}

/// The channels `from..from + taken` of pixels of `channels` numbers, as numbers of a type.
pub(crate) fn take_channels(
    gpu: &Gpu,
    x: Numbers<'_>,
    channels: usize,
    (from, taken): (usize, usize),
    number: Number,
) -> Result<Buffer> {
    let y = channels_of(gpu, x, channels, (from, taken))?;
    match (x.number, number) {
        (Number::Bf16, Number::F32) => narrow(gpu, &y, None, (taken, taken), Number::F32),
        (Number::F32, Number::Bf16) => rounded(gpu, y.view(gpu), taken),
        _ => Ok(y),
    }
}

fn channels_of(gpu: &Gpu, x: Numbers<'_>, channels: usize, (from, taken): (usize, usize)) -> Result<Buffer> {
    let pixels = x.len / channels;
    let y = Buffer::alloc(gpu, x.number, pixels * taken)?;
    let kernel = Module::Concat.packed(x.number, [channels, from, taken], [x.pointer]);
    let [channels, from, taken] = [channels, from, taken].map(|channels| channels / kernel.lanes);
    let (first, of_pixel) = (count(from)?, count(channels)?);
    let to = y.argument(gpu);
    let given = arguments![x, to, of_pixel, first, count(taken)?, count(pixels)?];
    gpu.launch(kernel, "take_channels", over_pixels(pixels, taken), given)?;
    Ok(y)
}
