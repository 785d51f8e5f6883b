//! In main memory, whose pool takes what is dropped.

use candle_core::{Result, bail};

use crate::cpu::conv3x3::{Algorithm, PreparedConv};
use crate::cpu::scratch::Scratch;
use crate::cpu::{self, Isa, activation};
use crate::definitions::conv3x3::ConvShape;
use crate::precision::Precision;

/// Feature maps in NHWC order, in memory from a pool.
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) values: Scratch,
    pub(super) dims: (usize, usize, usize, usize),
}

impl Maps {
    /// A copy of n·h·w·c values.
    pub(super) fn from_slice(values: &[f32], dims: (usize, usize, usize, usize)) -> Self {
        let mut copy = Self::empty(dims);
        copy.values.copy_from_slice(values);
        copy
    }

    /// Memory with whatever is in it.
    pub(super) fn empty((n, h, w, c): (usize, usize, usize, usize)) -> Self {
        Self {
            values: Scratch::take(n * h * w * c),
            dims: (n, h, w, c),
        }
    }
}

/// A convolution for images of this height and width, in this thread's precision.
pub(super) fn prepare(weight: &[f32], bias: &[f32], shape: ConvShape) -> PreparedConv {
    PreparedConv::new(
        weight,
        bias,
        shape,
        Algorithm::Auto,
        Precision::current().arithmetic(),
    )
}

pub(super) fn conv3x3(x: &Maps, conv: &PreparedConv, relu: bool) -> Result<Maps> {
    let (n, h, w, channels) = x.dims;
    let (inputs, outputs) = conv.channels();
    if channels != inputs {
        bail!("conv3x3: input has {channels} channels, the convolution reads {inputs}");
    }
    let mut y = Maps::empty((n, h, w, outputs));
    conv.forward(&x.values, (n, h, w), relu, y.values.output());
    Ok(y)
}

pub(super) fn max_pool2(x: &Maps) -> Maps {
    let (n, h, w, c) = x.dims;
    let mut y = Maps::empty((n, h / 2, w / 2, c));
    cpu::max_pool::forward2_into(&x.values, w, c, Isa::detect(), y.values.output());
    y
}

pub(super) fn upsample2(x: &Maps) -> Maps {
    let (n, h, w, c) = x.dims;
    let mut y = Maps::empty((n, 2 * h, 2 * w, c));
    cpu::upsample::forward_into(&x.values, (h, w, c), Isa::detect(), y.values.output());
    y
}

pub(super) fn concat(a: &Maps, b: &Maps) -> Maps {
    let ((n, h, w, ca), (_, _, _, cb)) = (a.dims, b.dims);
    let mut y = Maps::empty((n, h, w, ca + cb));
    cpu::concat::concat_into(&a.values, &b.values, ca, cb, y.values.output());
    y
}

pub(super) fn softmax(x: &Maps) -> Vec<f32> {
    activation::softmax(&x.values, x.dims.3)
}
