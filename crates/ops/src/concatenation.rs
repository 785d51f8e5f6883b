use candle_core::{Result, Tensor, bail};

use crate::reference;

/// `a` (N,H,W,Ca) and `b` (N,H,W,Cb) side by side, `a` first: (N,H,W,Ca+Cb).
///
/// # Errors
/// Batches or images of different size.
pub fn concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_shapes(a, b)?;
    reference::concat(a, b)
}

pub(crate) fn check_shapes(a: &Tensor, b: &Tensor) -> Result<(usize, usize, usize)> {
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
