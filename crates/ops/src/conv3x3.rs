//! The 3x3 convolution in the graph.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use crate::cpu::Arithmetic;
use crate::cpu::conv3x3::{self as kernel, Algorithm};
use crate::definitions::conv3x3::{ConvShape, check};
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements, with_elements2};
#[cfg(feature = "cuda")]
use crate::gpu_convolution;
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
    let shape = check(x, weight, bias)?;
    match dispatch(&[x, weight, bias], Kernels::CpuAndGpuHalf) {
        Backend::Reference => reference::conv3x3(x, weight, bias),
        #[cfg(feature = "cuda")]
        Backend::Gpu => gpu_convolution::convolution("conv3x3", x, weight, Some(bias), shape.into()),
        Backend::Cpu => {
            let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
            let operation = Convolution {
                shape,
                arithmetic: Precision::current().arithmetic(),
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
    let shape = check(x, weight, bias)?;
    if dispatch(&[x, weight, bias], Kernels::CpuAndGpuHalf) != Backend::Gpu {
        return Ok(None);
    }
    gpu_convolution::convolution("conv3x3", x, weight, None, shape.into()).map(Some)
}

struct Convolution {
    shape: ConvShape,
    /// Of both directions.
    arithmetic: Arithmetic,
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
        let y = kernel::forward(
            elements(self.name(), x, x_layout)?,
            self.shape,
            elements(self.name(), weight, weight_layout)?,
            Some(elements(self.name(), bias, bias_layout)?),
            Algorithm::Auto,
            self.arithmetic,
        );
        let ConvShape { n, h, w, co, .. } = self.shape;
        Ok((CpuStorage::F32(y), (n, h, w, co).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (shape, arithmetic, dy) = (self.shape, self.arithmetic, dy.contiguous()?);
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
