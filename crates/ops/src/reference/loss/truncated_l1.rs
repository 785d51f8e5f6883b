//! The truncated L1 loss from candle primitives.

use candle_core::{Result, Tensor};

use crate::definitions::loss::truncated_l1::check;
use crate::reference::relu;

/// See [`crate::truncated_l1_loss`].
pub fn truncated_l1_loss(logits: &Tensor, mask: &Tensor, margin: f64) -> Result<Tensor> {
    check(logits, mask)?;
    let score = (logits.narrow(3, 1, 1)? - logits.narrow(3, 0, 1)?)?.squeeze(3)?;
    let anomalous = mask.detach().gt(0f64)?.to_dtype(score.dtype())?;
    let normal = (1.0 - &anomalous)?;
    let mean = |of: Tensor, class: &Tensor| {
        let count = class.sum_all()?.maximum(1f64)?;
        (of * class)?.sum_all()? / count
    };
    mean(relu(&(&score + margin)?)?, &normal)? + mean(relu(&(score.neg()? + margin)?)?, &anomalous)?
}
