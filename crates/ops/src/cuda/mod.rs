//! The operators on NVIDIA GPUs: cuDNN for the convolutions, kernels of our own for the rest.
//!
//! Only compiled with the feature `cuda`. Everything runs on the one stream of the [`device`] and is only enqueued:
//! no operator, forward or backward, waits for the GPU or reads a number from it, so that the processor prepares the
//! next step while the GPU computes. Sums go over fixed chunks in a fixed order, without atomics, and only
//! convolution algorithms that cuDNN calls deterministic are chosen. The `vectors` are no operators: they wait for what
//! they have found.
//!
//! The kernels are CUDA C++ (`cuda/kernels`, a file a concept), compiled by NVRTC for the GPU that is found, once a
//! process. Variables, losses and sums are f32. Under [`Precision::Bf16`](crate::Precision::Bf16) activations and their
//! gradients are bfloat16 from the first convolution to the last; otherwise they are f32.

mod activation;
mod adam;
mod batch_norm;
mod channels;
mod clock;
mod concat;
mod conv3x3;
mod cudnn;
mod filters;
mod gpu;
mod inverted_residual;
mod kernels;
mod loss;
mod max_pool;
mod memory;
mod numbers;
mod start;
mod upload;
mod upsample;
mod vectors;

pub(crate) use activation::{
    add, add_relu, relu, relu_backward, sigmoid, sigmoid_backward, softmax, softmax_backward,
    softmax_of_class,
};
pub(crate) use adam::step as adam_step;
pub(crate) use batch_norm::fused as batch_norm;
pub(crate) use channels::bias_gradient;
pub(crate) use clock::Spans;
pub(crate) use concat::{concatenate, take_channels};
pub use conv3x3::engines;
pub(crate) use conv3x3::{ConvSize, Convolution, PreparedConvolution};
pub use cudnn::Engine;
pub(crate) use gpu::{Floats, Gpu, compute, floats};
pub(crate) use inverted_residual::PreparedBlock;
pub use kernels::{ARCHITECTURES, compile_all};
pub(crate) use loss::bce::{bce, bce_backward};
pub(crate) use loss::focal::{focal, focal_backward};
pub(crate) use loss::mse::{mse, mse_backward};
pub(crate) use loss::ssim::fused as ssim_loss;
pub(crate) use loss::truncated_l1::{truncated_l1, truncated_l1_backward};
pub(crate) use max_pool::{pool, pool_backward, pool3, pool3_backward};
pub(crate) use memory::{memory_of, memory_of_thread};
pub(crate) use numbers::{Number, compute_numbers, gradient_of, numbers};
pub use start::{device, gpus};
pub(crate) use upload::{upload, upload_bytes};
pub(crate) use upsample::{upsample, upsample_backward};
pub(crate) use vectors::{DeviceBank, farthest_first};
