//! The mean squared error from candle primitives.

use candle_core::{Result, Tensor};

use crate::definitions::loss::check_same_shape;

/// Mean of the squared difference over all elements; a scalar.
pub fn mse_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("mse_loss", prediction, target)?;
    (prediction - target)?.sqr()?.mean_all()
}
