//! The binary cross-entropy from candle primitives.

use candle_core::{Result, Tensor};

use crate::definitions::loss::check_same_shape;

/// See [`crate::bce_loss`].
pub fn bce_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("bce_loss", prediction, target)?;
    // ln of this is -100, as near to it as f32 comes.
    let log = |p: &Tensor| p.maximum((-100f64).exp())?.log();
    let yes = (target * log(prediction)?)?;
    let no = ((1.0 - target)? * log(&(1.0 - prediction)?)?)?;
    (yes + no)?.neg()?.mean_all()
}
