//! The structural similarity as a loss.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::check_same_shape;
use crate::cpu::ssim::{Size, Slopes, backward, forward};
use crate::cpu::{Isa, loss};
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{kernels_serve, scalar, with_elements2};
use crate::reference;
use crate::tape::apply2;

/// Pixels on either side of the centre of the 11-pixel window.
pub(crate) const RADIUS: usize = 5;
/// Width of the window.
pub(crate) const TAPS: usize = 2 * RADIUS + 1;
/// Standard deviation of the Gaussian window in pixels (DRAEM's code).
const SIGMA: f64 = 1.5;

/// How the dynamic range L of the images is chosen; the stabilising constants are (0.01·L)² and (0.03·L)².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SsimRange {
    /// L = 1: images in [0, 1].
    #[default]
    Unit,
    /// DRAEM's rule: the upper end is 255 if the prediction exceeds 128, else 1; the lower end is −1 if it falls
    /// below −0.5, else 0.
    FromPrediction,
}

/// One minus the mean structural similarity of `prediction` and `target` (N,H,W,C); a scalar.
///
/// Gaussian window of 11×11 pixels, σ = 1.5, per channel, zero padding 5, variances as E\[x²\] − E\[x\]²
/// (DRAEM's code). The range is a constant for the gradient.
///
/// # Errors
/// Arguments of different shape, or without four dimensions.
pub fn ssim_loss(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    check_same_shape("ssim_loss", prediction, target)?;
    #[cfg(feature = "cuda")]
    if on_gpu(&[prediction, target]) {
        return crate::cuda::ssim_loss(prediction, target, range);
    }
    if kernels_serve(&[prediction, target]) {
        fused(prediction, target, range)
    } else {
        reference::ssim_loss(prediction, target, range)
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
                let (lowest, highest) = loss::extremes(x);
                range_from_extremes(lowest.into(), highest.into())
            }
        };
        let size = Size { h, w, c };
        let stabilisers = stabilisers(range);
        let (mean, slopes) = forward(x, y, size, stabilisers, needs_slopes, Isa::detect());
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
        let factor = (-f64::from(scalar(gradient)?) / prediction.elem_count() as f64) as f32;
        let towards = |wanted: &Tensor, other: &Tensor, of_target: bool| {
            let Some(slopes) = self.slopes.as_ref().filter(|_| wanted.track_op()) else {
                return Ok(None);
            };
            with_elements2(self.name(), wanted, other, |image, other| {
                let isa = Isa::detect();
                let gradient = backward(image, other, slopes, of_target, self.size, factor, isa);
                Tensor::from_vec(gradient, wanted.shape(), wanted.device()).map(Some)
            })
        };
        Ok((
            towards(prediction, target, false)?,
            towards(target, prediction, true)?,
        ))
    }
}

/// The normalised 1-D window; the 2-D window is its outer product with itself.
pub(crate) fn window() -> [f64; TAPS] {
    let mut window = [0f64; TAPS];
    for (tap, value) in window.iter_mut().enumerate() {
        let distance = tap as f64 - RADIUS as f64;
        *value = (-distance * distance / (2.0 * SIGMA * SIGMA)).exp();
    }
    let total: f64 = window.iter().sum();
    window.map(|value| value / total)
}

/// C1 and C2 for a dynamic range.
pub(crate) fn stabilisers(range: f64) -> (f64, f64) {
    ((0.01 * range).powi(2), (0.03 * range).powi(2))
}

/// DRAEM's rule, see [`SsimRange::FromPrediction`].
pub(crate) fn range_from_extremes(lowest: f64, highest: f64) -> f64 {
    let upper = if highest > 128.0 { 255.0 } else { 1.0 };
    let lower = if lowest < -0.5 { -1.0 } else { 0.0 };
    upper - lower
}
