//! Max pooling from candle primitives.

use candle_core::{Result, Tensor};

use crate::definitions::max_pool::{check_any, check_even};

/// 2×2 maximum, stride 2. Among equal maxima the first in row-major order gets the whole gradient, as in PyTorch
/// (candle's `max_pool2d` spreads and scales it).
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    let (n, h, w, c) = check_even(x)?;
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

/// See [`crate::max_pool3`]. Beyond the border the window meets its own outermost pixels again, which changes no maximum.
pub fn max_pool3(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = check_any(x)?;
    let picked = |length: usize, tap: usize| -> Result<Tensor> {
        let positions: Vec<u32> = (0..length.div_ceil(2))
            .map(|output| (2 * output + tap).saturating_sub(1).min(length - 1) as u32)
            .collect();
        Tensor::new(positions, x.device())
    };
    let mut windows = Vec::with_capacity(9);
    for row in 0..3 {
        let rows = x.index_select(&picked(h, row)?, 1)?;
        for column in 0..3 {
            windows.push(rows.index_select(&picked(w, column)?, 2)?);
        }
    }
    let values: Vec<Tensor> = windows.iter().map(Tensor::detach).collect();
    let maximum = Tensor::stack(&values, 0)?.max(0)?;
    let mut taken = maximum.zeros_like()?;
    let mut selected = maximum.zeros_like()?;
    for (window, value) in windows.iter().zip(&values) {
        let equal = value.eq(&maximum)?.to_dtype(x.dtype())?;
        let first = (equal * (1.0 - &taken)?)?;
        taken = (taken + &first)?;
        selected = (selected + (window * first)?)?;
    }
    Ok(selected)
}
