//! Multithreaded f32 kernels for the processor, on plain slices in NHWC order.
//!
//! Nothing here knows of tensors or of gradients: the differentiable operators at the root of the crate call
//! these functions and check shapes first. Each kernel is written once, over a vector type (`lanes`) or as a plain
//! loop (`multiversion`), and compiled for every instruction set in [`Isa`]; which one runs is decided at run time.

pub(crate) mod activation;
pub mod arithmetic;
pub(crate) mod batch_norm;
pub(crate) mod blocks;
pub mod conv;
pub(crate) mod cross_entropy;
pub mod isa;
pub(crate) mod lanes;
pub(crate) mod loss;
pub(crate) mod multiversion;
pub(crate) mod overlapping_pooling;
pub(crate) mod pages;
pub(crate) mod parallel;
pub(crate) mod pooling;
pub(crate) mod residual;
pub(crate) mod scratch;
pub(crate) mod ssim;
#[cfg(test)]
mod tests;
pub(crate) mod upsampling;
pub mod vectors;

pub use arithmetic::Arithmetic;
pub use isa::Isa;
