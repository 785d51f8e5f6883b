//! Losses: mean squared error, structural similarity, focal, cross-entropy.

mod bce;
mod focal;
mod mse;
pub(crate) mod ssim;

pub use bce::bce_loss;
pub(crate) use focal::check_shapes as check_focal_shapes;
pub use focal::{FocalSettings, focal_loss};
pub(crate) use mse::check_same_shape;
pub use mse::mse_loss;
pub use ssim::{SsimRange, ssim_loss};
