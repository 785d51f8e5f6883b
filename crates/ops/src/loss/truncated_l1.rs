//! The truncated L1 loss.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::loss::truncated_l1 as kernel;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::loss::truncated_l1::check;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, scalar, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply2;

/// Truncated L1 loss of two-class *logits* (N,H,W,2), channel 1 = anomalous, by a mask (N,H,W), which is above 0 at anomalous
/// pixels; a scalar.
///
/// With the log-odds z = logit₁ − logit₀ it is the mean of max(0, z + margin) over normal pixels plus the mean of
/// max(0, margin − z) over anomalous ones; a class without pixels adds nothing. Where the margin is just reached the
/// gradient is 0, as in PyTorch. The mask gets no gradient.
///
/// # Errors
/// Shapes that do not fit together.
pub fn truncated_l1_loss(logits: &Tensor, mask: &Tensor, margin: f64) -> Result<Tensor> {
    check(logits, mask)?;
    match dispatch(&[logits, mask], Kernels::CpuAndGpu) {
        Backend::Reference => reference::truncated_l1_loss(logits, mask, margin),
        _ => {
            let mask = mask.detach().contiguous()?;
            apply2(&logits.contiguous()?, &mask, TruncatedL1(margin as f32))
        }
    }
}

/// With its margin.
struct TruncatedL1(f32);

impl CustomOp2 for TruncatedL1 {
    fn name(&self) -> &'static str {
        "truncated_l1_loss"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        mask: &CpuStorage,
        mask_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let loss = kernel::truncated_l1(
            elements(self.name(), logits, logits_layout)?,
            elements(self.name(), mask, mask_layout)?,
            self.0,
        );
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        logits_layout: &Layout,
        mask: &CudaStorage,
        mask_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(logits);
        let loss = cuda::truncated_l1(
            &gpu,
            cuda::floats(self.name(), logits, logits_layout)?,
            cuda::floats(self.name(), mask, mask_layout)?,
            self.0,
        )?;
        Ok((gpu.storage(loss), ().into()))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        mask: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[logits]) {
            return cuda::compute(self.name(), [logits, mask, gradient], |gpu, [z, mask, dy]| {
                let dz = gpu.gradient_of(logits, || cuda::truncated_l1_backward(gpu, z, mask, dy, self.0))?;
                Ok((dz, None))
            });
        }
        let gradient = scalar(gradient)?;
        let dz = gradient_of(logits, || {
            with_elements2(self.name(), logits, mask, |z, mask| {
                Ok(kernel::truncated_l1_backward(z, mask, self.0, gradient))
            })
        })?;
        Ok((dz, None))
    }
}
