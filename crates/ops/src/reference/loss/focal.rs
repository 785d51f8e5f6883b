//! The focal loss from candle primitives.

use candle_core::{Result, Tensor};

use crate::definitions::loss::focal::{FocalSettings, check};

/// Focal loss of two-class probabilities, mean over pixels; a scalar.
pub fn focal_loss(probabilities: &Tensor, mask: &Tensor, settings: FocalSettings) -> Result<Tensor> {
    check(probabilities, mask)?;
    let anomalous = mask.detach().to_dtype(probabilities.dtype())?;
    let background = (1.0 - &anomalous)?;
    let one_hot =
        Tensor::stack(&[background, anomalous], 3)?.clamp(settings.smooth, 1.0 - settings.smooth)?;
    let pt = ((probabilities * one_hot)?.sum(3)? + settings.smooth)?;
    let factor = (1.0 - &pt)?;
    let factor = if settings.gamma == 2.0 {
        factor.sqr()?
    } else {
        factor.powf(settings.gamma)?
    };
    (factor * pt.log()?)?.mean_all()?.neg()
}
