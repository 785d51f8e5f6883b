//! The truncated L1 loss: the tensors that fit together.

use candle_core::{Result, Tensor, bail};

/// Fails unless there are two classes of logits for every pixel of the mask.
pub(crate) fn check(logits: &Tensor, mask: &Tensor) -> Result<()> {
    let (n, h, w, classes) = logits.dims4()?;
    if classes != 2 || mask.dims() != [n, h, w] || n * h * w == 0 {
        bail!(
            "truncated_l1_loss: logits {:?} must be (N,H,W,2), mask {:?} (N,H,W), not empty",
            logits.dims(),
            mask.dims()
        );
    }
    Ok(())
}
