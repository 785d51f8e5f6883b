//! Concatenation of channels: everything before them is equal.

use candle_core::{Result, Tensor, bail};

/// Pixels of the whole batch, channels of `a`, channels of `b`.
pub(crate) fn check(a: &Tensor, b: &Tensor) -> Result<(usize, usize, usize)> {
    let (n, h, w, ca) = a.dims4()?;
    let (bn, bh, bw, cb) = b.dims4()?;
    if (n, h, w) != (bn, bh, bw) {
        bail!(
            "concat: {:?} and {:?} differ before the last dimension",
            a.dims(),
            b.dims()
        );
    }
    Ok((n * h * w, ca, cb))
}
