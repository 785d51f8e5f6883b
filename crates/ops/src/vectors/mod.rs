//! Many vectors of one length: products with a matrix, nearest neighbours, and greedy selection of far-apart ones.
//!
//! This is what a memory bank of image features runs on. [`Panels`] holds vectors so that products with them run at
//! the speed of convolutions; [`Bank`] finds the exact nearest of them; [`farthest_first`] chooses a few vectors that
//! cover all others, [`Selection`] does so from the start. [`Bank::on`] and [`Selection::on`] compute on a GPU, with the
//! same results. No result depends on the number of threads.

mod bank;
mod directions;
mod farthest;
mod least;
mod narrow;
mod panels;
mod rounded;
mod selection;
#[cfg(test)]
mod tests;

pub use bank::{Among, Bank, Neighbor};
pub use farthest::{farthest_beyond, farthest_first, mean_distances};
pub use panels::Panels;
pub use selection::Selection;
