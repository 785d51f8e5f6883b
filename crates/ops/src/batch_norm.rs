//! Batch norm, also fused with ReLU.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::conv3x3::conv3x3;
#[cfg(feature = "cuda")]
use crate::conv3x3::conv3x3_without_bias;
use crate::cpu::Isa;
use crate::cpu::batch_norm::{Normalization, backward_input, forward, gradient_sums, moments};
#[cfg(feature = "cuda")]
use crate::cuda;
pub use crate::definitions::batch_norm::{BatchNorm, Mode};
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply3;

/// Batch normalisation over all but the last dimension of `x` (…,C).
///
/// In [`Mode::Train`] the running statistics are updated as PyTorch does it: `(1-m)·old + m·new`, the new variance
/// unbiased, while the normalisation itself uses the biased one.
///
/// # Errors
/// Shapes that do not fit; training with a single value per channel.
pub fn batch_norm(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    norm.check(x, mode)?;
    match backend(x, norm) {
        #[cfg(feature = "cuda")]
        Backend::Gpu => cuda::batch_norm(x, norm, mode, false, None),
        Backend::Cpu => fused(x, norm, mode, false),
        Backend::Reference => reference::batch_norm(x, norm, mode),
    }
}

/// [`batch_norm`] and [`relu`](crate::relu) in one pass over memory.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_relu(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    norm.check(x, mode)?;
    match backend(x, norm) {
        #[cfg(feature = "cuda")]
        Backend::Gpu => cuda::batch_norm(x, norm, mode, true, None),
        Backend::Cpu => fused(x, norm, mode, true),
        Backend::Reference => reference::batch_norm_relu(x, norm, mode),
    }
}

/// A convolution ([`conv3x3`]), and [`batch_norm_relu`] behind it.
///
/// On a GPU, in training, the bias of the convolution is not added: the mean of the batch takes it away again. It moves the
/// running mean, as it would, and its gradient, which is zero but for rounding, is absent.
///
/// # Errors
/// As those two.
pub fn conv3x3_norm_relu(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    norm: &BatchNorm,
    mode: Mode,
) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if mode == Mode::Train
        && let Some(y) = conv3x3_without_bias(x, weight, bias)?
    {
        norm.check(&y, mode)?;
        if backend(&y, norm) == Backend::Gpu {
            return cuda::batch_norm(&y, norm, mode, true, Some(&bias.detach()));
        }
    }
    batch_norm_relu(&conv3x3(x, weight, bias)?, norm, mode)
}

fn backend(x: &Tensor, norm: &BatchNorm) -> Backend {
    // The running statistics are variables, but take no part in the graph.
    let mean = norm.running_mean.as_detached_tensor();
    let variance = norm.running_var.as_detached_tensor();
    let tensors = [x, &norm.weight, &norm.bias, &mean, &variance];
    dispatch(&tensors, Kernels::CpuAndGpuHalf)
}

fn fused(x: &Tensor, norm: &BatchNorm, mode: Mode, relu: bool) -> Result<Tensor> {
    let (rows, channels) = norm.check(x, mode)?;
    let x = x.contiguous()?;
    let (mean, variance) = match mode {
        Mode::Train => {
            let (mean, variance) =
                with_elements("batch_norm", &x, |x| Ok(moments(x, channels, Isa::detect())))?;
            let vector = |values: &[f64]| -> Result<Tensor> {
                let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
                Tensor::from_vec(values, channels, x.device())
            };
            norm.update_running(&vector(&mean)?, &vector(&variance)?, rows)?;
            (mean, variance)
        }
        Mode::Eval => (doubles(&norm.running_mean)?, doubles(&norm.running_var)?),
    };
    let operation = FusedBatchNorm {
        mean: mean.iter().map(|&mean| mean as f32).collect(),
        inverse: variance
            .iter()
            .map(|&variance| 1.0 / (variance + norm.eps).sqrt())
            .collect(),
        mode,
        relu,
    };
    let (weight, bias) = (norm.weight.contiguous()?, norm.bias.contiguous()?);
    apply3(&x, &weight, &bias, operation)
}

/// The elements of a small f32 tensor.
fn doubles(tensor: &Tensor) -> Result<Vec<f64>> {
    with_elements("batch_norm", tensor, |values| {
        Ok(values.iter().map(|&value| f64::from(value)).collect())
    })
}

/// The operation with the statistics that it normalises by.
struct FusedBatchNorm {
    mean: Vec<f32>,
    /// 1/√(variance + eps).
    inverse: Vec<f64>,
    mode: Mode,
    relu: bool,
}

impl FusedBatchNorm {
    fn map(&self, weight: &[f32], bias: &[f32]) -> Normalization {
        let scale = weight.iter().zip(&self.inverse);
        Normalization {
            mean: self.mean.clone(),
            scale: scale
                .map(|(&weight, inverse)| (f64::from(weight) * inverse) as f32)
                .collect(),
            shift: bias.to_vec(),
            relu: self.relu,
        }
    }
}

impl CustomOp3 for FusedBatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let map = self.map(
            elements(self.name(), weight, weight_layout)?,
            elements(self.name(), bias, bias_layout)?,
        );
        let y = forward(elements(self.name(), x, x_layout)?, &map, Isa::detect());
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let isa = Isa::detect();
        let map = with_elements2(self.name(), weight, bias, |weight, bias| {
            Ok(self.map(weight, bias))
        })?;
        let channels = self.mean.len();
        with_elements2(self.name(), x, dy, |values, dy| {
            let (sums, products) = gradient_sums(values, dy, &map, isa);
            let dx = gradient_of(x, || {
                let rows = (values.len() / channels) as f64;
                let (slope, offset): (Vec<f32>, Vec<f32>) = (0..channels)
                    .map(|c| match self.mode {
                        Mode::Train => {
                            let scale = f64::from(map.scale[c]) / rows;
                            let slope = -scale * self.inverse[c].powi(2) * products[c];
                            (slope as f32, (-scale * sums[c]) as f32)
                        }
                        Mode::Eval => (0.0, 0.0),
                    })
                    .unzip();
                Ok(backward_input(values, dy, &map, &slope, &offset, isa))
            })?;
            let scaled = products.iter().zip(&self.inverse);
            Ok((
                dx,
                gradient_of(weight, || {
                    Ok(scaled.map(|(sum, inverse)| (sum * inverse) as f32).collect())
                })?,
                gradient_of(bias, || Ok(sums.iter().map(|&sum| sum as f32).collect()))?,
            ))
        })
    }
}
