//! The mean squared error.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::cpu::Isa;
use crate::cpu::loss::mse as kernel;
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

/// Mean of the squared difference over all elements; a scalar.
///
/// # Errors
/// Arguments of different shape.
pub fn mse_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("mse_loss", prediction, target)?;
    match dispatch(&[prediction, target], Kernels::CpuAndGpu) {
        Backend::Reference => reference::mse_loss(prediction, target),
        _ => apply2(&prediction.contiguous()?, &target.contiguous()?, MeanSquaredError),
    }
}

struct MeanSquaredError;

impl CustomOp2 for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mse_loss"
    }

    fn cpu_fwd(
        &self,
        prediction: &CpuStorage,
        prediction_layout: &Layout,
        target: &CpuStorage,
        target_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let loss = kernel::mse(
            elements(self.name(), prediction, prediction_layout)?,
            elements(self.name(), target, target_layout)?,
            Isa::detect(),
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
        let loss = cuda::mse(
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
                Ok((
                    gpu.gradient_of(prediction, || cuda::mse_backward(gpu, p, t, dy))?,
                    gpu.gradient_of(target, || cuda::mse_backward(gpu, t, p, dy))?,
                ))
            });
        }
        let factor = 2.0 * f64::from(scalar(gradient)?) / prediction.elem_count() as f64;
        with_elements2(self.name(), prediction, target, |p, t| {
            let difference = |a, b| Ok(kernel::scaled_difference(a, b, factor as f32));
            Ok((
                gradient_of(prediction, || difference(p, t))?,
                gradient_of(target, || difference(t, p))?,
            ))
        })
    }
}
