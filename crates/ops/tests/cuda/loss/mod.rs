//! Losses.

mod bce;
mod focal;
mod mse;
mod ssim;
mod truncated_l1;

/// (n, h, w, c): less than a tile of the kernels, one, several, and two channels.
const SHAPES: [[usize; 4]; 4] = [[1, 5, 7, 1], [2, 16, 16, 3], [2, 33, 40, 3], [1, 128, 96, 2]];
