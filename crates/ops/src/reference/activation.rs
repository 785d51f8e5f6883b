//! ReLU, sigmoid and softmax from candle primitives.

use candle_core::{D, Result, Tensor};

/// `max(x, 0)` with gradient 0 at 0, as PyTorch (candle's own `relu` has gradient 1 there).
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let positive = x.detach().gt(0.0)?.to_dtype(x.dtype())?;
    x * positive
}

/// `1 / (1 + exp(−x))`, by the hyperbolic tangent, which does not overflow.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? + 1.0)? * 0.5
}

/// Softmax over the last dimension. The maximum is taken off first, so that nothing overflows.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    let powers = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}
