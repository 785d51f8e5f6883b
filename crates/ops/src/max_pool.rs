//! Max pooling: of 2×2 windows, and of 3×3 windows that overlap.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, max_pool as kernel};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::max_pool::{check_any, check_even};
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply1;

/// 2×2 maximum with stride 2: (N,H,W,C) to (N,H/2,W/2,C).
///
/// Among equal maxima the first in row-major order receives the whole gradient; NaN stays NaN. Both as in PyTorch.
///
/// # Errors
/// An odd or zero height or width.
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    check_even(x)?;
    match dispatch(&[x], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::max_pool2(x),
        _ => apply1(&x.contiguous()?, MaxPool2),
    }
}

/// 3×3 maximum with stride 2 and padding 1, the pool of residual networks: (N,H,W,C) to (N,⌈H/2⌉,⌈W/2⌉,C).
///
/// Beyond the border there is nothing. Among equal maxima the first in row-major order receives the whole gradient; NaN
/// stays NaN. All as in PyTorch.
///
/// # Errors
/// An empty tensor.
pub fn max_pool3(x: &Tensor) -> Result<Tensor> {
    check_any(x)?;
    match dispatch(&[x], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::max_pool3(x),
        _ => apply1(&x.contiguous()?, MaxPool3),
    }
}

struct MaxPool2;

impl CustomOp1 for MaxPool2 {
    fn name(&self) -> &'static str {
        "max_pool2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = kernel::forward2(elements(self.name(), x, layout)?, w, c, Isa::detect());
        Ok((CpuStorage::F32(y), (n, h / 2, w / 2, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(x);
        let y = cuda::pool(&gpu, cuda::numbers(self.name(), x, layout)?, w, c)?;
        Ok((y.storage(&gpu), (n, h / 2, w / 2, c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute_numbers(self.name(), [x, dy], |gpu, [values, dy]| {
                cuda::gradient_of(gpu, x, || cuda::pool_backward(gpu, values, dy, w, c))
            });
        }
        gradient_of(x, || {
            with_elements2(self.name(), x, dy, |values, dy| {
                Ok(kernel::backward2(values, dy, w, c, Isa::detect()))
            })
        })
    }
}

struct MaxPool3;

impl CustomOp1 for MaxPool3 {
    fn name(&self) -> &'static str {
        "max_pool3"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = kernel::forward3(elements(self.name(), x, layout)?, [h, w, c], Isa::detect());
        Ok((CpuStorage::F32(y), (n, h.div_ceil(2), w.div_ceil(2), c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(x);
        let y = cuda::pool3(&gpu, cuda::numbers(self.name(), x, layout)?, [h, w, c])?;
        Ok((y.storage(&gpu), (n, h.div_ceil(2), w.div_ceil(2), c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute_numbers(self.name(), [x, dy], |gpu, [values, dy]| {
                cuda::gradient_of(gpu, x, || cuda::pool3_backward(gpu, values, dy, [h, w, c]))
            });
        }
        gradient_of(x, || {
            with_elements2(self.name(), x, dy, |values, dy| {
                Ok(kernel::backward3(values, dy, [h, w, c]))
            })
        })
    }
}
