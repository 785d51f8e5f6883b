//! Maxima of 2x2 windows, and of 3x3 windows that overlap.

use candle_core::{Result, bail};

use super::gpu::{Gpu, arguments, count, over_pixels};
use super::kernels::Module;
use super::numbers::{Buffer, Numbers};

/// Maxima of images with `width` pixels of `channels` numbers a row; all sides are even.
pub(crate) fn pool(gpu: &Gpu, x: Numbers<'_>, width: usize, channels: usize) -> Result<Buffer> {
    let y = Buffer::alloc(gpu, x.number, x.len / 4)?;
    let pixels = x.len / 4 / channels;
    let kernel = Module::MaxPool.packed(x.number, [channels], [x.pointer]);
    let packs = channels / kernel.lanes;
    let to = y.argument(gpu);
    let given = arguments![x, to, count(width)?, count(packs)?, count(pixels)?];
    gpu.launch(kernel, "pool_forward", over_pixels(pixels, packs), given)?;
    Ok(y)
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
pub(crate) fn pool_backward(
    gpu: &Gpu,
    x: Numbers<'_>,
    dy: Numbers<'_>,
    width: usize,
    channels: usize,
) -> Result<Buffer> {
    if x.number != dy.number {
        bail!(
            "max_pool2: the gradient is {:?}, the input {:?}",
            dy.number,
            x.number
        );
    }
    let dx = Buffer::alloc(gpu, x.number, x.len)?;
    let pixels = dy.len / channels;
    let kernel = Module::MaxPool.packed(x.number, [channels], [x.pointer, dy.pointer]);
    let packs = channels / kernel.lanes;
    let (width, of_pixel) = (count(width)?, count(packs)?);
    let to = dx.argument(gpu);
    let given = arguments![x, dy, to, width, of_pixel, count(pixels)?];
    gpu.launch(kernel, "pool_backward", over_pixels(pixels, packs), given)?;
    Ok(dx)
}

/// Maxima of 3x3 windows with stride 2 and padding 1, of images of height, width and channels.
pub(crate) fn pool3(gpu: &Gpu, x: Numbers<'_>, [h, w, c]: [usize; 3]) -> Result<Buffer> {
    let images = x.len / (h * w * c);
    let pixels = images * h.div_ceil(2) * w.div_ceil(2);
    let y = Buffer::alloc(gpu, x.number, pixels * c)?;
    let kernel = Module::MaxPool.packed(x.number, [c], [x.pointer]);
    let packs = c / kernel.lanes;
    let to = y.argument(gpu);
    let given = arguments![x, to, count(h)?, count(w)?, count(packs)?, count(pixels)?];
    gpu.launch(kernel, "pool3_forward", over_pixels(pixels, packs), given)?;
    Ok(y)
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
pub(crate) fn pool3_backward(
    gpu: &Gpu,
    x: Numbers<'_>,
    dy: Numbers<'_>,
    [h, w, c]: [usize; 3],
) -> Result<Buffer> {
    if x.number != dy.number {
        bail!(
            "max_pool3: the gradient is {:?}, the input {:?}",
            dy.number,
            x.number
        );
    }
    let dx = Buffer::alloc(gpu, x.number, x.len)?;
    let pixels = x.len / c;
    let kernel = Module::MaxPool.packed(x.number, [c], [x.pointer, dy.pointer]);
    let packs = c / kernel.lanes;
    let (height, width, of_pixel) = (count(h)?, count(w)?, count(packs)?);
    let to = dx.argument(gpu);
    let given = arguments![x, dy, to, height, width, of_pixel, count(pixels)?];
    gpu.launch(kernel, "pool3_backward", over_pixels(pixels, packs), given)?;
    Ok(dx)
}
