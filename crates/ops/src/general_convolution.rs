//! Convolutions with any kernel and stride in the graph, and transposed ones.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::cpu::Isa;
use crate::cpu::conv::general::{self, GeneralShape};
use crate::dispatch::{elements, kernels_serve, with_elements, with_elements2};
use crate::reference;
use crate::tape::{apply2, apply3};

/// Convolution with zero padding (a cross-correlation, as in every network library).
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
    let shape = convolution_shape(x, weight, bias, stride, padding)?;
    match bias {
        Some(bias) if kernels_serve(&[x, weight, bias]) => apply3(
            &x.contiguous()?,
            &weight.contiguous()?,
            &bias.contiguous()?,
            Convolution(shape),
        ),
        None if kernels_serve(&[x, weight]) => {
            apply2(&x.contiguous()?, &weight.contiguous()?, Convolution(shape))
        }
        _ => reference::conv2d(x, weight, bias, stride, padding),
    }
}

/// Transposed convolution: the adjoint of [`conv2d`] with the same weight, that is its gradient with respect to the input.
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
    let shape = transposed_shape(x, weight, stride, padding, output_padding)?;
    if kernels_serve(&[x, weight]) {
        apply2(&x.contiguous()?, &weight.contiguous()?, Transposed(shape))
    } else {
        reference::conv_transpose2d(x, weight, stride, padding, output_padding)
    }
}

struct Convolution(GeneralShape);

impl Convolution {
    fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> (CpuStorage, Shape) {
        let y = general::forward(x, self.0, weight, bias, Isa::detect());
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
            wanted(x, || {
                with_elements2("conv2d", dy, weight, |dy, weight| {
                    Ok(general::backward_input(dy, shape, weight, isa))
                })
            })?,
            wanted(weight, || {
                with_elements2("conv2d", x, dy, |x, dy| {
                    Ok(general::backward_weight(x, dy, shape, isa))
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
        let db = wanted(bias, || {
            with_elements("conv2d", &dy, |dy| {
                Ok(general::backward_bias(dy, self.0.co, Isa::detect()))
            })
        })?;
        Ok((dx, dw, db))
    }
}

/// The transposed convolution, as the adjoint of a convolution of this shape: its `x` is that one's output.
struct Transposed(GeneralShape);

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
        let y = general::backward_input(x, shape, weight, Isa::detect());
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
            wanted(x, || {
                with_elements2(self.name(), &dy, weight, |dy, weight| {
                    Ok(general::forward(dy, shape, weight, None, isa))
                })
            })?,
            wanted(weight, || {
                with_elements2(self.name(), &dy, x, |dy, x| {
                    Ok(general::backward_weight(dy, x, shape, isa))
                })
            })?,
        ))
    }
}

/// The gradient of a tensor that wants one.
fn wanted(tensor: &Tensor, compute: impl FnOnce() -> Result<Vec<f32>>) -> Result<Option<Tensor>> {
    if !tensor.track_op() {
        return Ok(None);
    }
    Tensor::from_vec(compute()?, tensor.shape(), tensor.device()).map(Some)
}

pub(crate) fn convolution_shape(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<GeneralShape> {
    let (n, h, w, ci) = x.dims4()?;
    let (co, weight_ci, kh, kw) = weight.dims4()?;
    let shape = GeneralShape {
        n,
        h,
        w,
        ci,
        co,
        kh,
        kw,
        stride,
        padding,
    };
    let fits = weight_ci == ci && bias.is_none_or(|bias| bias.dims() == [co]);
    if !fits || stride == 0 || n * h * w * shape.weight_len() == 0 || shape.output().is_none() {
        bail!(
            "conv2d: input {:?} (N,H,W,Ci), weight {:?} (Co,Ci,kh,kw) and bias {:?} (Co) do not fit together with \
             stride {stride} and padding {padding}, or are empty",
            x.dims(),
            weight.dims(),
            bias.map(|bias| bias.dims())
        );
    }
    Ok(shape)
}

/// The shape of the convolution whose adjoint is meant.
pub(crate) fn transposed_shape(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<GeneralShape> {
    let (n, h, w, ci) = x.dims4()?;
    let (weight_ci, co, kh, kw) = weight.dims4()?;
    let side = |length: usize, kernel: usize| {
        let full = length.checked_sub(1)? * stride + kernel + output_padding;
        full.checked_sub(2 * padding).filter(|&side| side > 0)
    };
    let sides = side(h, kh).zip(side(w, kw));
    let fits = weight_ci == ci && stride > 0 && output_padding < stride;
    match sides {
        Some((height, width)) if fits && n * weight.elem_count() > 0 => Ok(GeneralShape {
            n,
            h: height,
            w: width,
            ci: co,
            co: ci,
            kh,
            kw,
            stride,
            padding,
        }),
        _ => bail!(
            "conv_transpose2d: input {:?} (N,H,W,Ci) and weight {:?} (Ci,Co,kh,kw) do not fit together with stride \
             {stride}, padding {padding} and output padding {output_padding}, or the result is empty",
            x.dims(),
            weight.dims()
        ),
    }
}
