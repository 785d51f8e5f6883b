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
    match dispatch(&[x, weight, bias], Kernels::CpuAndGpu) {
        Backend::Reference => reference::conv3x3(x, weight, bias),
        _ => {
            let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
            apply3(&x, &weight, &bias, Convolution(Precision::current().arithmetic()))
        }
    }
}

/// The arithmetic of both directions on the processor.
struct Convolution(Arithmetic);

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
            self.0,
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
        let (n, h, w, ci) = x_layout.shape().dims4()?;
        let co = weight_layout.dims()[0];
        let gpu = cuda::Gpu::of(x);
        let y = cuda::conv_forward(
            &gpu,
            on_gpu_size(ConvShape { n, h, w, ci, co }),
            cuda::floats(self.name(), x, x_layout)?,
            cuda::floats(self.name(), weight, weight_layout)?,
            cuda::floats(self.name(), bias, bias_layout)?,
        )?;
        Ok((gpu.storage(y), (n, h, w, co).into()))
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
            let size = on_gpu_size(shape);
            return cuda::compute(self.name(), [x, weight, dy], |gpu, [values, filters, dy]| {
                Ok((
                    gpu.gradient_of(x, || cuda::conv_backward_input(gpu, size, dy, filters))?,
                    gpu.gradient_of(weight, || cuda::conv_backward_weight(gpu, size, values, dy))?,
                    gpu.gradient_of(bias, || cuda::conv_backward_bias(gpu, size, dy))?,
                ))
            });
        }
        let (arithmetic, dy) = (self.0, dy.contiguous()?);
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

#[cfg(feature = "cuda")]
fn on_gpu_size(ConvShape { n, h, w, ci, co }: ConvShape) -> cuda::ConvSize {
    cuda::ConvSize {
        n,
        h,
        w,
        ci,
        co,
        kernel: 3,
        stride: 1,
        padding: 1,
    }
}
