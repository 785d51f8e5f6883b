use candle_core::{Result, Tensor, bail};

use crate::reference;

/// 2×2 maximum with stride 2: (N,H,W,C) to (N,H/2,W/2,C).
///
/// Among equal maxima the first in row-major order receives the whole gradient; NaN stays NaN. Both as in PyTorch.
///
/// # Errors
/// An odd or zero height or width.
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    check_shape(x)?;
    reference::max_pool2(x)
}

pub(crate) fn check_shape(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if h % 2 != 0 || w % 2 != 0 || n * h * w * c == 0 {
        bail!(
            "max_pool2: height and width must be even and nothing empty, input is {:?}",
            x.dims()
        );
    }
    Ok((n, h, w, c))
}
