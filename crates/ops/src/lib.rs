//! Differentiable operators for images in NHWC order on [candle](candle_core), and Adam.

mod activation;
mod adam;
mod batch_norm;
mod concatenation;
mod convolution;
pub mod cpu;
mod dispatch;
mod loss;
mod pooling;
pub mod reference;
mod upsampling;

pub use activation::{relu, softmax};
pub use adam::{Adam, AdamSettings};
pub use batch_norm::{BatchNorm, Mode, batch_norm, batch_norm_relu};
pub use concatenation::concat;
pub use convolution::conv3x3;
pub use loss::{FocalSettings, SsimRange, focal_loss, mse_loss, ssim_loss};
pub use pooling::max_pool2;
pub use upsampling::upsample2;
