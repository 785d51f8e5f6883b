//! The network of NSA: a residual encoder and a decoder that mirrors it.

mod onnx;

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flawforge_ops::{Mode, max_pool3, sigmoid, upsample2};
use rand::Rng;

use crate::layers::{Plan, Tracking, check_input};
use crate::residual::{Block, BlockPlan, ConvShape, ConvUnit, plan_conv, plan_norm};
use crate::{ModelError, ParameterSpec, Parameters};

/// The network that marks anomalies in one pass (NSA's code: `resnet18_enc_dec`): ResNet-18 without its classifier, two
/// 1×1 convolutions, three residual blocks with transposed convolutions, ×2 bilinear, a transposed 7×7 convolution, sigmoid.
///
/// ```text
/// 3 → w/2 ─ pool/4 ─ w ─ 2w/8 ─ 4w/16 ─ 8w/32 ─ 4w ─ 2w ─ w/16 ─ ½w/8 ─ ¼w/4 ─ bilinear/2 ─ 1/1
/// ```
/// (channels/scale). Width and height of images must be multiples of 32. NSA's width is 64: 11,497,712 parameters.
#[derive(Debug, Clone)]
pub struct NsaNetwork {
    width: usize,
    parameters: Parameters,
    stem: ConvUnit,
    encoder: Vec<Block>,
    bottleneck: [ConvUnit; 2],
    decoder: Vec<Block>,
    last: ConvUnit,
}

/// The parts of a network of some width.
struct Parts {
    stem: ConvShape,
    encoder: Vec<(String, BlockPlan)>,
    bottleneck: [ConvShape; 2],
    decoder: Vec<(String, BlockPlan)>,
    last: ConvShape,
}

impl Parts {
    fn new(width: usize) -> Self {
        let mut encoder = Vec::new();
        let mut channels = width;
        for stage in 1..=4 {
            let outputs = width << (stage - 1);
            let stride = if stage == 1 { 1 } else { 2 };
            encoder.push((
                format!("encoder.layer{stage}.0"),
                BlockPlan::basic(channels, outputs, stride),
            ));
            encoder.push((
                format!("encoder.layer{stage}.1"),
                BlockPlan::basic(outputs, outputs, 1),
            ));
            channels = outputs;
        }
        let decoder = (1..=3)
            .map(|stage| {
                let inputs = (2 * width) >> (stage - 1);
                let name = format!("decoder.uplayer{stage}.0");
                (name, BlockPlan::doubling(inputs, inputs / 2))
            })
            .collect();
        Self {
            stem: ConvShape::new(3, width, 7, 2),
            encoder,
            bottleneck: [
                ConvShape::new(8 * width, 4 * width, 1, 1),
                ConvShape::new(4 * width, 2 * width, 1, 1),
            ],
            decoder,
            last: ConvShape::doubling(width / 4, 1, 7),
        }
    }
}

impl NsaNetwork {
    /// What width and height of images must be multiples of.
    pub const MULTIPLE: usize = 32;
    /// What the network's width must be a multiple of.
    pub const WIDTH_MULTIPLE: usize = 4;

    /// The tensors of a network of this width, in order.
    pub fn specification(width: usize) -> Vec<ParameterSpec> {
        let parts = Parts::new(width);
        let mut plan = Plan::default();
        plan_conv(&mut plan, "encoder.conv1", parts.stem);
        plan_norm(&mut plan, "encoder.bn1", width);
        for (name, block) in &parts.encoder {
            block.add_to(&mut plan, name);
        }
        plan_conv(&mut plan, "bottleneck.0", parts.bottleneck[0]);
        plan_conv(&mut plan, "bottleneck.2", parts.bottleneck[1]);
        for (name, block) in &parts.decoder {
            block.add_to(&mut plan, name);
        }
        plan_conv(&mut plan, "decoder.final", parts.last);
        plan.0
    }

    /// A fresh f32 network.
    ///
    /// # Errors
    /// A width that is no positive multiple of [`WIDTH_MULTIPLE`](Self::WIDTH_MULTIPLE), or a failed allocation.
    pub fn new(width: usize, rng: &mut impl Rng, device: &Device) -> Result<Self, ModelError> {
        check_width(width)?;
        let parameters = Parameters::initialize(Self::specification(width), rng, device)?;
        Self::assemble(width, parameters)
    }

    /// An f32 network with the given weights; its width is that of the first convolution.
    ///
    /// # Errors
    /// Those of [`Parameters::load`], and of [`new`](Self::new).
    pub fn from_tensors(tensors: &HashMap<String, Tensor>, device: &Device) -> Result<Self, ModelError> {
        let name = "encoder.conv1.weight";
        let first = tensors
            .get(name)
            .ok_or_else(|| ModelError::MissingTensor { name: name.into() })?;
        let width = first.dims().first().copied().unwrap_or(0);
        check_width(width)?;
        let parameters = Parameters::from_tensors(Self::specification(width), tensors, device)?;
        Self::assemble(width, parameters)
    }

    fn assemble(width: usize, parameters: Parameters) -> Result<Self, ModelError> {
        let parts = Parts::new(width);
        let (p, tracking) = (&parameters, Tracking::Gradient);
        let build = |blocks: &[(String, BlockPlan)]| {
            blocks
                .iter()
                .map(|(name, block)| block.build(p, name, tracking))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            width,
            stem: ConvUnit::new(p, "encoder.conv1", "encoder.bn1", parts.stem, tracking)?,
            encoder: build(&parts.encoder)?,
            bottleneck: [
                ConvUnit::bare(p, "bottleneck.0", parts.bottleneck[0], tracking)?,
                ConvUnit::bare(p, "bottleneck.2", parts.bottleneck[1], tracking)?,
            ],
            decoder: build(&parts.decoder)?,
            last: ConvUnit::bare(p, "decoder.final", parts.last, tracking)?,
            parameters,
        })
    }

    /// The anomaly map (N, H, W, 1), values in \[0, 1\], of images (N, H, W, 3) normalised by
    /// [`imagenet_normalized`](crate::imagenet_normalized).
    ///
    /// # Errors
    /// Input of another shape, or not divisible by [`MULTIPLE`](Self::MULTIPLE).
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let logits = self.logits(x, mode)?;
        if mode == Mode::Train {
            self.parameters.count_batch();
        }
        Ok(sigmoid(&logits)?)
    }

    /// The map before the sigmoid, (N, H, W, 1).
    fn logits(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        check_input(x, 3, Self::MULTIPLE)?;
        let mut x = max_pool3(&self.stem.forward(x, mode, true)?)?;
        for block in &self.encoder {
            x = block.forward(&x, mode)?;
        }
        for unit in &self.bottleneck {
            x = unit.forward(&x, mode, true)?;
        }
        for block in &self.decoder {
            x = block.forward(&x, mode)?;
        }
        self.last.forward(&upsample2(&x)?, mode, false)
    }

    /// A copy for evaluation: without gradients, batch norms folded with their present statistics where they can be.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn folded(&self) -> Result<Self, ModelError> {
        let frozen = |unit: &ConvUnit| unit.detached().folded();
        let blocks = |blocks: &[Block]| {
            blocks
                .iter()
                .map(|block| block.detached().folded())
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            width: self.width,
            parameters: self.parameters.clone(),
            stem: frozen(&self.stem)?,
            encoder: blocks(&self.encoder)?,
            bottleneck: [frozen(&self.bottleneck[0])?, frozen(&self.bottleneck[1])?],
            decoder: blocks(&self.decoder)?,
            last: frozen(&self.last)?,
        })
    }

    /// The weights; a handle that shares them.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The network's width.
    pub fn width(&self) -> usize {
        self.width
    }
}

fn check_width(width: usize) -> Result<(), ModelError> {
    match width {
        0 => Err(ModelError::NoWidth),
        width if width % NsaNetwork::WIDTH_MULTIPLE != 0 => Err(ModelError::Width {
            width,
            multiple: NsaNetwork::WIDTH_MULTIPLE,
        }),
        _ => Ok(()),
    }
}
