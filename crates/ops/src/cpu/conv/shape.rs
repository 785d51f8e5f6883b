//! Sizes of a 3x3 convolution.

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
    pub(super) fn reversed(&self) -> Self {
        Self {
            ci: self.co,
            co: self.ci,
            ..*self
        }
    }
}
