//! Losses: mean squared error, structural similarity, focal, cross-entropy.

mod bce;
mod focal;
mod mse;
mod ssim;

pub use bce::bce_loss;
pub use focal::{FocalSettings, focal_loss};
pub use mse::mse_loss;
pub use ssim::{SsimRange, ssim_loss};
