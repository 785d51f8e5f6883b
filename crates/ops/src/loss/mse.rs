//! The mean squared error.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};

use crate::cpu::{Isa, loss};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::dispatch::{elements, kernels_serve, on_gpu, scalar, with_elements2};
use crate::reference;
use crate::tape::apply2;

/// Mean of the squared difference over all elements; a scalar.
///
/// # Errors
/// Arguments of different shape.
pub fn mse_loss(prediction: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_same_shape("mse_loss", prediction, target)?;
    if on_gpu(&[prediction, target]) || kernels_serve(&[prediction, target]) {
        let (prediction, target) = (prediction.contiguous()?, target.contiguous()?);
        apply2(&prediction, &target, MeanSquaredError)
    } else {
        reference::mse_loss(prediction, target)
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
        let loss = loss::mse(
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
            let towards = |wanted: &Tensor, other: &Tensor| {
                if !wanted.track_op() {
                    return Ok(None);
                }
                cuda::compute(self.name(), [wanted, other, gradient], |gpu, [a, b, gradient]| {
                    let da = cuda::mse_backward(gpu, a, b, gradient)?;
                    Ok(Some(gpu.tensor(da, wanted.shape())))
                })
            };
            return Ok((towards(prediction, target)?, towards(target, prediction)?));
        }
        let factor = 2.0 * f64::from(scalar(gradient)?) / prediction.elem_count() as f64;
        let towards = |wanted: &Tensor, other: &Tensor| {
            if !wanted.track_op() {
                return Ok(None);
            }
            with_elements2(self.name(), wanted, other, |a, b| {
                let gradient = loss::scaled_difference(a, b, factor as f32);
                Tensor::from_vec(gradient, wanted.shape(), wanted.device()).map(Some)
            })
        };
        Ok((towards(prediction, target)?, towards(target, prediction)?))
    }
}

pub(crate) fn check_same_shape(op: &str, prediction: &Tensor, target: &Tensor) -> Result<()> {
    if prediction.dims() != target.dims() || prediction.elem_count() == 0 {
        bail!(
            "{op}: prediction {:?} and target {:?} must have the same, non-empty shape",
            prediction.dims(),
            target.dims()
        );
    }
    Ok(())
}
