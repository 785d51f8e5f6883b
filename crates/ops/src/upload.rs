//! From main memory to a device.

use candle_core::{Device, Result, Shape, Tensor};

/// A tensor of these numbers on `device`.
///
/// On a CUDA device, in builds for it, the copy goes through pinned memory and is only enqueued, where
/// [`Tensor::from_vec`] waits until the device has finished all that was asked of it before.
///
/// # Errors
/// The numbers do not fill the shape, or the allocation fails.
pub fn upload(values: Vec<f32>, shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
    let shape = shape.into();
    #[cfg(feature = "cuda")]
    if device.is_cuda() && values.len() == shape.elem_count() && !values.is_empty() {
        return crate::cuda::upload(&values, shape, device);
    }
    Tensor::from_vec(values, shape, device)
}
