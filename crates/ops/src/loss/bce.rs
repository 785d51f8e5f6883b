//! The binary cross-entropy.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::loss::bce as kernel;
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::loss::check_same_shape;
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
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
    match dispatch(&[prediction, &target], Kernels::CpuAndGpu) {
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        prediction: &CudaStorage,
        prediction_layout: &Layout,
        target: &CudaStorage,
        target_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let gpu = cuda::Gpu::of(prediction);
        let loss = cuda::bce(
            &gpu,
            cuda::floats(self.name(), prediction, prediction_layout)?,
            cuda::floats(self.name(), target, target_layout)?,
        )?;
        Ok((gpu.storage(loss), ().into()))
    }

    fn bwd(
        &self,
        prediction: &Tensor,
        target: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if on_gpu(&[prediction]) {
            return cuda::compute(self.name(), [prediction, target, gradient], |gpu, [p, t, dy]| {
                let slope = gpu.gradient_of(prediction, || cuda::bce_backward(gpu, p, t, dy))?;
                Ok((slope, None))
            });
        }
        let factor = f64::from(scalar(gradient)?) / prediction.elem_count() as f64;
        let slope = gradient_of(prediction, || {
            with_elements2(self.name(), prediction, target, |p, t| {
                Ok(kernel::gradient(p, t, factor as f32))
            })
        })?;
        Ok((slope, None))
    }
}
