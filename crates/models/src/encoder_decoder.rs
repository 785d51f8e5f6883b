//! What both networks of DRAEM are made of: an encoder that halves its images, a decoder that doubles them again.

mod onnx;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_ops::{Mode, concat, max_pool2};
use rand::Rng;

use crate::import::width_of;
use crate::layers::{Conv, DoubleConv, Plan, Tracking, UpConv, check_input};
use crate::prepared::Prepared;
use crate::{ModelError, ParameterSpec, Parameters};

/// What tells one network from the other. Channels are in multiples of the network's width.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    /// Channels of an image.
    pub(crate) inputs: usize,
    /// Channels of the result.
    pub(crate) outputs: usize,
    /// Names of encoder and decoder in DRAEM's weights.
    pub(crate) names: [&'static str; 2],
    /// Channels of each encoder block; images are halved before every block but the first.
    pub(crate) encoder: &'static [usize],
    /// The stages of the decoder; images are doubled before each.
    pub(crate) decoder: &'static [Stage],
}

/// A stage of a decoder: ×2 upsampling with a convolution, the skip joined to it, two convolutions.
#[derive(Debug, PartialEq)]
pub(crate) struct Stage {
    /// Ending of its names in DRAEM's weights.
    pub(crate) name: &'static str,
    /// Channels from the stage below.
    pub(crate) below: usize,
    /// Channels after upsampling.
    pub(crate) up: usize,
    /// Channels of the encoder's block of this size that are joined to them; 0 without a skip.
    pub(crate) skip: usize,
    /// Channels between the two convolutions.
    pub(crate) between: usize,
    /// Channels of the result.
    pub(crate) out: usize,
}

impl Layout {
    /// What width and height of images must be multiples of.
    pub(crate) const fn multiple(&self) -> usize {
        1 << (self.encoder.len() - 1)
    }

    fn first_conv(&self) -> String {
        format!("{}.block1.0", self.names[0])
    }

    fn last_conv(&self) -> String {
        format!("{}.fin_out.0", self.names[1])
    }

    fn block(&self, index: usize) -> String {
        format!("{}.block{}", self.names[0], index + 1)
    }

    /// Names of a stage's upsampling and of its two convolutions.
    fn stage(&self, stage: &Stage) -> [String; 2] {
        ["up", "db"].map(|part| format!("{}.{part}{}", self.names[1], stage.name))
    }

    /// The tensors of a network of this width, in order.
    pub(crate) fn specification(&self, width: usize) -> Vec<ParameterSpec> {
        let mut plan = Plan::default();
        let mut channels = self.inputs;
        for (index, factor) in self.encoder.iter().enumerate() {
            let outputs = factor * width;
            plan.double_conv(&self.block(index), channels, outputs, outputs);
            channels = outputs;
        }
        for stage in self.decoder {
            let [up, convs] = self.stage(stage);
            plan.up_conv(&up, stage.below * width, stage.up * width);
            plan.double_conv(
                &convs,
                (stage.up + stage.skip) * width,
                stage.between * width,
                stage.out * width,
            );
        }
        plan.conv(&self.last_conv(), width, self.outputs);
        plan.0
    }
}

/// A network of some layout, over its parameters.
#[derive(Debug, Clone)]
pub(crate) struct EncoderDecoder {
    layout: &'static Layout,
    width: usize,
    parameters: Parameters,
    encoder: Vec<DoubleConv>,
    decoder: Vec<(UpConv, DoubleConv)>,
    last: Conv,
}

impl EncoderDecoder {
    /// A fresh f32 network.
    pub(crate) fn new(
        layout: &'static Layout,
        width: usize,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if width == 0 {
            return Err(ModelError::NoWidth);
        }
        let parameters = Parameters::initialize(layout.specification(width), rng, device)?;
        Self::assemble(layout, width, parameters, Tracking::Gradient)
    }

    /// An f32 network with the given weights; its width is that of the first convolution.
    pub(crate) fn from_tensors(
        layout: &'static Layout,
        tensors: &HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let width = width_of(tensors, &layout.first_conv())?;
        let parameters = Parameters::from_tensors(layout.specification(width), tensors, device)?;
        Self::assemble(layout, width, parameters, Tracking::Gradient)
    }

    fn assemble(
        layout: &'static Layout,
        width: usize,
        parameters: Parameters,
        tracking: Tracking,
    ) -> Result<Self, ModelError> {
        let p = &parameters;
        let block = |index| DoubleConv::new(p, &layout.block(index), tracking);
        let stage = |stage| {
            let [up, convs] = layout.stage(stage);
            Ok((
                UpConv::new(p, &up, tracking)?,
                DoubleConv::new(p, &convs, tracking)?,
            ))
        };
        Ok(Self {
            layout,
            width,
            encoder: (0..layout.encoder.len()).map(block).collect::<Result<_, _>>()?,
            decoder: layout
                .decoder
                .iter()
                .map(stage)
                .collect::<Result<_, ModelError>>()?,
            last: Conv::new(p, &layout.last_conv(), tracking)?,
            parameters,
        })
    }

    /// A view that shares the weights but leaves no graph behind.
    pub(crate) fn frozen(&self) -> Result<Self, ModelError> {
        Self::assemble(self.layout, self.width, self.parameters.clone(), Tracking::None)
    }

    /// An independent copy in another floating-point type.
    pub(crate) fn to_dtype(&self, dtype: DType) -> Result<Self, ModelError> {
        let parameters = self.parameters.to_dtype(dtype)?;
        Self::assemble(self.layout, self.width, parameters, Tracking::Gradient)
    }

    fn has_skips(&self) -> bool {
        self.layout.decoder.iter().any(|stage| stage.skip > 0)
    }

    /// The result (N, H, W, outputs) of images (N, H, W, inputs).
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        check_input(x, self.layout.inputs, self.layout.multiple())?;
        let mut x = x.clone();
        let mut skips = Vec::new();
        for (index, block) in self.encoder.iter().enumerate() {
            if index > 0 {
                let small = max_pool2(&x)?;
                let large = std::mem::replace(&mut x, small);
                if self.has_skips() {
                    skips.push(large);
                }
            }
            x = block.forward(x, mode)?;
        }
        for (up, block) in &self.decoder {
            x = up.forward(x, mode)?;
            if let Some(skip) = skips.pop() {
                x = concat(&x, &skip)?; // upsampled first (DRAEM's code)
            }
            x = block.forward(x, mode)?;
        }
        let x = self.last.forward(&x)?;
        if mode == Mode::Train {
            self.parameters.count_batch();
        }
        Ok(x)
    }

    /// The network for inference on images of the given height and width, with its present weights.
    pub(crate) fn prepare(&self, size: (usize, usize)) -> Result<Prepared, ModelError> {
        Prepared::new(&self.encoder, &self.decoder, &self.last, self.has_skips(), size)
    }

    /// The weights; a handle that shares them.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Channels of the first block.
    pub(crate) fn width(&self) -> usize {
        self.width
    }
}
