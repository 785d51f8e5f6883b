//! Convolutions: filters brought into cuDNN's order, activations in the type and with the channels that its kernels want.

use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{Result, bail};

use super::channels::{add_bias, narrow, widen};
use super::cudnn::{Pass, convolve};
use super::filters::{from_channels_last, to_channels_last};
use super::gpu::{Floats, Gpu, count};
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
        let copy = self.fitting(gpu, x, self.size.ci, self.padded.ci)?;
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
            add_bias(gpu, &y, bias)?;
        }
        Ok(y)
    }

    /// Gradient of the input, as numbers of a type: the input's.
    pub(crate) fn backward_input(&self, gpu: &Gpu, dy: Numbers<'_>, of: Number) -> Result<Buffer> {
        let copy = self.fitting(gpu, dy, self.size.co, self.padded.co)?;
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
        let of_x = self.fitting(gpu, x, self.size.ci, self.padded.ci)?;
        let of_dy = self.fitting(gpu, dy, self.size.co, self.padded.co)?;
        let d_filters = Buffer::alloc(gpu, number(self.precision), self.padded.filters())?;
        let pass = Pass::Filters {
            x: of_x.as_ref().map_or(x.pointer, |copy| copy.address(gpu)),
            dy: of_dy.as_ref().map_or(dy.pointer, |copy| copy.address(gpu)),
            d_filters: d_filters.address(gpu),
        };
        convolve(gpu, self.padded, self.precision, pass)?;
        from_channels_last(gpu, self.size, self.padded, &d_filters)
    }

    /// A copy of `x` in the type and with the channels that cuDNN is given, where those differ.
    fn fitting(&self, gpu: &Gpu, x: Numbers<'_>, channels: usize, padded: usize) -> Result<Option<Buffer>> {
        let wanted = number(self.precision);
        if x.number == wanted && channels == padded {
            return Ok(None);
        }
        if wanted == Number::F32 {
            bail!(
                "conv3x3: bfloat16 numbers in a convolution of precision {}",
                self.precision
            );
        }
        widen(gpu, x, channels, padded).map(Some)
    }
}

/// The type of activations.
fn number(precision: Precision) -> Number {
    match precision {
        Precision::F32 | Precision::Tf32 => Number::F32,
        Precision::Bf16 => Number::Bf16,
    }
}
