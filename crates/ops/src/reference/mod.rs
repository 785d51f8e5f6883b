//! Every operator composed of candle primitives, with right gradients.
//!
//! Slow and simple: the yardstick for the kernels, and the path for every data type and device that has no kernel.
//! Only primitives whose own backward is right are used (`tests/operators/primitives.rs` checks each by finite differences);
//! candle's `max_pool2d`, `upsample_*`, `conv2d` and `relu` are not among them: their backward is wrong, missing,
//! slow, or differs from PyTorch at 0.
//!
//! Shapes and meanings are those of the functions of the same name at the crate's root.

mod activation;
mod add;
mod batch_norm;
mod concat;
mod conv2d;
mod conv3x3;
mod inverted_residual;
mod loss;
mod max_pool;
mod separable;
mod upsample;

pub use activation::{relu, sigmoid, softmax};
pub use add::{add, add_relu};
pub use batch_norm::{batch_norm, batch_norm_relu};
pub use concat::concat;
pub use conv2d::{conv_transpose2d, conv2d};
pub use conv3x3::conv3x3;
pub use inverted_residual::inverted_residual;
pub use loss::{bce_loss, focal_loss, mse_loss, ssim_loss, ssim_map, truncated_l1_loss};
pub use max_pool::{max_pool2, max_pool3};
pub use upsample::upsample2;
