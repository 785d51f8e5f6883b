//! Bilinear interpolation by two.

use candle_core::Result;

use super::gpu::{Gpu, arguments, count, over_pixels};
use super::kernels::Module;
use super::numbers::{Buffer, Numbers};

/// (n·2h, 2w, c) from (n·h, w, c).
pub(crate) fn upsample(gpu: &Gpu, x: Numbers<'_>, (h, w, c): (usize, usize, usize)) -> Result<Buffer> {
    let outputs = 4 * x.len;
    let y = Buffer::alloc(gpu, x.number, outputs)?;
    let pixels = outputs / c;
    let kernel = Module::Upsample.packed(x.number, [c], [x.pointer]);
    let packs = c / kernel.lanes;
    let to = y.argument(gpu);
    let given = arguments![x, to, count(h)?, count(w)?, count(packs)?, count(pixels)?];
    gpu.launch(kernel, "upsample_forward", over_pixels(pixels, packs), given)?;
    Ok(y)
}

/// Gradient (n·h, w, c) of the input from `dy` (n·2h, 2w, c).
pub(crate) fn upsample_backward(
    gpu: &Gpu,
    dy: Numbers<'_>,
    (h, w, c): (usize, usize, usize),
) -> Result<Buffer> {
    let dx = Buffer::alloc(gpu, dy.number, dy.len / 4)?;
    let pixels = dy.len / 4 / c;
    let kernel = Module::Upsample.packed(dy.number, [c], [dy.pointer]);
    let packs = c / kernel.lanes;
    let to = dx.argument(gpu);
    let given = arguments![dy, to, count(h)?, count(w)?, count(packs)?, count(pixels)?];
    gpu.launch(kernel, "upsample_backward", over_pixels(pixels, packs), given)?;
    Ok(dx)
}
