//! Concatenation of channels from candle primitives.

use candle_core::{Result, Tensor};

/// `a` and `b` side by side in the channel dimension, `a` first.
pub fn concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    crate::definitions::concat::check(a, b)?;
    Tensor::cat(&[a, b], 3)
}
