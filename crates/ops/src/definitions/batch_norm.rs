//! Batch norm: its parameters, its running statistics and its modes.

use candle_core::{DType, Device, Result, Tensor, Var, bail};

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
