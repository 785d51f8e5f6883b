//! The losses from candle primitives.

mod bce;
mod focal;
mod mse;
mod ssim;

pub use bce::bce_loss;
pub use focal::focal_loss;
pub use mse::mse_loss;
pub use ssim::{ssim_loss, ssim_map};
