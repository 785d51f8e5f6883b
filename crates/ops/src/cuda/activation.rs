//! ReLU, sums, sigmoid and softmax.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, bail};

use super::gpu::{Floats, Gpu, arguments, count, over_elements};
use super::kernels::Module;
use super::numbers::{Buffer, Numbers};

pub(crate) fn relu(gpu: &Gpu, x: Numbers<'_>) -> Result<Buffer> {
    single(gpu, "relu_forward", x)
}

/// `dy` where the output `y` is above 0.
pub(crate) fn relu_backward(gpu: &Gpu, y: Numbers<'_>, dy: Numbers<'_>) -> Result<Buffer> {
    pairwise(gpu, "relu_backward", y, dy)
}

/// The sum of two tensors of a type.
pub(crate) fn add(gpu: &Gpu, a: Numbers<'_>, b: Numbers<'_>) -> Result<Buffer> {
    pairwise(gpu, "add", a, b)
}

/// The same where it is above 0, else 0.
pub(crate) fn add_relu(gpu: &Gpu, a: Numbers<'_>, b: Numbers<'_>) -> Result<Buffer> {
    pairwise(gpu, "add_relu", a, b)
}

pub(crate) fn sigmoid(gpu: &Gpu, x: Numbers<'_>) -> Result<Buffer> {
    single(gpu, "sigmoid_forward", x)
}

/// `dy · y · (1 − y)`.
pub(crate) fn sigmoid_backward(gpu: &Gpu, y: Numbers<'_>, dy: Numbers<'_>) -> Result<Buffer> {
    pairwise(gpu, "sigmoid_backward", y, dy)
}

fn single(gpu: &Gpu, kernel_name: &str, x: Numbers<'_>) -> Result<Buffer> {
    let y = Buffer::alloc(gpu, x.number, x.len)?;
    let kernel = Module::Activation.packed(x.number, [x.len], [x.pointer]);
    let packs = x.len / kernel.lanes;
    let given = arguments![x, y.argument(gpu), count(packs)?];
    gpu.launch(kernel, kernel_name, over_elements(packs), given)?;
    Ok(y)
}

fn pairwise(gpu: &Gpu, kernel_name: &str, a: Numbers<'_>, b: Numbers<'_>) -> Result<Buffer> {
    if a.number != b.number || a.len != b.len {
        bail!(
            "{kernel_name}: {} {:?} and {} {:?}",
            a.len,
            a.number,
            b.len,
            b.number
        );
    }
    let y = Buffer::alloc(gpu, a.number, a.len)?;
    let kernel = Module::Activation.packed(a.number, [a.len], [a.pointer, b.pointer]);
    let packs = a.len / kernel.lanes;
    let given = arguments![a, b, y.argument(gpu), count(packs)?];
    gpu.launch(kernel, kernel_name, over_elements(packs), given)?;
    Ok(y)
}

/// Softmax of every row of `classes` numbers.
pub(crate) fn softmax(gpu: &Gpu, x: Floats<'_>, classes: usize) -> Result<CudaSlice<f32>> {
    let (y, rows) = (gpu.alloc(x.len)?, x.len / classes);
    let given = arguments![x, gpu.view(&y), count(rows)?, count(classes)?];
    gpu.launch(Module::Activation, "softmax_forward", over_elements(rows), given)?;
    Ok(y)
}

/// One class of the softmax of every row of `classes` numbers.
pub(crate) fn softmax_of_class(
    gpu: &Gpu,
    x: Floats<'_>,
    classes: usize,
    wanted: usize,
) -> Result<CudaSlice<f32>> {
    let rows = x.len / classes;
    let y = gpu.alloc(rows)?;
    let given = arguments![x, gpu.view(&y), count(rows)?, count(classes)?, count(wanted)?];
    gpu.launch(Module::Activation, "softmax_of_class", over_elements(rows), given)?;
    Ok(y)
}

pub(crate) fn softmax_backward(
    gpu: &Gpu,
    y: Floats<'_>,
    dy: Floats<'_>,
    classes: usize,
) -> Result<CudaSlice<f32>> {
    let (dx, rows) = (gpu.alloc(y.len)?, y.len / classes);
    let given = arguments![y, dy, gpu.view(&dx), count(rows)?, count(classes)?];
    gpu.launch(Module::Activation, "softmax_backward", over_elements(rows), given)?;
    Ok(dx)
}
