//! Operators without a graph: weights are prepared once, memory is used again.
//!
//! A network that is only evaluated needs no graph: it is a chain of these functions on [`Activations`], in main memory
//! (whose pool takes what is dropped) or on a GPU. [`prepare_conv3x3`] folds the batch norm that follows a convolution into
//! it, and the ReLU after it costs nothing.
//!
//! Images do not meet: each gives the same numbers, bit for bit, alone and in any batch.

use std::borrow::Cow;

use candle_core::{Device, Result, Tensor, bail};

use crate::cpu;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::batch_norm::BatchNorm;
use crate::definitions::conv3x3::ConvShape;

#[cfg(test)]
mod block_kernels;
mod fold;
#[cfg(feature = "cuda")]
mod gpu;
mod inverted_residual;
mod memory;
#[cfg(test)]
mod tests;

pub use crate::definitions::inverted_residual::{InvertedResidual, SameConv};
pub use inverted_residual::{PreparedBlock, inverted_residual, prepare_inverted_residual};

/// A batch of feature maps in NHWC order.
#[derive(Debug)]
pub struct Activations(Place);

#[derive(Debug)]
enum Place {
    Memory(memory::Maps),
    #[cfg(feature = "cuda")]
    Gpu(gpu::Maps),
}

/// A 3×3 convolution with bias, prepared for where it runs: [`prepare_conv3x3`].
#[derive(Debug)]
pub struct PreparedConv(Prepared);

#[derive(Debug)]
enum Prepared {
    Memory(cpu::conv3x3::PreparedConv),
    #[cfg(feature = "cuda")]
    Gpu(gpu::Conv),
}

impl Activations {
    /// A copy of `values`, `[n, h, w, c]`, in main memory.
    ///
    /// # Errors
    /// When there are not n·h·w·c values.
    pub fn from_slice(values: &[f32], dims: (usize, usize, usize, usize)) -> Result<Self> {
        check_len(values.len(), dims)?;
        Ok(Self(Place::Memory(memory::Maps::from_slice(values, dims))))
    }

    /// Maps in main memory whose n·h·w·c values `fill` writes; what it does not write is unspecified.
    pub fn filled(dims: (usize, usize, usize, usize), fill: impl FnOnce(&mut [f32])) -> Self {
        let mut maps = memory::Maps::empty(dims);
        fill(&mut maps.values);
        Self(Place::Memory(maps))
    }

    /// As [`from_slice`](Self::from_slice), on a device: main memory, or a GPU in builds with the feature `cuda`.
    ///
    /// # Errors
    /// When there are not n·h·w·c values, or the device is another.
    pub fn on(device: &Device, values: Vec<f32>, dims: (usize, usize, usize, usize)) -> Result<Self> {
        check_len(values.len(), dims)?;
        match device {
            Device::Cpu => Self::from_slice(&values, dims),
            #[cfg(feature = "cuda")]
            Device::Cuda(_) => Ok(Self(Place::Gpu(gpu::upload_maps(values, dims, device)?))),
            other => bail!("activations: no kernels for {:?}", other.location()),
        }
    }

    /// Images of bytes, each byte as its share of 255, on a device as [`on`](Self::on). To a GPU travel the bytes.
    ///
    /// # Errors
    /// When there are not n images of h·w·c bytes, or the device is another.
    pub fn of_bytes(device: &Device, images: &[&[u8]], dims: (usize, usize, usize, usize)) -> Result<Self> {
        let (n, h, w, c) = dims;
        if images.len() != n || images.iter().any(|image| image.len() != h * w * c) {
            bail!("activations: {n} images of {h}x{w}x{c} bytes are wanted, others are given");
        }
        if n * h * w * c == 0 {
            return Self::on(device, Vec::new(), dims);
        }
        match device {
            Device::Cpu => Ok(Self::filled(dims, |values| {
                for (values, image) in values.chunks_exact_mut(h * w * c).zip(images) {
                    for (value, &byte) in values.iter_mut().zip(*image) {
                        *value = f32::from(byte) / 255.0;
                    }
                }
            })),
            #[cfg(feature = "cuda")]
            Device::Cuda(_) => Ok(Self(Place::Gpu(cuda::upload_bytes(images, dims.into(), device)?))),
            other => bail!("activations: no kernels for {:?}", other.location()),
        }
    }

    /// Images, height, width and channels.
    pub fn dims(&self) -> (usize, usize, usize, usize) {
        match &self.0 {
            Place::Memory(maps) => maps.dims,
            // Maps are made with four dimensions.
            #[cfg(feature = "cuda")]
            Place::Gpu(maps) => maps.dims4().unwrap_or_default(),
        }
    }

    /// The numbers, in order; from a GPU they are copied, widened to f32 where they are bfloat16.
    ///
    /// # Errors
    /// Those of the copy.
    pub fn values(&self) -> Result<Cow<'_, [f32]>> {
        match &self.0 {
            Place::Memory(maps) => Ok(Cow::Borrowed(&maps.values)),
            #[cfg(feature = "cuda")]
            Place::Gpu(maps) => Ok(Cow::Owned(numbers(maps)?)),
        }
    }
}

#[cfg(feature = "cuda")]
fn numbers(maps: &Tensor) -> Result<Vec<f32>> {
    maps.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1()
}

fn check_len(found: usize, (n, h, w, c): (usize, usize, usize, usize)) -> Result<()> {
    if found != n * h * w * c {
        bail!("activations: {found} values for {n}x{h}x{w}x{c}");
    }
    Ok(())
}

/// Whether convolutions of f32 tensors on `device` can be prepared.
pub fn serves(device: &Device) -> bool {
    device.is_cpu() || cfg!(feature = "cuda") && device.is_cuda()
}

/// Prepares the convolution of `weight` (Co,Ci,3,3) and `bias` (Co), and `norm` behind it if there is one, for images of
/// this height and width, on the device where they are. It multiplies in this thread's [precision](crate::Precision).
///
/// # Errors
/// Shapes that do not fit together, a tensor that is not f32, or a device that is not [served](serves).
pub fn prepare_conv3x3(
    weight: &Tensor,
    bias: &Tensor,
    norm: Option<&BatchNorm>,
    (h, w): (usize, usize),
) -> Result<PreparedConv> {
    let (co, ci, kh, kw) = weight.dims4()?;
    if (kh, kw) != (3, 3) || bias.dims() != [co] {
        bail!(
            "prepare_conv3x3: weight {:?} (Co,Ci,3,3) and bias {:?} (Co) do not fit together",
            weight.dims(),
            bias.dims()
        );
    }
    let device = weight.device();
    let read = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>();
    let (mut weight, mut bias) = (read(weight)?, read(bias)?);
    if let Some(norm) = norm {
        (weight, bias) = norm.fold(&weight, &bias)?;
    }
    match device {
        Device::Cpu => {
            let shape = ConvShape { n: 1, h, w, ci, co };
            Ok(PreparedConv(Prepared::Memory(memory::prepare(
                &weight, &bias, shape,
            ))))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            let prepared = gpu::prepare(weight, bias, (co, ci), device)?;
            Ok(PreparedConv(Prepared::Gpu(prepared)))
        }
        other => bail!("prepare_conv3x3: no kernels for {:?}", other.location()),
    }
}

/// The convolution of `x`, followed by a ReLU when `relu`.
///
/// # Errors
/// When `x` has other channels than the convolution reads, or is not where it was prepared.
pub fn conv3x3(x: &Activations, conv: &PreparedConv, relu: bool) -> Result<Activations> {
    Ok(Activations(match (&x.0, &conv.0) {
        (Place::Memory(x), Prepared::Memory(conv)) => Place::Memory(memory::conv3x3(x, conv, relu)?),
        #[cfg(feature = "cuda")]
        (Place::Gpu(x), Prepared::Gpu(conv)) => Place::Gpu(gpu::conv3x3(x, conv, relu)?),
        #[cfg(feature = "cuda")]
        _ => bail!("conv3x3: input and convolution are not in the same place"),
    }))
}

/// Maxima of 2×2 pixels.
///
/// # Errors
/// When height or width is odd.
pub fn max_pool2(x: &Activations) -> Result<Activations> {
    let (_, h, w, _) = x.dims();
    if !h.is_multiple_of(2) || !w.is_multiple_of(2) {
        bail!("max_pool2: height {h} and width {w} must be even");
    }
    Ok(Activations(match &x.0 {
        Place::Memory(x) => Place::Memory(memory::max_pool2(x)),
        #[cfg(feature = "cuda")]
        Place::Gpu(x) => Place::Gpu(crate::max_pool2(x)?),
    }))
}

/// ×2 bilinear interpolation with aligned corners.
///
/// # Errors
/// Those of the device; none in main memory.
pub fn upsample2(x: &Activations) -> Result<Activations> {
    Ok(Activations(match &x.0 {
        Place::Memory(x) => Place::Memory(memory::upsample2(x)),
        #[cfg(feature = "cuda")]
        Place::Gpu(x) => Place::Gpu(crate::upsample2(x)?),
    }))
}

/// The channels of `a`, then those of `b`.
///
/// # Errors
/// When images, heights or widths differ, or one is on a GPU and the other is not.
pub fn concat(a: &Activations, b: &Activations) -> Result<Activations> {
    let ((n, h, w, _), (m, i, j, _)) = (a.dims(), b.dims());
    if (n, h, w) != (m, i, j) {
        bail!("concat: {:?} and {:?} do not fit", a.dims(), b.dims());
    }
    Ok(Activations(match (&a.0, &b.0) {
        (Place::Memory(a), Place::Memory(b)) => Place::Memory(memory::concat(a, b)),
        #[cfg(feature = "cuda")]
        (Place::Gpu(a), Place::Gpu(b)) => Place::Gpu(crate::concat(a, b)?),
        #[cfg(feature = "cuda")]
        _ => bail!("concat: one input is on a GPU, the other is not"),
    }))
}

/// The softmax over the channels, of one channel: `[n, h, w]`.
///
/// # Errors
/// When there is no such channel, and those of the device.
pub fn softmax_of(x: &Activations, channel: usize) -> Result<Vec<f32>> {
    let (.., channels) = x.dims();
    if channel >= channels {
        bail!("softmax_of: channel {channel} of {channels}");
    }
    match &x.0 {
        Place::Memory(x) => {
            let all = memory::softmax(x);
            Ok(all.chunks_exact(channels).map(|pixel| pixel[channel]).collect())
        }
        #[cfg(feature = "cuda")]
        Place::Gpu(x) => numbers(&gpu::softmax_of(x, channel)?),
    }
}
