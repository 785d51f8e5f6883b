//! The losses from candle primitives.

mod bce;
mod focal;
mod mse;
mod ssim;
mod truncated_l1;

pub use bce::bce_loss;
pub use focal::focal_loss;
pub use mse::mse_loss;
pub use ssim::{ssim_loss, ssim_map};
pub use truncated_l1::truncated_l1_loss;
