//! Gradients of those tensors that want one: variables, and what is computed from them.

use candle_core::{Result, Tensor};

/// What `compute` finds if `tensor` wants a gradient; otherwise nothing is computed.
pub(crate) fn if_wanted(tensor: &Tensor, compute: impl FnOnce() -> Result<Tensor>) -> Result<Option<Tensor>> {
    tensor.track_op().then(compute).transpose()
}

/// As [`if_wanted`], for a gradient that is computed as numbers in main memory.
pub(crate) fn gradient_of(
    tensor: &Tensor,
    compute: impl FnOnce() -> Result<Vec<f32>>,
) -> Result<Option<Tensor>> {
    if_wanted(tensor, || {
        Tensor::from_vec(compute()?, tensor.shape(), tensor.device())
    })
}
