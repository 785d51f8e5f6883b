//! A GPU in software: NVIDIA's driver, cuDNN, cuBLAS and cuRAND as far as flawforge uses them, computed by the processor.
//!
//! Loaded in front of a program that was built with the feature `cuda`, it lets the tests for GPUs run on a machine without one.
//! NVRTC compiles the kernels as ever, and their PTX runs thread by thread. That is slow, and says nothing of a GPU's speed. It is
//! strict:
//!
//! * Nothing is computed before somebody waits for it, or 1024 things are asked for. So results that are read too early are wrong
//!   every time.
//! * Fresh memory holds NaN. Every access to global and shared memory is checked against what there is, and for its alignment.
//! * Threads run in turn, from the first to the last or, with `EMULATED_GPU_ORDER=backwards`, the other way: a result that
//!   depends on it is a race.
//! * Of cuDNN's three engines one does not repeat its bits; it gives NaN. The other two add in different orders, and with
//!   `EMULATED_GPU_TIMES=noisy` it is chance which of them is measured as the faster: a promise of equal bits must not depend on it.
//! * All streams are one. An instruction that is not known is refused by name.
//!
//! `EMULATED_GPU_MEMORY` is the device's memory in bytes (8 GiB), `EMULATED_GPU_CAPABILITY` its compute capability (90 for 9.0),
//! `EMULATED_GPU_FUSED=none` takes away the engines that join a bias.

#![cfg(unix)]

mod convolution;
mod cudnn;
mod driver;
mod gpu;
mod launch;
mod libraries;
mod memory;
mod numbers;
mod product;
mod ptx;

#[cfg(test)]
mod tests;
