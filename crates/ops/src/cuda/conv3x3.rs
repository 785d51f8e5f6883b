//! Convolutions: filters brought into cuDNN's order, activations in the type and with the channels that its kernels want.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Device, Result, bail};

use super::channels::{add_bias, narrow, widen};
use super::cudnn::{Engine, Pass, convolve, survey};
use super::filters::{from_channels_last, to_channels_last};
use super::gpu::{Floats, Gpu, arguments, count, over_elements};
use super::kernels::Module;
use super::numbers::{Buffer, Number, Numbers};
use crate::Precision;

pub(crate) use super::cudnn::ConvSize;

/// Channels of bfloat16 activations are multiples of this: 16 bytes.
const CHANNELS: usize = 8;

/// A convolution with its filters in cuDNN's order, for both directions.
///
/// In bfloat16 a result of a multiple of eight channels stays bfloat16, for the operators that follow. Others, those of
/// the last layers, are f32, as losses want them. Inputs and gradients of other types and counts of channels are copied,
/// with zeros in the channels that are added; results lose those channels again.
pub(crate) struct Convolution {
    size: ConvSize,
    /// The size as cuDNN sees it.
    padded: ConvSize,
    precision: Precision,
    filters: Buffer,
}

impl Convolution {
    /// Of filters (Co,Ci,K,K).
    pub(crate) fn new(gpu: &Gpu, size: ConvSize, precision: Precision, filters: Floats<'_>) -> Result<Self> {
        let padded = match precision {
            Precision::Bf16 => ConvSize {
                ci: size.ci.next_multiple_of(CHANNELS),
                co: size.co.next_multiple_of(CHANNELS),
                ..size
            },
            Precision::F32 | Precision::Tf32 => size,
        };
        count(padded.inputs())?;
        count(padded.pixels() * padded.co)?;
        Ok(Self {
            size,
            padded,
            precision,
            filters: to_channels_last(gpu, size, padded, number(precision), filters)?,
        })
    }

    /// The type of the result.
    pub(crate) fn output(&self) -> Number {
        self.natural(self.size.co)
    }

    /// The type of the result of a transposed convolution, which is what [`backward_input`](Self::backward_input) gives.
    pub(crate) fn input(&self) -> Number {
        self.natural(self.size.ci)
    }

    fn natural(&self, channels: usize) -> Number {
        if channels.is_multiple_of(CHANNELS) {
            number(self.precision)
        } else {
            Number::F32
        }
    }

    /// (N,H,W,Ci) to (N,H',W',Co), as numbers of a type.
    pub(crate) fn forward(
        &self,
        gpu: &Gpu,
        x: Numbers<'_>,
        bias: Option<Floats<'_>>,
        of: Number,
    ) -> Result<Buffer> {
        let copy = fitting(gpu, self.precision, x, self.size.ci, self.padded.ci)?;
        let y = Buffer::alloc(gpu, number(self.precision), self.padded.pixels() * self.padded.co)?;
        let pass = Pass::Forward {
            x: copy.as_ref().map_or(x.pointer, |copy| copy.address(gpu)),
            filters: self.filters.address(gpu),
            y: y.address(gpu),
        };
        convolve(gpu, self.padded, self.precision, pass)?;
        if self.padded.co != self.size.co || of != number(self.precision) {
            return narrow(gpu, &y, bias, (self.size.co, self.padded.co), of);
        }
        if let Some(bias) = bias {
            add_bias(gpu, &y, bias, false)?;
        }
        Ok(y)
    }

    /// Gradient of the input, as numbers of a type: the input's.
    pub(crate) fn backward_input(&self, gpu: &Gpu, dy: Numbers<'_>, of: Number) -> Result<Buffer> {
        let copy = fitting(gpu, self.precision, dy, self.size.co, self.padded.co)?;
        let dx = Buffer::alloc(gpu, number(self.precision), self.padded.inputs())?;
        let pass = Pass::Input {
            dy: copy.as_ref().map_or(dy.pointer, |copy| copy.address(gpu)),
            filters: self.filters.address(gpu),
            dx: dx.address(gpu),
        };
        convolve(gpu, self.padded, self.precision, pass)?;
        if self.padded.ci != self.size.ci || of != number(self.precision) {
            return narrow(gpu, &dx, None, (self.size.ci, self.padded.ci), of);
        }
        Ok(dx)
    }

    /// Gradient of the filters, (Co,Ci,K,K).
    pub(crate) fn backward_weight(
        &self,
        gpu: &Gpu,
        x: Numbers<'_>,
        dy: Numbers<'_>,
    ) -> Result<CudaSlice<f32>> {
        let of_x = fitting(gpu, self.precision, x, self.size.ci, self.padded.ci)?;
        let of_dy = fitting(gpu, self.precision, dy, self.size.co, self.padded.co)?;
        let d_filters = Buffer::alloc(gpu, number(self.precision), self.padded.filters())?;
        let pass = Pass::Filters {
            x: of_x.as_ref().map_or(x.pointer, |copy| copy.address(gpu)),
            dy: of_dy.as_ref().map_or(dy.pointer, |copy| copy.address(gpu)),
            d_filters: d_filters.address(gpu),
        };
        convolve(gpu, self.padded, self.precision, pass)?;
        from_channels_last(gpu, self.size, self.padded, &d_filters)
    }
}

/// A copy of `x` in the type of activations and with the channels that cuDNN is given, where those differ.
fn fitting(
    gpu: &Gpu,
    precision: Precision,
    x: Numbers<'_>,
    channels: usize,
    padded: usize,
) -> Result<Option<Buffer>> {
    let wanted = number(precision);
    if x.number == wanted && channels == padded {
        return Ok(None);
    }
    if wanted == Number::F32 {
        bail!("conv3x3: bfloat16 numbers in a convolution of precision {precision}");
    }
    widen(gpu, x, channels, padded).map(Some)
}

/// A convolution of stride 1 that keeps the size of images, with its bias, for inference: no graph, images of any size and
/// number.
pub(crate) struct PreparedConvolution {
    ci: usize,
    co: usize,
    kernel: usize,
    padded: (usize, usize),
    precision: Precision,
    filters: Buffer,
    bias: CudaSlice<f32>,
}

impl PreparedConvolution {
    /// Of filters (Co,Ci,K,K), K odd, and a bias (Co).
    pub(crate) fn new(
        gpu: &Gpu,
        (ci, co): (usize, usize),
        kernel: usize,
        precision: Precision,
        filters: Floats<'_>,
        bias: Floats<'_>,
    ) -> Result<Self> {
        let convolution = Convolution::new(gpu, keeping((1, 1, 1), (ci, co), kernel), precision, filters)?;
        let padded = (convolution.padded.ci, convolution.padded.co);
        Ok(Self {
            ci,
            co,
            kernel,
            padded,
            precision,
            filters: convolution.filters,
            bias: with_zeros(gpu, bias, padded.1)?,
        })
    }

    /// Channels of the input and of the result.
    pub(crate) fn channels(&self) -> (usize, usize) {
        (self.ci, self.co)
    }

    /// (N,H,W,Ci) to (N,H,W,Co), with a ReLU when `relu`.
    pub(crate) fn forward(
        &self,
        gpu: &Gpu,
        size: (usize, usize, usize),
        x: Numbers<'_>,
        relu: bool,
    ) -> Result<Buffer> {
        let padded = keeping(size, self.padded, self.kernel);
        let copy = fitting(gpu, self.precision, x, self.ci, self.padded.0)?;
        let y = Buffer::alloc(gpu, number(self.precision), padded.pixels() * padded.co)?;
        let x = copy.as_ref().map_or(x.pointer, |copy| copy.address(gpu));
        let (filters, bias, to) = (self.filters.address(gpu), gpu.address(&self.bias), y.address(gpu));
        let fused = Pass::Fused {
            x,
            filters,
            bias,
            y: to,
            relu,
        };
        if !convolve(gpu, padded, self.precision, fused)? {
            let pass = Pass::Inference { x, filters, y: to };
            convolve(gpu, padded, self.precision, pass)?;
            add_bias(gpu, &y, gpu.view(&self.bias), relu)?;
        }
        if self.padded.1 != self.co {
            return narrow(gpu, &y, None, (self.co, self.padded.1), Number::F32);
        }
        Ok(y)
    }
}

/// A convolution of stride 1 that keeps the size of images, with a kernel of this side, which is odd.
fn keeping((n, h, w): (usize, usize, usize), (ci, co): (usize, usize), kernel: usize) -> ConvSize {
    ConvSize {
        n,
        h,
        w,
        ci,
        co,
        kernel,
        stride: 1,
        padding: kernel / 2,
    }
}

/// A copy of a vector with zeros up to `len`.
fn with_zeros(gpu: &Gpu, vector: Floats<'_>, len: usize) -> Result<CudaSlice<f32>> {
    let result = gpu.alloc::<f32>(len)?;
    let given = arguments![vector, gpu.view(&result), count(vector.len)?, count(len)?];
    gpu.launch(Module::Filters, "with_zeros", over_elements(len), given)?;
    Ok(result)
}

/// The engines of cuDNN for a 3×3 convolution of (n, h, w, in, out), measured: of the forward pass, of the gradient of the
/// input, of that of the filters. Channels are multiples of eight. `compiled` includes engines that cuDNN compiles first.
///
/// # Errors
/// A device that is no CUDA device, or too little memory.
pub fn engines(
    device: &Device,
    (n, h, w, ci, co): (usize, usize, usize, usize, usize),
    precision: Precision,
    compiled: bool,
) -> Result<[Vec<Engine>; 3]> {
    let gpu = Gpu::new(device.as_cuda_device()?);
    let size = keeping((n, h, w), (ci, co), 3);
    let tensor = |len| Buffer::alloc(&gpu, number(precision), len);
    let (x, y) = (tensor(size.inputs())?, tensor(size.pixels() * co)?);
    let filters = tensor(size.filters())?;
    let (x, y, filters) = (x.address(&gpu), y.address(&gpu), filters.address(&gpu));
    let survey = |pass| survey(&gpu, size, precision, pass, compiled);
    Ok([
        survey(Pass::Forward { x, filters, y })?,
        survey(Pass::Input {
            dy: y,
            filters,
            dx: x,
        })?,
        survey(Pass::Filters {
            x,
            dy: y,
            d_filters: filters,
        })?,
    ])
}

/// The type of activations.
fn number(precision: Precision) -> Number {
    match precision {
        Precision::F32 | Precision::Tf32 => Number::F32,
        Precision::Bf16 => Number::Bf16,
    }
}
