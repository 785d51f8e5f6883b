//! Multithreaded f32 kernels for the processor, on plain slices in NHWC order.
//!
//! Nothing here knows of tensors or of gradients: the differentiable operators at the root of the crate call
//! these functions and check shapes first. Each kernel is written once, over a vector type (`lanes`) or as a plain
//! loop (`multiversion`), and compiled for every instruction set in [`Isa`]; which one runs is decided at run time.
//!
//! Public is what `examples/conv_speed.rs` measures: the 3×3 convolution by algorithm and [`Arithmetic`].

pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod add;
mod arithmetic;
pub(crate) mod batch_norm;
pub(crate) mod blocks;
pub(crate) mod concat;
pub(crate) mod conv2d;
pub mod conv3x3;
pub(crate) mod inverted_residual;
mod isa;
pub(crate) mod lanes;
pub(crate) mod loss;
pub(crate) mod max_pool;
pub(crate) mod multiversion;
mod pack;
pub(crate) mod pages;
pub(crate) mod parallel;
pub(crate) mod product;
pub(crate) mod scratch;
#[cfg(test)]
mod tests;
pub(crate) mod upsample;

pub use arithmetic::Arithmetic;
pub use isa::{ISA_VARIABLE, Isa, UnknownIsa};
