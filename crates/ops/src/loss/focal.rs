//! The focal loss.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::loss::{Focal, focal, focal_backward};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, scalar, with_elements2};
use crate::reference;
use crate::tape::apply2;

/// Constants of the focal loss; the default is DRAEM's code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FocalSettings {
    /// Exponent γ of (1 − pt); 2.
    pub gamma: f64,
    /// Smoothing s: the one-hot target is clamped to [s, 1−s] and s is added to pt; 1e-5.
    pub smooth: f64,
}

impl Default for FocalSettings {
    fn default() -> Self {
        Self {
            gamma: 2.0,
            smooth: 1e-5,
        }
    }
}

/// Focal loss of two-class *probabilities* (N,H,W,2), channel 1 = anomalous, against a mask (N,H,W) of 0 and 1;
/// mean over all pixels, a scalar.
///
/// pt = Σ_c onehot_c·p_c + s, loss = −(1−pt)^γ·ln pt, both classes weighted 1. The mask gets no gradient.
///
/// # Errors
/// Shapes that do not fit together.
pub fn focal_loss(probabilities: &Tensor, mask: &Tensor, settings: FocalSettings) -> Result<Tensor> {
    check_shapes(probabilities, mask)?;
    if on_gpu(&[probabilities, mask]) || kernels_serve(&[probabilities, mask]) {
        let constants = Focal {
            gamma: settings.gamma as f32,
            smooth: settings.smooth as f32,
        };
        let mask = mask.detach().contiguous()?;
        apply2(&probabilities.contiguous()?, &mask, FocalLoss(constants))
    } else {
        reference::focal_loss(probabilities, mask, settings)
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
        if !probabilities.track_op() {
            return Ok((None, None));
        }
        #[cfg(feature = "cuda")]
        if on_gpu(&[probabilities]) {
            let constants = (self.0.gamma, self.0.smooth);
            let gradient = cuda::compute(
                self.name(),
                [probabilities, mask, gradient],
                |gpu, [p, mask, gradient]| {
                    let gradient = cuda::focal_backward(gpu, p, mask, gradient, constants)?;
                    Ok(gpu.tensor(gradient, probabilities.shape()))
                },
            )?;
            return Ok((Some(gradient), None));
        }
        let factor = (f64::from(scalar(gradient)?) / mask.elem_count() as f64) as f32;
        with_elements2(self.name(), probabilities, mask, |p, mask| {
            let gradient = focal_backward(p, mask, self.0, factor);
            let shape = probabilities.shape();
            let gradient = Tensor::from_vec(gradient, shape, probabilities.device())?;
            Ok((Some(gradient), None))
        })
    }
}

pub(crate) fn check_shapes(probabilities: &Tensor, mask: &Tensor) -> Result<()> {
    let (n, h, w, classes) = probabilities.dims4()?;
    if classes != 2 || mask.dims() != [n, h, w] || n * h * w == 0 {
        bail!(
            "focal_loss: probabilities {:?} must be (N,H,W,2), mask {:?} (N,H,W), not empty",
            probabilities.dims(),
            mask.dims()
        );
    }
    Ok(())
}
