//! A batch norm as part of the convolution before it.

use candle_core::{Device, Result, Tensor, bail};

use crate::definitions::batch_norm::BatchNorm;
use crate::definitions::inverted_residual::SameConv;

impl BatchNorm {
    /// Weight `[co, ci, 3, 3]` and bias `[co]` of the convolution that does what a convolution of `weight` and `bias` and
    /// then this normalisation by its running statistics do.
    ///
    /// # Errors
    /// When the numbers of channels differ, or a tensor is not f32.
    pub(crate) fn fold(&self, weight: &[f32], bias: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let read = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>();
        let (scale, shift) = (read(&self.weight)?, read(&self.bias)?);
        let (mean, variance) = (
            read(&self.running_mean.as_detached_tensor())?,
            read(&self.running_var.as_detached_tensor())?,
        );
        let channels = bias.len();
        if channels == 0 || scale.len() != channels || !weight.len().is_multiple_of(channels) {
            bail!(
                "fold: a convolution to {channels} channels, a batch norm of {}",
                scale.len()
            );
        }
        // In double precision, so that each number is rounded once.
        let factors: Vec<f64> = (scale.iter().zip(&variance))
            .map(|(&scale, &variance)| f64::from(scale) / (f64::from(variance) + self.eps).sqrt())
            .collect();
        let filters = weight.chunks_exact(weight.len() / channels);
        let folded_weight = filters
            .zip(&factors)
            .flat_map(|(filter, &factor)| filter.iter().map(move |&tap| (f64::from(tap) * factor) as f32))
            .collect();
        let folded_bias = (0..channels)
            .map(|c| ((f64::from(bias[c]) - f64::from(mean[c])) * factors[c] + f64::from(shift[c])) as f32)
            .collect();
        Ok((folded_weight, folded_bias))
    }
}

impl SameConv {
    /// The convolution of `weight` and, behind it, a batch norm with its running statistics.
    ///
    /// # Errors
    /// When the numbers of channels differ, or a tensor is not f32.
    pub fn folded(weight: &Tensor, norm: &BatchNorm, stride: usize) -> Result<Self> {
        let channels = weight.dim(0)?;
        let values = weight.flatten_all()?.to_vec1::<f32>()?;
        let (folded, bias) = norm.fold(&values, &vec![0.0; channels])?;
        Ok(Self {
            weight: Tensor::from_vec(folded, weight.dims(), weight.device())?,
            bias: Tensor::from_vec(bias, channels, weight.device())?,
            stride,
        })
    }
}
