//! The reconstructive network: an autoencoder that repairs.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_onnx::{Graph, Value};
use flawforge_ops::Mode;
use rand::Rng;

use crate::encoder_decoder::{EncoderDecoder, Layout, Stage};
use crate::prepared::Prepared;
use crate::{ModelError, ParameterSpec, Parameters};

const LAYOUT: Layout = Layout {
    inputs: 3,
    outputs: 3,
    names: ["encoder", "decoder"],
    encoder: &[1, 2, 4, 8, 8],
    decoder: &[
        stage("1", 8, 4),
        stage("2", 4, 2),
        stage("3", 2, 1),
        stage("4", 1, 1),
    ],
};

const fn stage(name: &'static str, inputs: usize, out: usize) -> Stage {
    Stage {
        name,
        below: inputs,
        up: inputs,
        skip: 0,
        between: inputs,
        out,
    }
}

/// The network that redraws an image without its anomaly: an autoencoder without skips, 3 channels to 3, linear output
/// (DRAEM's `ReconstructiveSubNetwork`).
///
/// ```text
/// 3 → w ─ pool ─ 2w ─ pool ─ 4w ─ pool ─ 8w ─ pool ─ 8w ─ up ─ 4w ─ up ─ 2w ─ up ─ w ─ up ─ w → 3
/// ```
/// Width and height of images must be multiples of 16. DRAEM's width is 128.
#[derive(Debug, Clone)]
pub struct Reconstructive(EncoderDecoder);

impl Reconstructive {
    /// What width and height of images must be multiples of.
    pub const MULTIPLE: usize = LAYOUT.multiple();

    /// The tensors of a network of this width, in order.
    pub fn specification(width: usize) -> Vec<ParameterSpec> {
        LAYOUT.specification(width)
    }

    /// A fresh f32 network.
    ///
    /// # Errors
    /// A width of 0, or a failed allocation.
    pub fn new(width: usize, rng: &mut impl Rng, device: &Device) -> Result<Self, ModelError> {
        EncoderDecoder::new(&LAYOUT, width, rng, device).map(Self)
    }

    /// An f32 network with the given weights; its width is that of the first convolution.
    ///
    /// # Errors
    /// Those of [`Parameters::load`].
    pub fn from_tensors(tensors: &HashMap<String, Tensor>, device: &Device) -> Result<Self, ModelError> {
        EncoderDecoder::from_tensors(&LAYOUT, tensors, device).map(Self)
    }

    /// A view that shares the weights but leaves no graph behind: no gradient reaches its weights, and activations are
    /// freed as soon as they have been used.
    ///
    /// # Errors
    /// None in practice: the weights are there.
    pub fn frozen(&self) -> Result<Self, ModelError> {
        self.0.frozen().map(Self)
    }

    /// An independent copy in another floating-point type.
    ///
    /// # Errors
    /// As [`Parameters::to_dtype`].
    pub fn to_dtype(&self, dtype: DType) -> Result<Self, ModelError> {
        self.0.to_dtype(dtype).map(Self)
    }

    /// The reconstruction (N, H, W, 3) of images (N, H, W, 3) with values in \[0, 1\].
    ///
    /// `mode` says where batch norms take their statistics from; whether gradients flow is a question of the network
    /// ([`frozen`](Self::frozen) or not), so that [`Mode::Eval`] with gradients is possible too.
    ///
    /// # Errors
    /// Input of another shape, or not divisible by [`MULTIPLE`](Self::MULTIPLE).
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        self.0.forward(x, mode)
    }

    /// The network for inference on images of the given height and width, with its present weights.
    pub(crate) fn prepare(&self, size: (usize, usize)) -> Result<Prepared, ModelError> {
        self.0.prepare(size)
    }

    /// The network as a graph, on (N, channels, H, W).
    pub(crate) fn graph(&self, graph: &mut Graph, x: Value) -> Result<Value, ModelError> {
        self.0.graph(graph, x)
    }

    /// The weights; a handle that shares them.
    pub fn parameters(&self) -> &Parameters {
        self.0.parameters()
    }

    /// Channels of the first block.
    pub fn width(&self) -> usize {
        self.0.width()
    }
}
