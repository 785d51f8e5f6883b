//! The focal loss.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::loss::focal::{Focal, focal, focal_backward};
#[cfg(feature = "cuda")]
use crate::cuda;
pub use crate::definitions::loss::focal::FocalSettings;
use crate::definitions::loss::focal::check;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, scalar, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply2;

/// Focal loss of two-class *probabilities* (N,H,W,2), channel 1 = anomalous, against a mask (N,H,W) of 0 and 1;
/// mean over all pixels, a scalar.
///
/// pt = Σ_c onehot_c·p_c + s, loss = −(1−pt)^γ·ln pt, both classes weighted 1. The mask gets no gradient.
///
/// # Errors
/// Shapes that do not fit together.
pub fn focal_loss(probabilities: &Tensor, mask: &Tensor, settings: FocalSettings) -> Result<Tensor> {
    check(probabilities, mask)?;
    match dispatch(&[probabilities, mask], Kernels::CpuAndGpu) {
        Backend::Reference => reference::focal_loss(probabilities, mask, settings),
        _ => {
            let constants = Focal {
                gamma: settings.gamma as f32,
                smooth: settings.smooth as f32,
            };
            let mask = mask.detach().contiguous()?;
            apply2(&probabilities.contiguous()?, &mask, FocalLoss(constants))
        }
    }
}

struct FocalLoss(Focal);

impl CustomOp2 for FocalLoss {
    fn name(&self) -> &'static str {
        "focal_loss"
    }

    fn cpu_fwd(
        &self,
        probabilities: &CpuStorage,
        probabilities_layout: &Layout,
        mask: &CpuStorage,
        mask_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let loss = focal(
            elements(self.name(), probabilities, probabilities_layout)?,
            elements(self.name(), mask, mask_layout)?,
            self.0,
        );
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        probabilities: &CudaStorage,
        probabilities_layout: &Layout,
        mask: &CudaStorage,
        mask_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(probabilities);
        let loss = cuda::focal(
            &gpu,
            cuda::floats(self.name(), probabilities, probabilities_layout)?,
            cuda::floats(self.name(), mask, mask_layout)?,
            (self.0.gamma, self.0.smooth),
        )?;
        Ok((gpu.storage(loss), ().into()))
    }

    fn bwd(
        &self,
        probabilities: &Tensor,
        mask: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[probabilities]) {
            let constants = (self.0.gamma, self.0.smooth);
            return cuda::compute(
                self.name(),
                [probabilities, mask, gradient],
                |gpu, [p, mask, dy]| {
                    let dp = gpu.gradient_of(probabilities, || {
                        cuda::focal_backward(gpu, p, mask, dy, constants)
                    })?;
                    Ok((dp, None))
                },
            );
        }
        let factor = (f64::from(scalar(gradient)?) / mask.elem_count() as f64) as f32;
        let dp = gradient_of(probabilities, || {
            with_elements2(self.name(), probabilities, mask, |p, mask| {
                Ok(focal_backward(p, mask, self.0, factor))
            })
        })?;
        Ok((dp, None))
    }
}
