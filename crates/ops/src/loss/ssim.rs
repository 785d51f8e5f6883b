//! The structural similarity as a loss.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::Isa;
use crate::cpu::loss::ssim::{Size, Slopes, backward, extremes, forward};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::loss::check_same_shape;
pub use crate::definitions::loss::ssim::SsimRange;
use crate::definitions::loss::ssim::{range_from_extremes, stabilizers};
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{scalar, with_elements2};
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::apply2;

/// One minus the mean structural similarity of `prediction` and `target` (N,H,W,C); a scalar.
///
/// Gaussian window of 11×11 pixels, σ = 1.5, per channel, zero padding 5, variances as E\[x²\] − E\[x\]²
/// (DRAEM's code). The range is a constant for the gradient.
///
/// # Errors
/// Arguments of different shape, or without four dimensions.
pub fn ssim_loss(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    check_same_shape("ssim_loss", prediction, target)?;
    match dispatch(&[prediction, target], Kernels::CpuAndGpu) {
        #[cfg(feature = "cuda")]
        Backend::Gpu => cuda::ssim_loss(prediction, target, range),
        Backend::Cpu => fused(prediction, target, range),
        Backend::Reference => reference::ssim_loss(prediction, target, range),
    }
}

fn fused(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    let (_, h, w, c) = prediction.dims4()?;
    let (prediction, target) = (prediction.contiguous()?, target.contiguous()?);
    let needs_slopes = prediction.track_op() || target.track_op();
    let operation = with_elements2("ssim_loss", &prediction, &target, |x, y| {
        let range = match range {
            SsimRange::Unit => 1.0,
            SsimRange::FromPrediction => {
                let (lowest, highest) = extremes(x);
                range_from_extremes(lowest.into(), highest.into())
            }
        };
        let size = Size { h, w, c };
        let stabilizers = stabilizers(range);
        let (mean, slopes) = forward(x, y, size, stabilizers, needs_slopes, Isa::detect());
        Ok(SsimLoss {
            loss: (1.0 - mean) as f32,
            slopes,
            size,
        })
    })?;
    apply2(&prediction, &target, operation)
}

/// The finished computation with what its gradient needs.
struct SsimLoss {
    loss: f32,
    slopes: Option<Slopes>,
    size: Size,
}

impl CustomOp2 for SsimLoss {
    fn name(&self) -> &'static str {
        "ssim_loss"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![self.loss]), ().into()))
    }

    fn bwd(
        &self,
        prediction: &Tensor,
        target: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        // Neither image wanted a gradient.
        let Some(slopes) = &self.slopes else {
            return Ok((None, None));
        };
        let (factor, isa) = (-f64::from(scalar(gradient)?), Isa::detect());
        let factor = (factor / prediction.elem_count() as f64) as f32;
        let of = |image: &Tensor, other: &Tensor, of_target| {
            with_elements2(self.name(), image, other, |image, other| {
                Ok(backward(image, other, slopes, of_target, self.size, factor, isa))
            })
        };
        Ok((
            gradient_of(prediction, || of(prediction, target, false))?,
            gradient_of(target, || of(target, prediction, true))?,
        ))
    }
}
