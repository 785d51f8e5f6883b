//! ReLU and softmax from candle primitives.

use candle_core::{D, Result, Tensor};

/// `max(x, 0)` with gradient 0 at 0, as PyTorch (candle's own `relu` has gradient 1 there).
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let positive = x.detach().gt(0.0)?.to_dtype(x.dtype())?;
    x * positive
}

/// Softmax over the last dimension, shifted by the (detached) maximum so that it cannot overflow.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let shifted = x.broadcast_sub(&x.detach().max_keepdim(D::Minus1)?)?;
    let exponentials = shifted.exp()?;
    let total = exponentials.sum_keepdim(D::Minus1)?;
    exponentials.broadcast_div(&total)
}
