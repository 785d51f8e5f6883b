//! Every operator composed of candle primitives, with right gradients.
//!
//! Slow and simple: the yardstick for the kernels, and the path for every data type and device that has no kernel.
//! Only primitives whose own backward is right are used (`tests/primitives.rs` checks each by finite differences);
//! candle's `max_pool2d`, `upsample_*`, `conv2d` and `relu` are not among them: their backward is wrong, missing,
//! slow, or differs from PyTorch at 0.
//!
//! Shapes and meanings are those of the functions of the same name at the crate's root.

mod activation;
mod batch_norm;
mod convolution;
mod general_convolution;
mod loss;
mod residual;
mod sampling;
mod separable;

pub use activation::{relu, softmax};
pub use batch_norm::{batch_norm, batch_norm_relu};
pub use convolution::conv3x3;
pub use general_convolution::{conv_transpose2d, conv2d};
pub use loss::{focal_loss, mse_loss, ssim_loss, ssim_map};
pub use residual::{add, add_relu, bce_loss, max_pool3, sigmoid};
pub use sampling::{concat, max_pool2, upsample2};
