//! Concatenation of channels.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::concat as kernel;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::concat::check;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::{apply2, note_reference};

/// `a` (N,H,W,Ca) and `b` (N,H,W,Cb) side by side, `a` first: (N,H,W,Ca+Cb).
///
/// # Errors
/// Batches or images of different size.
pub fn concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (rows, ca, cb) = check(a, b)?;
    if rows * ca * cb == 0 {
        // The kernels want something to do.
        note_reference(&[a, b]);
        return reference::concat(a, b);
    }
    match dispatch(&[a, b], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::concat(a, b),
        _ => apply2(&a.contiguous()?, &b.contiguous()?, Concat),
    }
}

struct Concat;

impl CustomOp2 for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, ca) = a_layout.shape().dims4()?;
        let (_, _, _, cb) = b_layout.shape().dims4()?;
        let (a, b) = (
            elements(self.name(), a, a_layout)?,
            elements(self.name(), b, b_layout)?,
        );
        let y = kernel::concat(a, b, ca, cb);
        Ok((CpuStorage::F32(y), (n, h, w, ca + cb).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (n, h, w, ca) = a_layout.shape().dims4()?;
        let (_, _, _, cb) = b_layout.shape().dims4()?;
        let gpu = cuda::Gpu::of(a);
        let (a, b) = (
            cuda::numbers(self.name(), a, a_layout)?,
            cuda::numbers(self.name(), b, b_layout)?,
        );
        let y = cuda::concatenate(&gpu, a, b, (ca, cb))?;
        Ok((y.storage(&gpu), (n, h, w, ca + cb).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, ca, cb) = check(a, b)?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[a]) {
            return cuda::compute_numbers(self.name(), [dy], |gpu, [dy]| {
                let take = |part, of: &Tensor| {
                    let number = cuda::Number::of(self.name(), of)?;
                    cuda::take_channels(gpu, dy, ca + cb, part, number)
                };
                Ok((
                    cuda::gradient_of(gpu, a, || take((0, ca), a))?,
                    cuda::gradient_of(gpu, b, || take((ca, cb), b))?,
                ))
            });
        }
        with_elements(self.name(), dy, |dy| {
            let take = |from, count| Ok(kernel::columns(dy, ca + cb, from, count));
            Ok((gradient_of(a, || take(0, ca))?, gradient_of(b, || take(ca, cb))?))
        })
    }
}
