//! 3x3 convolution with padding 1 and stride 1 in NHWC order, and its gradients.
//!
//! Two algorithms give the same result up to rounding: [`Algorithm::Direct`] and [`Algorithm::Winograd`], which
//! needs a quarter of the multiplications. For a given instruction set the result is the same, bit for bit, for any
//! number of threads. All numbers of channels, heights and widths from 1 on are allowed.

mod choice;
mod direct;
mod prepared;
#[cfg(test)]
mod tests;
pub(super) mod weight_gradient;
mod winograd;

use std::mem::MaybeUninit;

pub use self::prepared::PreparedConv;
pub use crate::definitions::conv3x3::ConvShape;

use self::choice::{winograd_gradient_pays, winograd_pays};
use crate::cpu::lanes::{Lanes, with_arithmetic, with_lanes};
use crate::cpu::pack::{Filter, pad_bias};
use crate::cpu::pages;
use crate::cpu::scratch::Scratch;
use crate::cpu::{Arithmetic, Isa};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Whichever was measured to be faster for such a shape.
    #[default]
    Auto,
    /// Products and sums as in the definition: relative error about 1e-7, 2e-3 with products in bfloat16.
    Direct,
    /// Winograd's F(4x4, 3x3): relative error about 1e-6, 1e-2 with products in bfloat16.
    Winograd,
}

/// `y[n, h, w, co] = x * weight + bias`.
///
/// `x` is `[n, h, w, ci]`, `weight` is `[co, ci, 3, 3]`, `bias` is `[co]`.
///
/// # Panics
/// When a slice has another length than `shape` says, or the processor lacks the arithmetic.
pub fn forward(
    x: &[f32],
    shape: ConvShape,
    weight: &[f32],
    bias: Option<&[f32]>,
    algorithm: Algorithm,
    arithmetic: impl Into<Arithmetic>,
) -> Vec<f32> {
    assert_eq!(x.len(), shape.input_len(), "length of x");
    assert_eq!(weight.len(), shape.weight_len(), "length of weight");
    assert!(bias.is_none_or(|bias| bias.len() == shape.co), "length of bias");
    let filter = Filter {
        weight,
        ci: shape.ci,
        co: shape.co,
        backward: false,
    };
    filled(shape.output_len(), |y| {
        convolve(x, shape, filter, bias, algorithm, arithmetic.into(), y)
    })
}

/// Gradient of the input `[n, h, w, ci]` from the gradient `dy` of the output `[n, h, w, co]`.
///
/// # Panics
/// As [`forward`].
pub fn backward_input(
    dy: &[f32],
    shape: ConvShape,
    weight: &[f32],
    algorithm: Algorithm,
    arithmetic: impl Into<Arithmetic>,
) -> Vec<f32> {
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    assert_eq!(weight.len(), shape.weight_len(), "length of weight");
    let shape = shape.reversed();
    let filter = Filter {
        weight,
        ci: shape.ci,
        co: shape.co,
        backward: true,
    };
    filled(shape.output_len(), |dx| {
        convolve(dy, shape, filter, None, algorithm, arithmetic.into(), dx)
    })
}

/// Gradient of the weight `[co, ci, 3, 3]` from the input `x` and the gradient `dy` of the output.
///
/// # Panics
/// As [`forward`].
pub fn backward_weight(
    x: &[f32],
    dy: &[f32],
    shape: ConvShape,
    algorithm: Algorithm,
    arithmetic: impl Into<Arithmetic>,
) -> Vec<f32> {
    assert_eq!(x.len(), shape.input_len(), "length of x");
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    if shape.n == 0 {
        return vec![0.0; shape.weight_len()];
    }
    filled(shape.weight_len(), |dw| {
        gradient(x, dy, shape, algorithm, arithmetic.into(), dw, None)
    })
}

/// What [`backward_weight`] and [`backward_bias`] give, in one pass over `dy` where the algorithm allows.
///
/// # Panics
/// As [`forward`].
pub fn backward_parameters(
    x: &[f32],
    dy: &[f32],
    shape: ConvShape,
    algorithm: Algorithm,
    arithmetic: impl Into<Arithmetic>,
) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(x.len(), shape.input_len(), "length of x");
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    if shape.n == 0 {
        return (vec![0.0; shape.weight_len()], vec![0.0; shape.co]);
    }
    let mut db = vec![0.0; shape.co];
    let dw = filled(shape.weight_len(), |dw| {
        gradient(x, dy, shape, algorithm, arithmetic.into(), dw, Some(&mut db))
    });
    (dw, db)
}

/// Gradient of the bias `[co]`: the sum of `dy`, `[n, h, w, co]`, over all pixels.
///
/// # Panics
/// As [`forward`].
pub fn backward_bias(dy: &[f32], shape: ConvShape, isa: Isa) -> Vec<f32> {
    assert_eq!(dy.len(), shape.output_len(), "length of dy");
    if shape.n == 0 {
        return vec![0.0; shape.co];
    }
    let mut db = vec![0.0; shape.co];
    with_lanes!(isa, V => weight_gradient::bias::<V>(dy, shape.co, &mut db));
    db
}

fn convolve(
    x: &[f32],
    shape: ConvShape,
    filter: Filter<'_>,
    bias: Option<&[f32]>,
    algorithm: Algorithm,
    arithmetic: Arithmetic,
    y: &mut [MaybeUninit<f32>],
) {
    let winograd = match algorithm {
        Algorithm::Auto => winograd_pays(shape),
        Algorithm::Direct => false,
        Algorithm::Winograd => true,
    };
    with_arithmetic!(arithmetic.bf16_if(serves_bf16(shape, winograd)), V => {
        let (weights, bias) = (arrange::<V>(filter, winograd), pad_bias::<V>(bias, shape.co));
        let filter = Prepared {
            weights: &weights,
            bias: &bias,
            positive: false,
        };
        convolve_prepared::<V>(x, shape, filter, winograd, y);
    });
}

/// Up to this many channels an input or output is an image, or a few of them, or logits.
const IMAGE_CHANNELS: usize = 8;

/// Whether a convolution multiplies in bfloat16 where it is told to. Layers that read or write images stay in f32:
/// rounding costs one grey level and more there, which is what the second network looks for, and they are cheap. Direct
/// convolutions read pairs of channels where they lie.
fn serves_bf16(shape: ConvShape, winograd: bool) -> bool {
    shape.ci.min(shape.co) > IMAGE_CHANNELS && (winograd || shape.ci.is_multiple_of(2))
}

/// A filter in the order that an algorithm wants, and what is done to the sums at the end.
#[derive(Clone, Copy)]
struct Prepared<'a> {
    /// From [`arrange`].
    weights: &'a [f32],
    /// From [`pad_bias`].
    bias: &'a [f32],
    /// Whether negative results become zero: a ReLU.
    positive: bool,
}

fn arrange<V: Lanes>(filter: Filter<'_>, winograd: bool) -> Scratch {
    if winograd {
        winograd::transform_filter::<V>(filter)
    } else {
        filter.pack_words::<V>()
    }
}

fn convolve_prepared<V: Lanes>(
    x: &[f32],
    shape: ConvShape,
    filter: Prepared<'_>,
    winograd: bool,
    y: &mut [MaybeUninit<f32>],
) {
    if winograd {
        winograd::convolve::<V>(x, shape, filter, y);
    } else {
        direct::convolve::<V>(x, shape, filter, y);
    }
}

fn gradient(
    x: &[f32],
    dy: &[f32],
    shape: ConvShape,
    algorithm: Algorithm,
    arithmetic: Arithmetic,
    dw: &mut [MaybeUninit<f32>],
    db: Option<&mut [f32]>,
) {
    let winograd = match algorithm {
        Algorithm::Auto => winograd_gradient_pays(shape),
        Algorithm::Direct => false,
        Algorithm::Winograd => true,
    };
    if winograd {
        let arithmetic = arithmetic.bf16_if(serves_bf16(shape, winograd));
        with_arithmetic!(arithmetic, V => winograd::weight_gradient::<V>(x, dy, shape, dw, db));
    } else {
        // Always in f32: what is left to it are layers with few channels or few pixels.
        with_lanes!(arithmetic.isa(), V => {
            weight_gradient::direct::<V>(x, dy, shape, dw);
            if let Some(db) = db {
                weight_gradient::bias::<V>(dy, shape.co, db);
            }
        });
    }
}

/// A vector of `len` numbers, all of which `fill` writes.
pub(super) fn filled(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut values = pages::vector(len);
    // An empty batch has nothing to compute.
    if len > 0 {
        fill(&mut values.spare_capacity_mut()[..len]);
    }
    // SAFETY: the kernels write every number of their output, which the tests check on outputs full of NaN.
    unsafe { values.set_len(len) };
    values
}
