//! On a GPU: activations are tensors that no graph knows, convolutions join with their bias and ReLU.

use candle_core::{Device, Result, Tensor, bail};

use crate::cpu::inverted_residual::Weights;
use crate::cuda;
use crate::definitions::inverted_residual::BlockShape;
use crate::precision::Precision;
use crate::upload;

/// Feature maps (N,H,W,C).
pub(super) type Maps = Tensor;

/// Filters in cuDNN's order, and the bias.
pub(super) struct Conv(cuda::PreparedConvolution);

impl std::fmt::Debug for Conv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Conv").field(&self.0.channels()).finish()
    }
}

impl Conv {
    pub(super) fn channels(&self) -> (usize, usize) {
        self.0.channels()
    }
}

/// A copy of n·h·w·c values on the device.
pub(super) fn upload_maps(
    values: Vec<f32>,
    dims: (usize, usize, usize, usize),
    device: &Device,
) -> Result<Maps> {
    upload(values, dims, device)
}

/// A convolution on `device` of weight (Co,Ci,3,3) and bias (Co), in this thread's precision.
pub(super) fn prepare(
    weight: Vec<f32>,
    bias: Vec<f32>,
    (co, ci): (usize, usize),
    device: &Device,
) -> Result<Conv> {
    let weight = Tensor::from_vec(weight, (co, ci, 3, 3), device)?;
    let bias = Tensor::from_vec(bias, co, device)?;
    let prepared = cuda::compute("prepare_conv3x3", [&weight, &bias], |gpu, [weight, bias]| {
        cuda::PreparedConvolution::new(gpu, (ci, co), 3, Precision::current(), weight, bias)
    })?;
    Ok(Conv(prepared))
}

pub(super) fn conv3x3(x: &Maps, conv: &Conv, relu: bool) -> Result<Maps> {
    let (n, h, w, channels) = x.dims4()?;
    let (inputs, outputs) = conv.channels();
    if channels != inputs {
        bail!("conv3x3: input has {channels} channels, the convolution reads {inputs}");
    }
    cuda::compute_numbers("conv3x3", [x], |gpu, [values]| {
        let y = conv.0.forward(gpu, (n, h, w), values, relu)?;
        Ok(y.tensor(gpu, (n, h, w, outputs)))
    })
}

/// One channel of the softmax of (N,H,W,C), which are f32.
pub(super) fn softmax_of(x: &Maps, channel: usize) -> Result<Tensor> {
    let (n, h, w, channels) = x.dims4()?;
    cuda::compute("softmax_of", [x], |gpu, [values]| {
        let y = cuda::softmax_of_class(gpu, values, channels, channel)?;
        Ok(gpu.tensor(y, (n, h, w)))
    })
}

/// An inverted residual block on a device.
pub(super) struct Block(cuda::PreparedBlock);

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Block").field(&self.shape()).finish()
    }
}

impl Block {
    /// Of weights that fit the shape, on a CUDA device.
    pub(super) fn new(weights: Weights<'_>, shape: BlockShape, device: &Device) -> Result<Self> {
        let gpu = cuda::Gpu::new(device.as_cuda_device()?);
        Ok(Self(cuda::PreparedBlock::new(&gpu, weights, shape)?))
    }

    pub(super) fn shape(&self) -> BlockShape {
        self.0.shape()
    }

    pub(super) fn forward(&self, x: &Maps) -> Result<Maps> {
        let (n, h, w, _) = x.dims4()?;
        let (ho, wo) = self.0.output((h, w));
        cuda::compute_numbers("inverted_residual", [x], |gpu, [values]| {
            let y = self.0.forward(gpu, values, (n, h, w))?;
            Ok(y.tensor(gpu, (n, ho, wo, self.shape().co)))
        })
    }
}
