//! Sums, the sigmoid, the binary cross-entropy and the overlapping pool from candle primitives.

use candle_core::{Result, Tensor};

use super::activation::relu;

/// `a + b`, equal shapes.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    crate::residual::check_shapes(a, b)?;
    a + b
}

/// `max(a + b, 0)`, equal shapes.
pub fn add_relu(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    relu(&add(a, b)?)
}

/// `1 / (1 + exp(−x))`, by the hyperbolic tangent, which does not overflow.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    ((x * 0.5)?.tanh()? + 1.0)? * 0.5
}

/// See [`crate::bce_loss`].
pub fn bce_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    crate::loss::check_same_shape("bce_loss", prediction, target)?;
    // ln of this is -100, as near to it as f32 comes.
    let log = |p: &Tensor| p.maximum((-100f64).exp())?.log();
    let yes = (target * log(prediction)?)?;
    let no = ((1.0 - target)? * log(&(1.0 - prediction)?)?)?;
    (yes + no)?.neg()?.mean_all()
}

/// See [`crate::max_pool3`]. Beyond the border the window meets its own outermost pixels again, which changes no maximum.
pub fn max_pool3(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = crate::overlapping_pooling::check_shape(x)?;
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
