//! Sums from candle primitives.

use candle_core::{Result, Tensor};

use super::activation::relu;

/// `a + b`, equal shapes.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    crate::definitions::add::check(a, b)?;
    a + b
}

/// `max(a + b, 0)`, equal shapes.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    relu(&add(a, b)?)
}
