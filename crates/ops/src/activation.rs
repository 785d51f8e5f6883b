//! Activations: ReLU and softmax.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, activation};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements2};
use crate::reference;
use crate::tape::apply1;

/// `max(x, 0)`, any shape; the gradient at 0 is 0 and NaN stays NaN, as in PyTorch.
///
/// # Errors
/// Those of candle.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if on_gpu(&[x]) || kernels_serve(&[x]) {
        apply1(&x.contiguous()?, Relu)
    } else {
        reference::relu(x)
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
    if on_gpu(&[x]) || kernels_serve(&[x]) {
        apply1(&x.contiguous()?, Softmax)
    } else {
        reference::softmax(x)
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
        let y = cuda::relu(&gpu, cuda::floats(self.name(), x, layout)?)?;
        Ok((gpu.storage(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute(self.name(), [y, dy], |gpu, [y, dy]| {
                Ok(Some(gpu.tensor(cuda::relu_backward(gpu, y, dy)?, x.shape())))
            });
        }
        with_elements2(self.name(), y, dy, |y, dy| {
            let dx = activation::relu_backward(y, dy, Isa::detect());
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
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
                let dx = cuda::softmax_backward(gpu, y, dy, classes)?;
                Ok(Some(gpu.tensor(dx, x.shape())))
            });
        }
        with_elements2(self.name(), y, dy, |y, dy| {
            let dx = activation::softmax_backward(y, dy, classes);
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}
