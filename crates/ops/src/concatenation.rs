//! Concatenation of channels.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::activation;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, with_elements};
use crate::reference;
use crate::tape::{apply2, note_reference};

/// `a` (N,H,W,Ca) and `b` (N,H,W,Cb) side by side, `a` first: (N,H,W,Ca+Cb).
///
/// # Errors
/// Batches or images of different size.
pub fn concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (rows, ca, cb) = check_shapes(a, b)?;
    if rows * ca * cb > 0 && (on_gpu(&[a, b]) || kernels_serve(&[a, b])) {
        apply2(&a.contiguous()?, &b.contiguous()?, Concat)
    } else {
        note_reference(&[a, b]);
        reference::concat(a, b)
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
        let y = activation::concat(a, b, ca, cb);
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
            cuda::floats(self.name(), a, a_layout)?,
            cuda::floats(self.name(), b, b_layout)?,
        );
        let y = cuda::concatenate(&gpu, a, b, (ca, cb))?;
        Ok((gpu.storage(y), (n, h, w, ca + cb).into()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, ca, cb) = check_shapes(a, b)?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[a]) {
            return cuda::compute(self.name(), [dy], |gpu, [dy]| {
                let part = |wanted: &Tensor, from: usize, taken: usize| -> Result<Option<Tensor>> {
                    let take = || cuda::take_channels(gpu, dy, ca + cb, from, taken);
                    let part = wanted.track_op().then(take).transpose()?;
                    Ok(part.map(|part| gpu.tensor(part, wanted.shape())))
                };
                Ok((part(a, 0, ca)?, part(b, ca, cb)?))
            });
        }
        with_elements(self.name(), dy, |dy| {
            let part = |wanted: &Tensor, from: usize, count: usize| {
                wanted
                    .track_op()
                    .then(|| {
                        let values = activation::columns(dy, ca + cb, from, count);
                        Tensor::from_vec(values, wanted.shape(), wanted.device())
                    })
                    .transpose()
            };
            Ok((part(a, 0, ca)?, part(b, ca, cb)?))
        })
    }
}

pub(crate) fn check_shapes(a: &Tensor, b: &Tensor) -> Result<(usize, usize, usize)> {
    let (n, h, w, ca) = a.dims4()?;
    let (bn, bh, bw, cb) = b.dims4()?;
    if (n, h, w) != (bn, bh, bw) {
        bail!(
            "concat: {:?} and {:?} differ before the last dimension",
            a.dims(),
            b.dims()
        );
    }
    Ok((n * h * w, ca, cb))
}
