//! Values, gradients and promises of the operators.

mod adam;
mod finite_differences;
mod golden;
mod graph;
mod kernels;
mod numbers;
mod primitives;
mod residual;
mod tape;
mod threads;
