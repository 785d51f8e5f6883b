//! Activations: ReLU, sigmoid and softmax.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, activation};
#[cfg(feature = "cuda")]
use crate::cuda;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply1;

/// `max(x, 0)`, any shape; the gradient at 0 is 0 and NaN stays NaN, as in PyTorch.
///
/// # Errors
/// Those of candle.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    match dispatch(&[x], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::relu(x),
        _ => apply1(&x.contiguous()?, Relu),
    }
}

/// `1 / (1 + exp(−x))`, any shape.
///
/// # Errors
/// Those of candle.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    match dispatch(&[x], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::sigmoid(x),
        _ => apply1(&x.contiguous()?, Sigmoid),
    }
}

/// Softmax over the last dimension, any shape.
///
/// # Errors
/// A tensor without dimensions or with an empty last one.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if x.dim(D::Minus1)? == 0 {
        candle_core::bail!("softmax: the last dimension of {:?} is empty", x.dims());
    }
    match dispatch(&[x], Kernels::CpuAndGpu) {
        Backend::Reference => reference::softmax(x),
        _ => apply1(&x.contiguous()?, Softmax),
    }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = activation::relu(elements(self.name(), x, layout)?, Isa::detect());
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(x);
        let y = cuda::relu(&gpu, cuda::numbers(self.name(), x, layout)?)?;
        Ok((y.storage(&gpu), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute_numbers(self.name(), [y, dy], |gpu, [y, dy]| {
                cuda::gradient_of(gpu, x, || cuda::relu_backward(gpu, y, dy))
            });
        }
        gradient_of(x, || {
            with_elements2(self.name(), y, dy, |y, dy| {
                Ok(activation::relu_backward(y, dy, Isa::detect()))
            })
        })
    }
}

struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = activation::sigmoid(elements(self.name(), x, layout)?);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(x);
        let y = cuda::sigmoid(&gpu, cuda::numbers(self.name(), x, layout)?)?;
        Ok((y.storage(&gpu), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute_numbers(self.name(), [y, dy], |gpu, [y, dy]| {
                cuda::gradient_of(gpu, x, || cuda::sigmoid_backward(gpu, y, dy))
            });
        }
        gradient_of(x, || {
            with_elements2(self.name(), y, dy, |y, dy| {
                Ok(activation::sigmoid_backward(y, dy))
            })
        })
    }
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let classes = layout.shape().dim(D::Minus1)?;
        let y = activation::softmax(elements(self.name(), x, layout)?, classes);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (gpu, classes) = (cuda::Gpu::of(x), layout.shape().dim(D::Minus1)?);
        let y = cuda::softmax(&gpu, cuda::floats(self.name(), x, layout)?, classes)?;
        Ok((gpu.storage(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let classes = x.dim(D::Minus1)?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute(self.name(), [y, dy], |gpu, [y, dy]| {
                gpu.gradient_of(x, || cuda::softmax_backward(gpu, y, dy, classes))
            });
        }
        gradient_of(x, || {
            with_elements2(self.name(), y, dy, |y, dy| {
                Ok(activation::softmax_backward(y, dy, classes))
            })
        })
    }
}
