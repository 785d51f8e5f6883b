//! A convolution whose weight is rearranged once and used many times.

use std::mem::MaybeUninit;

use super::choice::winograd_pays;
use super::{Algorithm, ConvShape, Prepared, arrange, convolve_prepared, serves_bf16};
use crate::cpu::Arithmetic;
use crate::cpu::lanes::with_arithmetic;
use crate::cpu::pack::{Filter, pad_bias};
use crate::cpu::pages;

/// A 3×3 convolution with bias for inference, with an optional ReLU at no cost.
///
/// The algorithm is chosen for one image of a given size when the weight is prepared, so that an image gives the same
/// numbers, bit for bit, alone and in any batch. A transformed weight takes four times the memory of a packed one.
#[derive(Debug, Clone)]
pub struct PreparedConv {
    ci: usize,
    co: usize,
    arithmetic: Arithmetic,
    winograd: bool,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl PreparedConv {
    /// Prepares `weight` `[co, ci, 3, 3]` and `bias` `[co]` for images like those of `shape`, whose `n` is of no account.
    ///
    /// # Panics
    /// When a slice has another length than `shape` says, or the processor lacks the arithmetic.
    pub(crate) fn new(
        weight: &[f32],
        bias: &[f32],
        shape: ConvShape,
        algorithm: Algorithm,
        arithmetic: impl Into<Arithmetic>,
    ) -> Self {
        assert_eq!(weight.len(), shape.weight_len(), "length of weight");
        assert_eq!(bias.len(), shape.co, "length of bias");
        let winograd = match algorithm {
            Algorithm::Auto => winograd_pays(ConvShape { n: 1, ..shape }),
            Algorithm::Direct => false,
            Algorithm::Winograd => true,
        };
        let arithmetic = arithmetic.into().bf16_if(serves_bf16(shape, winograd));
        let filter = Filter {
            weight,
            ci: shape.ci,
            co: shape.co,
            backward: false,
        };
        let (weights, bias) = with_arithmetic!(arithmetic, V => {
            (kept(&arrange::<V>(filter, winograd)), kept(&pad_bias::<V>(Some(bias), shape.co)))
        });
        Self {
            ci: shape.ci,
            co: shape.co,
            arithmetic,
            winograd,
            weights,
            bias,
        }
    }

    /// Channels in and out.
    pub fn channels(&self) -> (usize, usize) {
        (self.ci, self.co)
    }

    /// Writes the convolution of `x` `[n, h, w, ci]` to `y` `[n, h, w, co]`, negative numbers as zero when `relu`.
    ///
    /// # Panics
    /// When a slice's length does not fit n, h, w and the channels.
    pub(crate) fn forward(
        &self,
        x: &[f32],
        (n, h, w): (usize, usize, usize),
        relu: bool,
        y: &mut [MaybeUninit<f32>],
    ) {
        let (ci, co) = self.channels();
        let shape = ConvShape { n, h, w, ci, co };
        assert_eq!(x.len(), shape.input_len(), "length of x");
        assert_eq!(y.len(), shape.output_len(), "length of y");
        if y.is_empty() {
            return;
        }
        let filter = Prepared {
            weights: &self.weights,
            bias: &self.bias,
            positive: relu,
        };
        with_arithmetic!(self.arithmetic, V => convolve_prepared::<V>(x, shape, filter, self.winograd, y));
    }
}

/// A copy that stays, in large pages.
fn kept(values: &[f32]) -> Vec<f32> {
    let mut copy = pages::vector(values.len());
    copy.extend_from_slice(values);
    copy
}
