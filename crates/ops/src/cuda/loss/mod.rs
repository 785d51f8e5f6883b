//! Losses and their gradients.

pub(crate) mod bce;
pub(crate) mod focal;
pub(crate) mod mse;
pub(crate) mod ssim;
pub(crate) mod truncated_l1;
