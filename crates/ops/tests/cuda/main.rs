//! The operators on a GPU against those on the processor, which the other tests hold against PyTorch.
//!
//! `cargo test --release --features cuda -p flawforge-ops --test cuda`. Where there is no CUDA device every test says
//! that it is skipped, but for those that only compile.

mod compile;
mod convolution;
mod normalisation;
mod optimiser;
mod step;
mod support;
mod windows;
