use candle_core::{Result, Tensor, bail};

use crate::reference;

/// Mean of the squared difference over all elements; a scalar.
///
/// # Errors
/// Arguments of different shape.
pub fn mse_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("mse_loss", prediction, target)?;
    reference::mse_loss(prediction, target)
}

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
