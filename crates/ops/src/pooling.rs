//! 2x2 max pooling.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Isa, pooling};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements2};
use crate::reference;
use crate::tape::apply1;

/// 2×2 maximum with stride 2: (N,H,W,C) to (N,H/2,W/2,C).
///
/// Among equal maxima the first in row-major order receives the whole gradient; NaN stays NaN. Both as in PyTorch.
///
/// # Errors
/// An odd or zero height or width.
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    check_shape(x)?;
    if on_gpu(&[x]) || kernels_serve(&[x]) {
        apply1(&x.contiguous()?, MaxPool)
    } else {
        reference::max_pool2(x)
    }
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let y = pooling::forward(elements(self.name(), x, layout)?, w, c, Isa::detect());
        Ok((CpuStorage::F32(y), (n, h / 2, w / 2, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(x);
        let y = cuda::pool(&gpu, cuda::floats(self.name(), x, layout)?, w, c)?;
        Ok((gpu.storage(y), (n, h / 2, w / 2, c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute(self.name(), [x, dy], |gpu, [values, dy]| {
                let dx = cuda::pool_backward(gpu, values, dy, w, c)?;
                Ok(Some(gpu.tensor(dx, x.shape())))
            });
        }
        with_elements2(self.name(), x, dy, |values, dy| {
            let dx = pooling::backward(values, dy, w, c, Isa::detect());
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}

pub(crate) fn check_shape(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if h % 2 != 0 || w % 2 != 0 || n * h * w * c == 0 {
        bail!(
            "max_pool2: height and width must be even and nothing empty, input is {:?}",
            x.dims()
        );
    }
    Ok((n, h, w, c))
}
