//! The discriminative network: a U-Net that locates anomalies.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_onnx::{Graph, Value};
use flawforge_ops::Mode;
use rand::Rng;

use crate::encoder_decoder::{EncoderDecoder, Layout, Stage};
use crate::prepared::Prepared;
use crate::{ModelError, ParameterSpec, Parameters};

const LAYOUT: Layout = Layout {
    inputs: 6,
    outputs: 2,
    names: ["encoder_segment", "decoder_segment"],
    encoder: &[1, 2, 4, 8, 8, 8],
    decoder: &[
        stage("_b", 8, 8, 8, 8),
        stage("1", 8, 4, 8, 4),
        stage("2", 4, 2, 4, 2),
        stage("3", 2, 1, 2, 1),
        stage("4", 1, 1, 1, 1),
    ],
};

const fn stage(name: &'static str, below: usize, up: usize, skip: usize, out: usize) -> Stage {
    Stage {
        name,
        below,
        up,
        skip,
        between: out,
        out,
    }
}

/// The network that compares an image with its reconstruction: a U-Net from 6 channels to 2 logits a pixel, channel 1
/// meaning *anomalous* (DRAEM's `DiscriminativeSubNetwork`).
///
/// The input is the reconstruction (channels 0–2), then the image (3–5); that order is DRAEM's. Softmax is left to the
/// caller. Width and height of images must be multiples of 32. DRAEM's width is 64.
#[derive(Debug, Clone)]
pub struct Discriminative(EncoderDecoder);

impl Discriminative {
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

    /// A view that shares the weights but leaves no graph behind; see
    /// [`Reconstructive::frozen`](crate::Reconstructive::frozen).
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

    /// Logits (N, H, W, 2) from reconstruction and image, joined to (N, H, W, 6) by
    /// `concat(&reconstruction, &image)`.
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
