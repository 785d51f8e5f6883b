//! Pooling and upsampling from candle primitives.

use candle_core::{Result, Tensor};

use super::separable::separable;
use crate::upsampling::interpolation_matrix;

/// 2×2 maximum, stride 2. Among equal maxima the first in row-major order gets the whole gradient, as in PyTorch
/// (candle's `max_pool2d` spreads and scales it).
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = crate::pooling::check_shape(x)?;
    let windows = x
        .contiguous()?
        .reshape(&[n, h / 2, 2, w / 2, 2, c])?
        .permute(vec![2, 4, 0, 1, 3, 5])?
        .contiguous()?
        .reshape((4, n * (h / 2) * (w / 2) * c))?;
    let maximum = windows.detach().max(0)?;
    let mut taken = maximum.zeros_like()?;
    let mut selected: Option<Tensor> = None;
    for position in 0..4 {
        let value = windows.narrow(0, position, 1)?.squeeze(0)?;
        let equal = value.detach().eq(&maximum)?.to_dtype(x.dtype())?;
        let first = (equal * (1.0 - &taken)?)?;
        taken = (taken + &first)?;
        let part = (value * first)?;
        selected = Some(match selected {
            Some(selected) => (selected + part)?,
            None => part,
        });
    }
    let selected = selected.ok_or_else(|| candle_core::Error::msg("max_pool2: no window"))?;
    selected.reshape((n, h / 2, w / 2, c))
}

/// ×2 bilinear interpolation with aligned corners: `A_h · X · A_wᵀ` with two constant matrices.
pub fn upsample2(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = crate::upsampling::check_shape(x)?;
    let rows = interpolation_matrix(h, x.dtype(), x.device())?;
    let columns = interpolation_matrix(w, x.dtype(), x.device())?;
    separable(x, &rows, &columns)
}

/// `a` and `b` side by side in the channel dimension, `a` first.
pub fn concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    crate::concatenation::check_shapes(a, b)?;
    Tensor::cat(&[a, b], 3)
}
