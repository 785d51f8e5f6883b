//! Convolutions with any kernel and stride in the graph, and transposed ones.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use crate::cpu::Isa;
use crate::cpu::conv2d as kernel;
use crate::definitions::conv2d::{Conv2dShape, check, check_transposed};
use crate::dispatch::{Backend, Kernels, dispatch};
use crate::elements::{elements, with_elements, with_elements2};
#[cfg(feature = "cuda")]
use crate::gpu_convolution;
use crate::gradient::gradient_of;
use crate::reference;
use crate::tape::{apply2, apply3};

/// Sides of the largest filters that the kernels for GPUs take.
const LARGEST_ON_GPU: usize = 7;

/// Convolution with zero padding (a cross-correlation, as in every network library).
///
/// On a GPU it multiplies in the [precision](crate::Precision) that this thread has when it calls, on the processor in
/// f32.
///
/// `x` (N,H,W,Ci), `weight` (Co,Ci,kh,kw) in PyTorch's order, `bias` (Co) if given; the result is (N,Ho,Wo,Co) with
/// `Ho = (H + 2·padding − kh) / stride + 1`, rounded down.
///
/// # Errors
/// Shapes that do not fit together, a kernel larger than the padded input, a stride of 0.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let shape = check(x, weight, bias, stride, padding)?;
    let mut tensors = vec![x, weight];
    tensors.extend(bias);
    match dispatch(&tensors, kernels(shape)) {
        Backend::Reference => reference::conv2d(x, weight, bias, stride, padding),
        #[cfg(feature = "cuda")]
        Backend::Gpu => gpu_convolution::convolution("conv2d", x, weight, bias, shape.into()),
        Backend::Cpu => {
            let (x, weight, operation) = (x.contiguous()?, weight.contiguous()?, Convolution(shape));
            match bias {
                Some(bias) => apply3(&x, &weight, &bias.contiguous()?, operation),
                None => apply2(&x, &weight, operation),
            }
        }
    }
}

/// Transposed convolution: the adjoint of [`conv2d`] with the same weight, that is its gradient with respect to the input,
/// and in its precision.
///
/// `x` (N,H,W,Ci), `weight` (Ci,Co,kh,kw) in PyTorch's order; the result is (N,Ho,Wo,Co) with
/// `Ho = (H − 1)·stride − 2·padding + kh + output_padding`.
///
/// # Errors
/// Shapes that do not fit together, an empty result, an output padding that is not below the stride.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<Tensor> {
    let shape = check_transposed(x, weight, stride, padding, output_padding)?;
    match dispatch(&[x, weight], kernels(shape)) {
        Backend::Reference => reference::conv_transpose2d(x, weight, stride, padding, output_padding),
        #[cfg(feature = "cuda")]
        Backend::Gpu => gpu_convolution::transposed("conv_transpose2d", x, weight, shape.into()),
        Backend::Cpu => apply2(&x.contiguous()?, &weight.contiguous()?, Transposed(shape)),
    }
}

/// GPUs take small square filters, which all networks here have.
fn kernels(shape: Conv2dShape) -> Kernels {
    if shape.kh == shape.kw && shape.kh <= LARGEST_ON_GPU {
        Kernels::CpuAndGpuHalf
    } else {
        Kernels::Cpu
    }
}

struct Convolution(Conv2dShape);

impl Convolution {
    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let y = kernel::forward(x, self.0, weight, bias, Isa::detect());
        let (ho, wo) = self.0.output().unwrap_or_default();
        (CpuStorage::F32(y), (self.0.n, ho, wo, self.0.co).into())
    }

    fn gradients(
        &self,
        x: &Tensor,
        weight: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (shape, isa) = (self.0, Isa::detect());
        Ok((
            gradient_of(x, || {
                with_elements2("conv2d", dy, weight, |dy, weight| {
                    Ok(kernel::backward_input(dy, shape, weight, isa))
                })
            })?,
            gradient_of(weight, || {
                with_elements2("conv2d", x, dy, |x, dy| {
                    Ok(kernel::backward_weight(x, dy, shape, isa))
                })
            })?,
        ))
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = elements("conv2d", x, x_layout)?;
        Ok(self.forward(x, elements("conv2d", weight, weight_layout)?, None))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        self.gradients(x, weight, &dy.contiguous()?)
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "conv2d"
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
        let x = elements("conv2d", x, x_layout)?;
        let weight = elements("conv2d", weight, weight_layout)?;
        Ok(self.forward(x, weight, Some(elements("conv2d", bias, bias_layout)?)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (dx, dw) = self.gradients(x, weight, &dy)?;
        let db = gradient_of(bias, || {
            with_elements("conv2d", &dy, |dy| {
                Ok(kernel::backward_bias(dy, self.0.co, Isa::detect()))
            })
        })?;
        Ok((dx, dw, db))
    }
}

/// The transposed convolution, as the adjoint of a convolution of this shape: its `x` is that one's output.
struct Transposed(Conv2dShape);

impl CustomOp2 for Transposed {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = self.0;
        let x = elements(self.name(), x, x_layout)?;
        let weight = elements(self.name(), weight, weight_layout)?;
        let y = kernel::backward_input(x, shape, weight, Isa::detect());
        Ok((CpuStorage::F32(y), (shape.n, shape.h, shape.w, shape.ci).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (shape, isa) = (self.0, Isa::detect());
        let dy = dy.contiguous()?;
        Ok((
            gradient_of(x, || {
                with_elements2(self.name(), &dy, weight, |dy, weight| {
                    Ok(kernel::forward(dy, shape, weight, None, isa))
                })
            })?,
            gradient_of(weight, || {
                with_elements2(self.name(), &dy, x, |dy, x| {
                    Ok(kernel::backward_weight(dy, x, shape, isa))
                })
            })?,
        ))
    }
}
