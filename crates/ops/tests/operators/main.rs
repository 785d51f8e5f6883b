//! Values, gradients and promises of the operators: a file an operator, named as in the crate.

mod activation;
mod adam;
mod add;
mod batch_norm;
mod concat;
mod conv2d;
mod conv3x3;
mod finite_differences;
mod golden;
mod graph;
mod kernels;
mod loss;
mod max_pool;
mod networks;
mod numbers;
mod primitives;
mod tape;
mod upsample;
