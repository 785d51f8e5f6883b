//! Sums: of equal shapes only.

use candle_core::{Result, Tensor, bail};

/// Fails unless both have the same shape.
pub(crate) fn check(a: &Tensor, b: &Tensor) -> Result<()> {
    if a.dims() != b.dims() {
        bail!("add: {:?} and {:?} differ", a.dims(), b.dims());
    }
    Ok(())
}
