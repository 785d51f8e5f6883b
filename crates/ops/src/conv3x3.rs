//! The 3x3 convolution in the graph.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::cpu::Arithmetic;
use crate::cpu::conv3x3::{self as kernel, Algorithm};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::definitions::conv3x3::{ConvShape, check};
#[cfg(feature = "cuda")]
use crate::dispatch::on_gpu;
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements, with_elements2};
#[cfg(feature = "cuda")]
use crate::gpu_convolution::GpuConvolution;
use crate::gradient::gradient_of;
use crate::precision::Precision;
use crate::reference;
use crate::tape::apply3;

/// 3×3 convolution, stride 1, zero padding 1, with bias.
///
/// `x` (N,H,W,Ci), `weight` (Co,Ci,3,3) in PyTorch's order, `bias` (Co); the result is (N,H,W,Co).
/// It is a cross-correlation, as in every network library. Forward and backward passes multiply in the
/// [precision](crate::Precision) that this thread has when it calls.
///
/// # Errors
/// Shapes that do not fit together.
pub fn conv3x3(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check(x, weight, bias)?;
    match dispatch(&[x, weight, bias], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::conv3x3(x, weight, bias),
        _ => {
            let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
            let operation = Convolution {
                arithmetic: Precision::current().arithmetic(),
                #[cfg(feature = "cuda")]
                gpu: GpuConvolution::new(Precision::current()),
            };
            apply3(&x, &weight, &bias, operation)
        }
    }
}

/// [`conv3x3`] as if the bias were zero, on a GPU; none elsewhere.
///
/// # Errors
/// As [`conv3x3`].
#[cfg(feature = "cuda")]
pub(crate) fn conv3x3_without_bias(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Option<Tensor>> {
    check(x, weight, bias)?;
    if dispatch(&[x, weight, bias], Kernels::CpuAndGpuHalf) != Backend::Gpu {
        return Ok(None);
    }
    let operation = GpuConvolution::new(Precision::current());
    crate::tape::apply2(&x.contiguous()?, &weight.contiguous()?, operation).map(Some)
}

struct Convolution {
    /// Of both directions on the processor.
    arithmetic: Arithmetic,
    #[cfg(feature = "cuda")]
    gpu: GpuConvolution,
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv3x3"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, h, w, ci) = x_layout.shape().dims4()?;
        let co = weight_layout.dims()[0];
        let y = kernel::forward(
            elements(self.name(), x, x_layout)?,
            ConvShape { n, h, w, ci, co },
            elements(self.name(), weight, weight_layout)?,
            Some(elements(self.name(), bias, bias_layout)?),
            Algorithm::Auto,
            self.arithmetic,
        );
        Ok((CpuStorage::F32(y), (n, h, w, co).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
        bias: &CudaStorage,
        bias_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let bias = cuda::floats(self.name(), bias, bias_layout)?;
        self.gpu
            .forward((x, x_layout), (weight, weight_layout), Some(bias))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let shape = check(x, weight, bias)?;
        #[cfg(feature = "cuda")]
        if on_gpu(&[x]) {
            let (dx, dw) = self.gpu.backward(x, weight, dy)?;
            let db = cuda::compute_numbers(self.name(), [dy], |gpu, [dy]| {
                gpu.gradient_of(bias, || cuda::bias_gradient(gpu, dy, shape.co))
            })?;
            return Ok((dx, dw, db));
        }
        let (arithmetic, dy) = (self.arithmetic, dy.contiguous()?);
        let dx = gradient_of(x, || {
            with_elements2(self.name(), &dy, weight, |dy, weight| {
                Ok(kernel::backward_input(
                    dy,
                    shape,
                    weight,
                    Algorithm::Auto,
                    arithmetic,
                ))
            })
        })?;
        if weight.track_op() {
            // One pass over dy gives both.
            let (dw, db) = with_elements2(self.name(), x, &dy, |x, dy| {
                Ok(kernel::backward_parameters(
                    x,
                    dy,
                    shape,
                    Algorithm::Auto,
                    arithmetic,
                ))
            })?;
            return Ok((dx, gradient_of(weight, || Ok(dw))?, gradient_of(bias, || Ok(db))?));
        }
        let db = gradient_of(bias, || {
            with_elements(self.name(), &dy, |dy| {
                Ok(kernel::backward_bias(dy, shape, arithmetic.isa()))
            })
        })?;
        Ok((dx, None, db))
    }
}
