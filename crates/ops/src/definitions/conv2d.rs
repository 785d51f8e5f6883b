//! Convolutions with any kernel, stride and padding, and their adjoints: sizes, and the tensors that fit together.

use candle_core::{Result, Tensor, bail};

use super::conv3x3::ConvShape;

/// Sizes of a convolution, as seen by its forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conv2dShape {
    /// Images in the batch.
    pub(crate) n: usize,
    /// Height of the input, in pixels.
    pub(crate) h: usize,
    /// Width of the input, in pixels.
    pub(crate) w: usize,
    /// Channels of the input.
    pub(crate) ci: usize,
    /// Channels of the output.
    pub(crate) co: usize,
    /// Height of the kernel.
    pub(crate) kh: usize,
    /// Width of the kernel.
    pub(crate) kw: usize,
    /// Pixels from one place of the kernel to the next; at least 1.
    pub(crate) stride: usize,
    /// Zeros around the input, in pixels.
    pub(crate) padding: usize,
}

impl Conv2dShape {
    /// Height and width of the output; `None` if the kernel does not fit.
    pub(crate) fn output(&self) -> Option<(usize, usize)> {
        let side = |length: usize, kernel: usize| {
            let room = (length + 2 * self.padding).checked_sub(kernel)?;
            Some(room / self.stride + 1)
        };
        Some((side(self.h, self.kh)?, side(self.w, self.kw)?))
    }

    /// Numbers in the input `[n, h, w, ci]`.
    pub(crate) fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.ci
    }

    /// Numbers in the output `[n, ho, wo, co]`; 0 if the kernel does not fit.
    pub(crate) fn output_len(&self) -> usize {
        self.output().map_or(0, |(ho, wo)| self.n * ho * wo * self.co)
    }

    /// Numbers in the weight `[co, ci, kh, kw]`.
    pub(crate) fn weight_len(&self) -> usize {
        self.co * self.ci * self.kh * self.kw
    }

    /// The same as a 3×3 convolution with stride 1 and padding 1, if it is one.
    pub(crate) fn as_3x3(&self) -> Option<ConvShape> {
        let Self { n, h, w, ci, co, .. } = *self;
        let fits = (self.kh, self.kw, self.stride, self.padding) == (3, 3, 1, 1);
        fits.then_some(ConvShape { n, h, w, ci, co })
    }
}

/// The sizes of a convolution of these tensors.
pub(crate) fn check(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Conv2dShape> {
    let (n, h, w, ci) = x.dims4()?;
    let (co, weight_ci, kh, kw) = weight.dims4()?;
    let shape = Conv2dShape {
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

/// The sizes of the convolution whose adjoint is meant.
pub(crate) fn check_transposed(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<Conv2dShape> {
    let (n, h, w, ci) = x.dims4()?;
    let (weight_ci, co, kh, kw) = weight.dims4()?;
    let side = |length: usize, kernel: usize| {
        let full = length.checked_sub(1)? * stride + kernel + output_padding;
        full.checked_sub(2 * padding).filter(|&side| side > 0)
    };
    let sides = side(h, kh).zip(side(w, kw));
    let fits = weight_ci == ci && stride > 0 && output_padding < stride;
    match sides {
        Some((height, width)) if fits && n * weight.elem_count() > 0 => Ok(Conv2dShape {
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
