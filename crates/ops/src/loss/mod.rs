//! Losses: mean squared error, structural similarity, focal, cross-entropy, truncated L1.

mod bce;
mod focal;
mod mse;
mod ssim;
mod truncated_l1;

pub use bce::bce_loss;
pub use focal::{FocalSettings, focal_loss};
pub use mse::mse_loss;
pub use ssim::{SsimRange, ssim_loss};
pub use truncated_l1::truncated_l1_loss;
