use candle_core::{Result, Tensor, bail};

use crate::reference;

/// Constants of the focal loss; the default is DRAEM's code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FocalSettings {
    /// Exponent γ of (1 − pt); 2.
    pub gamma: f64,
    /// Smoothing s: the one-hot target is clamped to [s, 1−s] and s is added to pt; 1e-5.
    pub smooth: f64,
}

impl Default for FocalSettings {
    fn default() -> Self {
        Self {
            gamma: 2.0,
            smooth: 1e-5,
        }
    }
}

/// Focal loss of two-class *probabilities* (N,H,W,2), channel 1 = anomalous, against a mask (N,H,W) of 0 and 1;
/// mean over all pixels, a scalar.
///
/// pt = Σ_c onehot_c·p_c + s, loss = −(1−pt)^γ·ln pt, both classes weighted 1. The mask gets no gradient.
///
/// # Errors
/// Shapes that do not fit together.
pub fn focal_loss(probabilities: &Tensor, mask: &Tensor, settings: FocalSettings) -> Result<Tensor> {
    check_shapes(probabilities, mask)?;
    reference::focal_loss(probabilities, mask, settings)
}

pub(crate) fn check_shapes(probabilities: &Tensor, mask: &Tensor) -> Result<()> {
    let (n, h, w, classes) = probabilities.dims4()?;
    if classes != 2 || mask.dims() != [n, h, w] || n * h * w == 0 {
        bail!(
            "focal_loss: probabilities {:?} must be (N,H,W,2), mask {:?} (N,H,W), not empty",
            probabilities.dims(),
            mask.dims()
        );
    }
    Ok(())
}
