//! Losses: what they take, and their constants.

use candle_core::{Result, Tensor, bail};

pub(crate) mod focal;
pub(crate) mod ssim;
pub(crate) mod truncated_l1;

/// Fails unless both have the same shape, which is not empty.
pub(crate) fn check_same_shape(op: &str, prediction: &Tensor, target: &Tensor) -> Result<()> {
    if prediction.dims() != target.dims() || prediction.elem_count() == 0 {
        bail!(
            "{op}: prediction {:?} and target {:?} must have the same, non-empty shape",
            prediction.dims(),
            target.dims()
        );
    }
    Ok(())
}
