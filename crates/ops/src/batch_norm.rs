//! Batch norm, also fused with ReLU.

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, Var, bail};

use crate::cpu::Isa;
use crate::cpu::batch_norm::{Normalisation, backward_input, forward, gradient_sums, moments};
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements, with_elements2};
use crate::reference;
use crate::tape::apply3;

/// Where the statistics of a normalisation come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// From the batch; the running statistics are updated.
    Train,
    /// From the running statistics, which stay as they are.
    Eval,
}

/// Parameters and running statistics of a batch normalisation over C channels; every tensor has shape (C).
///
/// `weight` and `bias` take part in the graph when they are variables' tensors; hand in detached ones and no
/// gradient is computed for them. The running statistics never do.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Scale γ.
    pub weight: Tensor,
    /// Shift β.
    pub bias: Tensor,
    /// Running mean of the inputs.
    pub running_mean: Var,
    /// Running *unbiased* variance of the inputs.
    pub running_var: Var,
    /// Added to the variance; PyTorch's default is 1e-5.
    pub eps: f64,
    /// Weight of the new batch in the running statistics; PyTorch's default is 0.1.
    pub momentum: f64,
}

impl BatchNorm {
    /// PyTorch's initial state (scale 1, shift 0, mean 0, variance 1) around the given scale and shift, with its
    /// eps 1e-5 and momentum 0.1.
    ///
    /// # Errors
    /// `weight` and `bias` are not vectors of the same length.
    pub fn new(weight: Tensor, bias: Tensor) -> Result<Self> {
        let channels = weight.dims1()?;
        if bias.dims() != [channels] {
            bail!(
                "batch norm: weight has {channels} channels, bias {:?}",
                bias.dims()
            );
        }
        let (dtype, device): (DType, &Device) = (weight.dtype(), weight.device());
        Ok(Self {
            running_mean: Var::zeros(channels, dtype, device)?,
            running_var: Var::ones(channels, dtype, device)?,
            weight,
            bias,
            eps: 1e-5,
            momentum: 0.1,
        })
    }

    /// (rows, channels) of an input that fits.
    pub(crate) fn check(&self, x: &Tensor, mode: Mode) -> Result<(usize, usize)> {
        let channels = x.dims().last().copied().unwrap_or(0);
        for (name, dims) in [
            ("weight", self.weight.dims()),
            ("bias", self.bias.dims()),
            ("running mean", self.running_mean.dims()),
            ("running variance", self.running_var.dims()),
        ] {
            if dims != [channels] {
                bail!("batch norm: input {:?} but {name} {dims:?}", x.dims());
            }
        }
        let rows = x.elem_count().checked_div(channels).unwrap_or(0);
        if rows == 0 {
            bail!("batch norm: empty input {:?}", x.dims());
        }
        if mode == Mode::Train && rows < 2 {
            bail!(
                "batch norm: training needs more than one value per channel, input is {:?}",
                x.dims()
            );
        }
        Ok((rows, channels))
    }

    fn served_by(&self, x: &Tensor, kernels: fn(&[&Tensor]) -> bool) -> bool {
        // The running statistics are variables, but take no part in the graph.
        let (mean, variance) = (&self.running_mean, &self.running_var);
        let statistics = [mean.as_detached_tensor(), variance.as_detached_tensor()];
        let [mean, variance] = &statistics;
        kernels(&[x, &self.weight, &self.bias, mean, variance])
    }

    /// Moves the running statistics towards a batch's mean and *biased* variance, taken over `rows` values.
    pub(crate) fn update_running(&self, mean: &Tensor, variance: &Tensor, rows: usize) -> Result<()> {
        let unbiased = (variance * (rows as f64 / (rows - 1) as f64))?;
        for (running, new) in [(&self.running_mean, mean), (&self.running_var, &unbiased)] {
            let kept = (running.as_detached_tensor() * (1.0 - self.momentum))?;
            running.set(&(kept + (new * self.momentum)?)?)?;
        }
        Ok(())
    }
}

/// Batch normalisation over all but the last dimension of `x` (…,C).
///
/// In [`Mode::Train`] the running statistics are updated as PyTorch does it: `(1-m)·old + m·new`, the new variance
/// unbiased, while the normalisation itself uses the biased one.
///
/// # Errors
/// Shapes that do not fit; training with a single value per channel.
pub fn batch_norm(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    norm.check(x, mode)?;
    if norm.served_by(x, on_gpu) || norm.served_by(x, kernels_serve) {
        fused(x, norm, mode, false)
    } else {
        reference::batch_norm(x, norm, mode)
    }
}

/// [`batch_norm`] and [`relu`](crate::relu) in one pass over memory.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_relu(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    norm.check(x, mode)?;
    if norm.served_by(x, on_gpu) || norm.served_by(x, kernels_serve) {
        fused(x, norm, mode, true)
    } else {
        reference::batch_norm_relu(x, norm, mode)
    }
}

fn fused(x: &Tensor, norm: &BatchNorm, mode: Mode, relu: bool) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if on_gpu(&[x]) {
        return crate::cuda::batch_norm(x, norm, mode, relu);
    }
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
    fn map(&self, weight: &[f32], bias: &[f32]) -> Normalisation {
        let scale = weight.iter().zip(&self.inverse);
        Normalisation {
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
            let dx = if x.track_op() {
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
                let dx = backward_input(values, dy, &map, &slope, &offset, isa);
                Some(Tensor::from_vec(dx, x.shape(), x.device())?)
            } else {
                None
            };
            let vector = |wanted: &Tensor, values: Vec<f32>| {
                wanted
                    .track_op()
                    .then(|| Tensor::from_vec(values, channels, x.device()))
                    .transpose()
            };
            let products = products.iter().zip(&self.inverse);
            let d_weight = products.map(|(sum, inverse)| (sum * inverse) as f32);
            let d_bias = sums.iter().map(|&sum| sum as f32);
            Ok((
                dx,
                vector(weight, d_weight.collect())?,
                vector(bias, d_bias.collect())?,
            ))
        })
    }
}
