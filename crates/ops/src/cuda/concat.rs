//! Channels side by side, and apart again.

use candle_core::{Result, bail};

use super::gpu::{Gpu, arguments, count, over_pixels};
use super::kernels::Module;
use super::numbers::{Buffer, Numbers};

/// Pixels of `of_a` and `of_b` numbers side by side.
pub(crate) fn concatenate(
    gpu: &Gpu,
    a: Numbers<'_>,
    b: Numbers<'_>,
    (of_a, of_b): (usize, usize),
) -> Result<Buffer> {
    if a.number != b.number {
        bail!("concat: one tensor is {:?}, the other {:?}", a.number, b.number);
    }
    let y = Buffer::alloc(gpu, a.number, a.len + b.len)?;
    let pixels = a.len / of_a;
    let kernel = Module::Concat.packed(a.number, [of_a, of_b], [a.pointer, b.pointer]);
    let (of_a, of_b) = (of_a / kernel.lanes, of_b / kernel.lanes);
    let given = arguments![a, b, y.argument(gpu), count(of_a)?, count(of_b)?, count(pixels)?];
    gpu.launch(kernel, "concatenate", over_pixels(pixels, of_a + of_b), given)?;
    Ok(y)
}

/// The channels `from..from + taken` of pixels of `channels` numbers.
pub(crate) fn take_channels(
    gpu: &Gpu,
    x: Numbers<'_>,
    channels: usize,
    from: usize,
    taken: usize,
) -> Result<Buffer> {
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
