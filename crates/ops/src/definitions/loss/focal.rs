//! The focal loss: its constants, and the tensors that fit together.

use candle_core::{Result, Tensor, bail};

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

/// Fails unless there are two classes of probabilities for every pixel of the mask.
pub(crate) fn check(probabilities: &Tensor, mask: &Tensor) -> Result<()> {
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
