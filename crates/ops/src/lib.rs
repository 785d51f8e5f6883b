//! Differentiable operators for images on [candle](candle_core), and Adam: what the networks run on.
//!
//! Images are tensors in **NHWC** order, (batch, height, width, channels), from the file to the loss: the channels of
//! a pixel lie side by side, so a 3×3 convolution reads three contiguous runs of memory and nothing is ever
//! transposed. Convolution weights keep PyTorch's (out, in, 3, 3) order, so that published weights load as they are.
//!
//! ```text
//!  conv3x3 ─ batch_norm_relu ─ max_pool2 … upsample2 ─ concat ─ conv3x3 ─ softmax
//!                                                                            │
//!                             Adam ── gradients ── backward() ── mse_loss + ssim_loss + focal_loss
//! ```
//!
//! Every operator has one name and several forms, each in a file of that name:
//!
//! * the function at the root checks shapes and chooses one of the others;
//! * [`cpu`]: f32 kernels for the processor, multithreaded, compiled for AVX-512, AVX2, NEON and any other processor. They
//!   serve f32 tensors in main memory. 3×3 convolutions multiply in bfloat16 on request ([`Precision`]);
//! * `cuda`, with the feature of that name: cuDNN and kernels for tensors on an NVIDIA GPU;
//! * [`reference`](mod@reference): a composition of candle's primitives. It serves all other tensors, and the kernels are
//!   tested against it.
//!
//! candle's own pooling, upsampling and convolution are never used: their gradients are wrong, missing or slow. Nor is its
//! `relu`, whose gradient at 0 is 1 where PyTorch's is 0.
//!
//! Beside the operators: [`inference`] runs networks without a graph, [`vectors`] finds nearest neighbours and far-apart
//! vectors (what a memory bank needs), [`runtime`] holds what a program settles at its start and measures while it runs.
//!
//! What holds for all of them:
//!
//! * values and gradients agree with PyTorch's, ties and zeros included (`tests/golden`);
//! * results are the same, bit for bit, for any number of threads;
//! * tensors that are not variables, nor computed from variables, build no graph and get no gradient: the first
//!   layer does not compute the gradient of the image, and a network whose parameters are detached is only evaluated;
//! * shapes are checked, and a mismatch is an error that states them.
//!
//! # Gradients
//!
//! There are two ways to get gradients. Their results are equal up to the sign of zero and the order of sums.
//!
//! * By default candle tracks the operators, and `backward` of a loss gives the gradients. Operations of candle's own may
//!   be mixed in.
//! * A [`Tape`] is faster, because it does not start every gradient as zeros. Every operation from the variables to the
//!   loss must be one of this crate's; any other is an error.
//!
//! # Memory
//!
//! Every operator returns fresh memory, tens of megabytes for a batch. glibc's allocator gives such blocks back to the
//! system at once and takes a page fault per 4 KiB the next time, which costs several times what the operator does.
//! Programs that train should call [`runtime::keep_freed_memory`] or use another global allocator.
//!
//! # Example
//!
//! Teach one convolution to shift an image by a pixel:
//!
//! ```
//! use candle_core::{DType, Device, Tensor, Var};
//! use flawforge_ops::{Adam, AdamSettings, conv3x3, mse_loss};
//!
//! # fn main() -> candle_core::Result<()> {
//! let device = Device::Cpu;
//! let image = Tensor::rand(0f32, 1f32, (1, 8, 8, 1), &device)?;
//! let shifted = image.pad_with_zeros(2, 1, 0)?.narrow(2, 0, 8)?.contiguous()?;
//!
//! let weight = Var::zeros((1, 1, 3, 3), DType::F32, &device)?;
//! let bias = Var::zeros(1, DType::F32, &device)?;
//! let named = vec![("weight".to_string(), weight.clone()), ("bias".to_string(), bias.clone())];
//! let mut adam = Adam::new(named, AdamSettings::default())?;
//!
//! let loss = || mse_loss(&conv3x3(&image, &weight, &bias)?, &shifted);
//! let before = loss()?.to_scalar::<f32>()?;
//! for _ in 0..200 {
//!     adam.step(&loss()?.backward()?, 0.02)?;
//! }
//! assert!(loss()?.to_scalar::<f32>()? < 0.01 * before);
//! # Ok(())
//! # }
//! ```

mod activation;
mod adam;
mod add;
mod batch_norm;
mod concat;
mod conv2d;
mod conv3x3;
pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
mod definitions;
mod dispatch;
mod elements;
#[cfg(feature = "cuda")]
mod gpu_convolution;
mod gradient;
pub mod inference;
mod loss;
mod max_pool;
mod precision;
pub mod reference;
pub mod runtime;
mod tape;
mod upload;
mod upsample;
pub mod vectors;

pub use activation::{relu, sigmoid, softmax};
pub use adam::{Adam, AdamSettings};
pub use add::{add, add_relu};
pub use batch_norm::{BatchNorm, Mode, batch_norm, batch_norm_relu, conv3x3_norm_relu};
pub use concat::concat;
pub use conv2d::{conv_transpose2d, conv2d};
pub use conv3x3::conv3x3;
pub use loss::{FocalSettings, SsimRange, bce_loss, focal_loss, mse_loss, ssim_loss, truncated_l1_loss};
pub use max_pool::{max_pool2, max_pool3};
pub use precision::{Precision, PrecisionScope};
pub use tape::{GradientSource, Gradients, Tape};
pub use upload::upload;
pub use upsample::upsample2;
