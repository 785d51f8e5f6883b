//! ReLU and softmax from candle primitives.

use candle_core::{D, Result, Tensor};

/// `max(x, 0)` with gradient 0 at 0, as PyTorch (candle's own `relu` has gradient 1 there).
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let positive = x.detach().gt(0.0)?.to_dtype(x.dtype())?;
    x * positive
}

/// Softmax over the last dimension, as candle-nn composes it.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, D::Minus1)
}
