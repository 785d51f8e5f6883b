//! The binary cross-entropy.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::check_same_shape;
use crate::cpu::cross_entropy;
use crate::dispatch::{elements, kernels_serve, scalar, with_elements2};
use crate::reference;
use crate::tape::apply2;

/// Mean over all elements of `−t·ln(p) − (1 − t)·ln(1 − p)`; a scalar. `prediction` holds probabilities, `target` numbers
/// in \[0, 1\], which get no gradient.
///
/// Logarithms are at least −100 and the denominator of the gradient at least 1e-12, as in PyTorch. (The reference's
/// gradient agrees for probabilities that are neither 0 nor 1.)
///
/// # Errors
/// Arguments of different shape.
pub fn bce_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("bce_loss", prediction, target)?;
    let target = target.detach();
    if kernels_serve(&[prediction, &target]) {
        apply2(&prediction.contiguous()?, &target.contiguous()?, CrossEntropy)
    } else {
        reference::bce_loss(prediction, &target)
    }
}

struct CrossEntropy;

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "bce_loss"
    }

    fn cpu_fwd(
        &self,
        prediction: &CpuStorage,
        prediction_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let loss = cross_entropy::loss(
            elements(self.name(), prediction, prediction_layout)?,
            elements(self.name(), target, target_layout)?,
        );
        Ok((CpuStorage::F32(vec![loss as f32]), ().into()))
    }

    fn bwd(
        &self,
        prediction: &Tensor,
        target: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let factor = f64::from(scalar(gradient)?) / prediction.elem_count() as f64;
        let slope = with_elements2(self.name(), prediction, target, |p, t| {
            let slope = cross_entropy::gradient(p, t, factor as f32);
            Tensor::from_vec(slope, prediction.shape(), prediction.device())
        })?;
        Ok((Some(slope), None))
    }
}
