//! Bilinear upsampling by two.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::cpu::{Isa, upsample as kernel};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::upsample::check;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply1;

/// ×2 bilinear interpolation with aligned corners: (N,H,W,C) to (N,2H,2W,C).
///
/// # Errors
/// An input without four dimensions, or an empty one.
pub fn upsample2(x: &Tensor) -> Result<Tensor> {
    check(x)?;
    match dispatch(&[x], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::upsample2(x),
        _ => apply1(&x.contiguous()?, Upsample),
    }
}

struct Upsample;

impl CustomOp1 for Upsample {
    fn name(&self) -> &'static str {
        "upsample2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let x = elements(self.name(), x, layout)?;
        let y = kernel::forward(x, (h, w, c), Isa::detect());
        Ok((CpuStorage::F32(y), (n, 2 * h, 2 * w, c).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, c) = layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(x);
        let y = cuda::upsample(&gpu, cuda::numbers(self.name(), x, layout)?, (h, w, c))?;
        Ok((y.storage(&gpu), (n, 2 * h, 2 * w, c).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, h, w, c) = x.dims4()?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            return cuda::compute_numbers(self.name(), [dy], |gpu, [dy]| {
                cuda::gradient_of(gpu, x, || cuda::upsample_backward(gpu, dy, (h, w, c)))
            });
        }
        gradient_of(x, || {
            with_elements(self.name(), dy, |dy| {
                Ok(kernel::backward(dy, (h, w, c), Isa::detect()))
            })
        })
    }
}
