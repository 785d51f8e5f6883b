//! The binary cross-entropy.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::loss::bce as kernel;
use crate::definitions::loss::check_same_shape;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, scalar, with_elements2};
use crate::gradient::gradient_of;
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
    match dispatch(&[prediction, &target], Kernels::Cpu) {
        Backend::Reference => reference::bce_loss(prediction, &target),
        _ => apply2(&prediction.contiguous()?, &target.contiguous()?, CrossEntropy),
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
        let loss = kernel::loss(
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
        let slope = gradient_of(prediction, || {
            with_elements2(self.name(), prediction, target, |p, t| {
                Ok(kernel::gradient(p, t, factor as f32))
            })
        })?;
        Ok((slope, None))
    }
}
