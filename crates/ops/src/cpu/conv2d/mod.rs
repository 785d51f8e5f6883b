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

pub(super) mod gather;
mod scatter;
pub(super) mod strip;
#[cfg(test)]
mod tests;
mod weight;

use crate::cpu::isa::Isa;
use crate::cpu::lanes::with_lanes;

use super::conv3x3::{self, Algorithm, filled};
pub(crate) use crate::definitions::conv2d::Conv2dShape;
use crate::definitions::conv3x3::ConvShape;

/// `y[n, ho, wo, co] = x * weight + bias`.
///
/// `x` is `[n, h, w, ci]`, `weight` is `[co, ci, kh, kw]`, `bias` is `[co]`.
///
/// # Panics
/// When a slice has another length than `shape` says, the kernel does not fit, or the processor lacks `isa`.
pub(crate) fn forward(
    x: &[f32],
    shape: Conv2dShape,
    weight: &[f32],
    bias: Option<&[f32]>,
    isa: Isa,
) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return conv3x3::forward(x, shape, weight, bias, Algorithm::Auto, isa);
    }
    checked(shape);
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
pub(crate) fn backward_input(dy: &[f32], shape: Conv2dShape, weight: &[f32], isa: Isa) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return conv3x3::backward_input(dy, shape, weight, Algorithm::Auto, isa);
    }
    checked(shape);
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
pub(crate) fn backward_weight(x: &[f32], dy: &[f32], shape: Conv2dShape, isa: Isa) -> Vec<f32> {
    if let Some(shape) = shape.as_3x3() {
        return conv3x3::backward_weight(x, dy, shape, Algorithm::Auto, isa);
    }
    checked(shape);
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
pub(crate) fn backward_bias(dy: &[f32], co: usize, isa: Isa) -> Vec<f32> {
    let pixels = dy.len() / co;
    let shape = ConvShape {
        n: pixels,
        h: 1,
        w: 1,
        ci: 1,
        co,
    };
    conv3x3::backward_bias(dy, shape, isa)
}

/// Height and width of the output of a convolution whose kernel fits.
fn checked(shape: Conv2dShape) -> (usize, usize) {
    assert!(shape.stride > 0, "stride");
    shape.output().expect("the kernel fits into the padded input")
}
