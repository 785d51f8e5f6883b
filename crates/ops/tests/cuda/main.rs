//! The operators on a GPU against those on the processor, which the other tests hold against PyTorch.
//!
//! `cargo test --release --features cuda -p flawforge-ops --test cuda`. Where there is no CUDA device every test
//! skips, but for those that only compile.

mod activation;
mod adam;
mod add;
mod batch_norm;
mod compile;
mod concat;
mod conv2d;
mod conv3x3;
mod half;
mod inference;
mod loss;
mod max_pool;
mod memory;
mod step;
mod support;
mod upsample;
mod vectors;
