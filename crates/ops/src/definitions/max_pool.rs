//! Maxima of windows: the images that they take.

use candle_core::{Result, Tensor, bail};

/// (N, H, W, C) of an image for 2×2 windows with stride 2: even sides.
pub(crate) fn check_even(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if h % 2 != 0 || w % 2 != 0 || n * h * w * c == 0 {
        bail!(
            "max_pool2: height and width must be even and nothing empty, input is {:?}",
            x.dims()
        );
    }
    Ok((n, h, w, c))
}

/// (N, H, W, C) of an image for 3×3 windows with stride 2 and padding 1: any sides.
pub(crate) fn check_any(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if n * h * w * c == 0 {
        bail!("max_pool3: the input {:?} is empty", x.dims());
    }
    Ok((n, h, w, c))
}
