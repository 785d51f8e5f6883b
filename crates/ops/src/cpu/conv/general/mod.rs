//! Convolution with any kernel, stride and padding in NHWC order, its gradients, and the transposed convolution.
//!
//! Nothing is gathered into a matrix of patches. In NHWC order the taps of one row are a run of `kw * ci` numbers, and
//! the runs of neighbouring output pixels begin `stride * ci` numbers apart, so that a row of output is a matrix product
//! whose left operand is the (zero-bordered) input itself:
//!
//! * [`gather`]: the convolution;
//! * [`scatter`]: its adjoint, which is the gradient of the input and also the transposed convolution. The pixels of one
//!   phase (position modulo the stride) see one subset of the taps, and for them it is a convolution with stride 1;
//! * [`weight`]: the gradient of the weight, sums over pixels of the same runs.
//!
//! For a given instruction set the result is the same, bit for bit, for any number of threads.

mod gather;
mod scatter;
mod strip;
#[cfg(test)]
mod tests;
mod weight;

use crate::cpu::isa::Isa;
use crate::cpu::lanes::with_lanes;

use super::{Algorithm, ConvShape, filled};

/// Sizes of a convolution, as seen by its forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneralShape {
    /// Images in the batch.
    pub n: usize,
    /// Height of the input, in pixels.
    pub h: usize,
    /// Width of the input, in pixels.
    pub w: usize,
    /// Channels of the input.
    pub ci: usize,
    /// Channels of the output.
    pub co: usize,
    /// Height of the kernel.
    pub kh: usize,
    /// Width of the kernel.
    pub kw: usize,
    /// Pixels from one place of the kernel to the next; at least 1.
    pub stride: usize,
    /// Zeros around the input, in pixels.
    pub padding: usize,
}

impl GeneralShape {
    /// Height and width of the output; `None` if the kernel does not fit.
    pub fn output(&self) -> Option<(usize, usize)> {
        let side = |length: usize, kernel: usize| {
            let room = (length + 2 * self.padding).checked_sub(kernel)?;
            Some(room / self.stride + 1)
        };
        Some((side(self.h, self.kh)?, side(self.w, self.kw)?))
    }

    /// Numbers in the input `[n, h, w, ci]`.
    pub fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.ci
    }

    /// Numbers in the output `[n, ho, wo, co]`; 0 if the kernel does not fit.
    pub fn output_len(&self) -> usize {
        self.output().map_or(0, |(ho, wo)| self.n * ho * wo * self.co)
    }

    /// Numbers in the weight `[co, ci, kh, kw]`.
    pub fn weight_len(&self) -> usize {
        self.co * self.ci * self.kh * self.kw
    }

    /// The shape for the kernels that know nothing else.
    fn as_3x3(&self) -> Option<ConvShape> {
        let Self { n, h, w, ci, co, .. } = *self;
        let fits = (self.kh, self.kw, self.stride, self.padding) == (3, 3, 1, 1);
        fits.then_some(ConvShape { n, h, w, ci, co })
    }

    fn checked(&self) -> (usize, usize) {
        assert!(self.stride > 0, "stride");
        self.output().expect("the kernel fits into the padded input")
    }
}

/// `y[n, ho, wo, co] = x * weight + bias`.
///
/// `x` is `[n, h, w, ci]`, `weight` is `[co, ci, kh, kw]`, `bias` is `[co]`.
///
/// # Panics
/// When a slice has another length than `shape` says, the kernel does not fit, or the processor lacks `isa`.
pub fn forward(x: &[f32], shape: GeneralShape, weight: &[f32], bias: Option<&[f32]>, isa: Isa) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return super::forward(x, shape, weight, bias, Algorithm::Auto, isa);
    }
    shape.checked();
    assert_eq!(x.len(), shape.input_len(), "length of x");
    assert_eq!(weight.len(), shape.weight_len(), "length of weight");
    assert!(bias.is_none_or(|bias| bias.len() == shape.co), "length of bias");
    filled(
        shape.output_len(),
        |y| with_lanes!(isa, V => gather::convolve::<V>(x, shape, weight, bias, y)),
    )
}

/// Gradient of the input `[n, h, w, ci]` from the gradient `dy` of the output `[n, ho, wo, co]`; also the transposed
/// convolution of `dy`.
///
/// # Panics
/// As [`forward`].
pub fn backward_input(dy: &[f32], shape: GeneralShape, weight: &[f32], isa: Isa) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return super::backward_input(dy, shape, weight, Algorithm::Auto, isa);
    }
    shape.checked();
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    assert_eq!(weight.len(), shape.weight_len(), "length of weight");
    filled(
        shape.input_len(),
        |dx| with_lanes!(isa, V => scatter::convolve::<V>(dy, shape, weight, dx)),
    )
}

/// Gradient of the weight `[co, ci, kh, kw]` from the input `x` and the gradient `dy` of the output.
///
/// # Panics
/// As [`forward`].
pub fn backward_weight(x: &[f32], dy: &[f32], shape: GeneralShape, isa: Isa) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return super::backward_weight(x, dy, shape, Algorithm::Auto, isa);
    }
    shape.checked();
    assert_eq!(x.len(), shape.input_len(), "length of x");
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    if shape.n == 0 {
        return vec![0.0; shape.weight_len()];
    }
    filled(
        shape.weight_len(),
        |dw| with_lanes!(isa, V => weight::gradient::<V>(x, dy, shape, dw)),
    )
}

/// Gradient of the bias `[co]`: the sum of `dy`, `[.., co]`, over all pixels.
///
/// # Panics
/// As [`forward`].
pub fn backward_bias(dy: &[f32], co: usize, isa: Isa) -> Vec<f32> {
    let pixels = dy.len() / co;
    let shape = ConvShape {
        n: pixels,
        h: 1,
        w: 1,
        ci: 1,
        co,
    };
    super::backward_bias(dy, shape, isa)
}
