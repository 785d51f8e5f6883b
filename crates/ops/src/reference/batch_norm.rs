//! Batch norm from candle primitives.

use candle_core::{Result, Tensor};

use super::relu;
use crate::definitions::batch_norm::{BatchNorm, Mode};

/// Batch normalisation over all but the last dimension.
pub fn batch_norm(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    let (count, channels) = norm.check(x, mode)?;
    let rows = x.contiguous()?.reshape((count, channels))?;
    let normalized = match mode {
        Mode::Train => {
            let mean = rows.mean_keepdim(0)?;
            let centered = rows.broadcast_sub(&mean)?;
            let variance = centered.sqr()?.mean_keepdim(0)?;
            norm.update_running(
                &mean.detach().flatten_all()?,
                &variance.detach().flatten_all()?,
                count,
            )?;
            centered.broadcast_div(&(variance + norm.eps)?.sqrt()?)?
        }
        Mode::Eval => {
            let deviation = (norm.running_var.as_detached_tensor() + norm.eps)?.sqrt()?;
            rows.broadcast_sub(&norm.running_mean.as_detached_tensor())?
                .broadcast_div(&deviation)?
        }
    };
    normalized
        .broadcast_mul(&norm.weight)?
        .broadcast_add(&norm.bias)?
        .reshape(x.shape())
}

/// [`batch_norm`] followed by [`relu`].
pub fn batch_norm_relu(x: &Tensor, norm: &BatchNorm, mode: Mode) -> Result<Tensor> {
    relu(&batch_norm(x, norm, mode)?)
}
