//! The 3x3 convolution: sizes, and the tensors that fit together.

use candle_core::{Result, Tensor, bail};

/// Sizes of a 3x3 convolution with padding 1 and stride 1, as seen by its forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Images in the batch.
    pub n: usize,
    /// Height of input and output, in pixels.
    pub h: usize,
    /// Width of input and output, in pixels.
    pub w: usize,
    /// Channels of the input.
    pub ci: usize,
    /// Channels of the output.
    pub co: usize,
}

impl ConvShape {
    /// Numbers in the input `[n, h, w, ci]`.
    pub fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.ci
    }

    /// Numbers in the output `[n, h, w, co]`.
    pub fn output_len(&self) -> usize {
        self.n * self.h * self.w * self.co
    }

    /// Numbers in the weight `[co, ci, 3, 3]`.
    pub fn weight_len(&self) -> usize {
        self.co * self.ci * 9
    }

    /// Floating-point operations of one pass computed directly (a multiplication and an addition count two).
    pub fn flops(&self) -> u64 {
        2 * (self.n * self.h * self.w) as u64 * self.weight_len() as u64
    }

    /// The convolution that turns the gradient of the output into that of the input.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            ci: self.co,
            co: self.ci,
            ..*self
        }
    }
}

/// The sizes of a convolution of these tensors.
pub(crate) fn check(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<ConvShape> {
    let (n, h, w, ci) = x.dims4()?;
    let (co, weight_ci, kh, kw) = weight.dims4()?;
    if weight_ci != ci || (kh, kw) != (3, 3) || bias.dims() != [co] {
        bail!(
            "conv3x3: input {:?} (N,H,W,Ci), weight {:?} (Co,Ci,3,3) and bias {:?} (Co) do not fit together",
            x.dims(),
            weight.dims(),
            bias.dims()
        );
    }
    if n * h * w * ci * co == 0 {
        bail!(
            "conv3x3: empty input {:?} or weight {:?}",
            x.dims(),
            weight.dims()
        );
    }
    Ok(ConvShape { n, h, w, ci, co })
}
