//! EfficientNet-Lite as a feature extractor, with the tensor names of its published PyTorch files.
//!
//! The networks of TensorFlow's `efficientnet/lite`: EfficientNets without squeeze-and-excite, with ReLU6 in place of swish,
//! whose first convolution and whose first and last stage are not scaled. Convolutions are padded as TensorFlow does,
//! whose second side is the wider one.

mod onnx;

use std::collections::{HashMap, HashSet};

use candle_core::{Device, Tensor};
use flawforge_ops::BatchNorm;
use flawforge_ops::inference::{
    Activations, InvertedResidual, PreparedBlock, SameConv, inverted_residual, prepare_inverted_residual,
};
use image::RgbImage;
use rand::Rng;
use rayon::prelude::*;

use crate::images::same_size;
use crate::layers::{Plan, Tracking, tensor};
use crate::residual::{ConvShape, plan_conv, plan_norm};
use crate::{ModelError, ParameterSpec, Parameters, Role};

/// Stages of the network.
pub const EFFICIENTNET_STAGES: usize = 7;
/// Channels of the first convolution, which is not scaled.
const STEM: usize = 32;
/// Rows of an image that are made the network's input in one task.
const ROWS: usize = 32;
/// Added to the variances of batch norms (TensorFlow's code).
const EPS: f64 = 1e-3;
/// Channels, blocks, side of the filters and stride of each stage of Lite0.
const BASE: [(usize, usize, usize, usize); EFFICIENTNET_STAGES] = [
    (16, 1, 3, 1),
    (24, 2, 3, 2),
    (40, 2, 5, 2),
    (80, 3, 3, 2),
    (112, 3, 5, 1),
    (192, 4, 5, 2),
    (320, 1, 3, 1),
];

/// A network of the family. In files (feature `serde`) it is called by its [`key`](Self::key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum EfficientNetLiteKind {
    /// Stages of 16, 24, 40, 80, 112, 192 and 320 channels, 16 blocks.
    #[cfg_attr(feature = "serde", serde(rename = "efficientnet-lite0"))]
    Lite0,
    /// The same channels, 21 blocks.
    #[cfg_attr(feature = "serde", serde(rename = "efficientnet-lite1"))]
    Lite1,
    /// Stages of 16, 24, 48, 88, 120, 208 and 352 channels, 21 blocks.
    #[cfg_attr(feature = "serde", serde(rename = "efficientnet-lite2"))]
    Lite2,
}

impl EfficientNetLiteKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lite0, Self::Lite1, Self::Lite2];

    /// The name in settings, on the command line and of its published weights.
    pub fn key(self) -> &'static str {
        match self {
            Self::Lite0 => "efficientnet-lite0",
            Self::Lite1 => "efficientnet-lite1",
            Self::Lite2 => "efficientnet-lite2",
        }
    }

    /// Factors of the channels and of the blocks of a stage (TensorFlow's code).
    fn scale(self) -> (f64, f64) {
        match self {
            Self::Lite0 => (1.0, 1.0),
            Self::Lite1 => (1.0, 1.1),
            Self::Lite2 => (1.1, 1.2),
        }
    }

    /// Channels of a stage's output; stages are counted from 1 to 7.
    pub fn channels(self, stage: usize) -> usize {
        let base = BASE[stage.clamp(1, EFFICIENTNET_STAGES) - 1].0;
        let scaled = base as f64 * self.scale().0;
        // To the nearest multiple of eight, unless that takes away more than a tenth.
        let rounded = ((scaled + 4.0) as usize / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled {
            rounded + 8
        } else {
            rounded
        }
    }

    /// Pixels of the image from one place of a stage's output to the next: 2, 4, 8, 16, 16, 32 and 32.
    pub fn stride(stage: usize) -> usize {
        BASE.iter().take(stage).map(|stage| stage.3).product::<usize>() * 2
    }

    /// The last stage whose output has this stride, among 2, 4, 8, 16 and 32.
    pub fn stage_of_stride(stride: usize) -> Option<usize> {
        (1..=EFFICIENTNET_STAGES)
            .rev()
            .find(|&stage| Self::stride(stage) == stride)
    }

    /// The blocks of stages 1 to `last`.
    fn blocks(self, last: usize) -> Vec<BlockPlan> {
        let mut blocks = Vec::new();
        let mut inputs = STEM;
        for (index, &(_, repeats, side, stride)) in BASE.iter().enumerate().take(last) {
            let outputs = self.channels(index + 1);
            let scaled = (repeats as f64 * self.scale().1).ceil() as usize;
            let count = match index {
                0 | 6 => repeats,
                _ => scaled,
            };
            for block in 0..count {
                blocks.push(BlockPlan {
                    stage: index + 1,
                    inputs,
                    inner: if index == 0 { inputs } else { 6 * inputs },
                    outputs,
                    side,
                    stride: if block == 0 { stride } else { 1 },
                });
                inputs = outputs;
            }
        }
        blocks
    }
}

/// Sizes of one block.
#[derive(Debug, Clone, Copy)]
struct BlockPlan {
    stage: usize,
    inputs: usize,
    inner: usize,
    outputs: usize,
    side: usize,
    stride: usize,
}

/// An EfficientNet-Lite up to one of its stages, frozen and in evaluation: batch norms are folded into the convolutions, and
/// the weights rearranged for the processor.
///
/// It computes on the processor, where its 1×1 convolutions multiply in the [precision](flawforge_ops::Precision) in which it was
/// made, or on a GPU to which it is brought ([`on`](Self::on)), where everything multiplies f32. An image gets the same features,
/// bit for bit, alone and in any batch and for any number of threads.
///
/// ```
/// use flawforge_models::{EfficientNetLite, EfficientNetLiteKind};
/// use rand::SeedableRng;
///
/// # fn main() -> Result<(), flawforge_models::ModelError> {
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
/// let network = EfficientNetLite::new(EfficientNetLiteKind::Lite0, 3, &mut rng)?;
/// let image = image::RgbImage::from_pixel(64, 48, image::Rgb([90, 120, 40]));
/// let maps = network.features(&[&image], &[4, 8])?;
/// assert_eq!(maps[0].dims(), [1, 12, 16, 24]);
/// assert_eq!(maps[1].dims(), [1, 6, 8, 40]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct EfficientNetLite {
    kind: EfficientNetLiteKind,
    /// Blocks of each stage.
    stages: Vec<Vec<PreparedBlock>>,
    /// The same, not rearranged: a few megabytes, to be told as a graph, or brought to another device.
    told: Vec<Vec<InvertedResidual>>,
    /// Where the stages compute.
    device: Device,
}

impl EfficientNetLite {
    /// The tensors of a network up to stage `last` (1 to 7), by the names and in the order of the published PyTorch files;
    /// `_conv_head` and `_fc` are not among them.
    pub fn specification(kind: EfficientNetLiteKind, last: usize) -> Vec<ParameterSpec> {
        let mut plan = Plan::default();
        plan_conv(&mut plan, "_conv_stem", ConvShape::new(3, STEM, 3, 2));
        plan_norm(&mut plan, "_bn0", STEM);
        for (index, block) in kind.blocks(last).iter().enumerate() {
            let name = format!("_blocks.{index}");
            if block.stage > 1 {
                let shape = ConvShape::new(block.inputs, block.inner, 1, 1);
                plan_conv(&mut plan, &format!("{name}._expand_conv"), shape);
                plan_norm(&mut plan, &format!("{name}._bn0"), block.inner);
            }
            plan.0.push(ParameterSpec {
                name: format!("{name}._depthwise_conv.weight"),
                shape: vec![block.inner, 1, block.side, block.side],
                role: Role::DepthwiseWeight,
            });
            plan_norm(&mut plan, &format!("{name}._bn1"), block.inner);
            let shape = ConvShape::new(block.inner, block.outputs, 1, 1);
            plan_conv(&mut plan, &format!("{name}._project_conv"), shape);
            plan_norm(&mut plan, &format!("{name}._bn2"), block.outputs);
        }
        plan.0
    }

    /// A network with random weights: He's normal distribution by fan-out (TensorFlow's code), batch norms 1 and 0.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn new(kind: EfficientNetLiteKind, last: usize, rng: &mut impl Rng) -> Result<Self, ModelError> {
        let parameters = Parameters::initialize(Self::specification(kind, last), rng, &Device::Cpu)?;
        Self::assemble(kind, last, &parameters)
    }

    /// A network with the weights of a state dict; later stages, `_conv_head`, `_fc` and whatever else is in it are ignored.
    ///
    /// # Errors
    /// The first tensor that is missing, of another shape or type, or not finite.
    pub fn from_tensors(
        kind: EfficientNetLiteKind,
        last: usize,
        tensors: &HashMap<String, Tensor>,
    ) -> Result<Self, ModelError> {
        let specification = Self::specification(kind, last);
        let wanted: HashSet<&str> = specification.iter().map(|spec| &*spec.name).collect();
        let chosen = tensors
            .iter()
            .filter(|(name, _)| wanted.contains(name.as_str()))
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        let parameters = Parameters::from_tensors(specification, &chosen, &Device::Cpu)?;
        Self::assemble(kind, last, &parameters)
    }

    fn assemble(
        kind: EfficientNetLiteKind,
        last: usize,
        parameters: &Parameters,
    ) -> Result<Self, ModelError> {
        let plans = kind.blocks(last);
        let mut stages: Vec<Vec<PreparedBlock>> = Vec::new();
        let mut told: Vec<Vec<InvertedResidual>> = Vec::new();
        for (index, plan) in plans.iter().enumerate() {
            let name = format!("_blocks.{index}");
            let part = |conv: &str, norm: &str, stride| {
                folded(
                    parameters,
                    &format!("{name}.{conv}"),
                    &format!("{name}.{norm}"),
                    stride,
                )
            };
            // The block that does not expand follows the first convolution, which takes the place of that.
            let expand = match plan.stage {
                1 if index == 0 => folded(parameters, "_conv_stem", "_bn0", 2)?,
                _ => part("_expand_conv", "_bn0", 1)?,
            };
            let block = InvertedResidual {
                expand,
                depthwise: part("_depthwise_conv", "_bn1", plan.stride)?,
                project: part("_project_conv", "_bn2", 1)?,
                shortcut: index > 0 && plan.stride == 1 && plan.inputs == plan.outputs,
            };
            if stages.len() < plan.stage {
                stages.push(Vec::new());
                told.push(Vec::new());
            }
            if let (Some(stage), Some(told)) = (stages.last_mut(), told.last_mut()) {
                stage.push(prepare_inverted_residual(&block, &Device::Cpu)?);
                told.push(block);
            }
        }
        Ok(Self {
            kind,
            stages,
            told,
            device: Device::Cpu,
        })
    }

    /// The same network where a device computes it: a CUDA device in builds with the feature `cuda`, all in f32; for any other
    /// the processor goes on. Its features are in main memory all the same.
    ///
    /// # Errors
    /// The device has too little memory, or fails.
    pub fn on(mut self, device: &Device) -> Result<Self, ModelError> {
        if !device.is_cuda() {
            return Ok(self);
        }
        let prepare = |block: &InvertedResidual| prepare_inverted_residual(block, device);
        self.stages = (self.told.iter())
            .map(|stage| stage.iter().map(prepare).collect::<candle_core::Result<_>>())
            .collect::<candle_core::Result<_>>()?;
        self.device = device.clone();
        Ok(self)
    }

    /// Which network it is.
    pub fn kind(&self) -> EfficientNetLiteKind {
        self.kind
    }

    /// The outputs of the stages that [end](EfficientNetLiteKind::stage_of_stride) the given strides, among 2, 4, 8, 16 and
    /// 32, in the order given, for images of one size: each (N, ⌈H/stride⌉, ⌈W/stride⌉, channels) in main memory, channels as
    /// [`EfficientNetLiteKind::channels`] says. Nothing behind the last of them is computed.
    ///
    /// # Errors
    /// No images, images of different sizes or without pixels; a stride that the network, as far as it was made, does not
    /// have.
    pub fn features(&self, images: &[&RgbImage], strides: &[usize]) -> Result<Vec<Tensor>, ModelError> {
        let (width, height) = same_size(images.iter().map(|image| image.dimensions()))?;
        let row = 3 * width.max(1);
        let rows: Vec<&[u8]> = images
            .iter()
            .flat_map(|image| image.as_raw().chunks_exact(row))
            .collect();
        // Straight into memory from the pool: fresh memory would cost as much as a block of the network.
        let input = || {
            let input = Activations::filled((images.len(), height, width, 3), |values| {
                let parts = values.par_chunks_mut(ROWS * row).zip(rows.par_chunks(ROWS));
                parts.for_each(|(values, rows)| {
                    for (values, row) in values.chunks_exact_mut(row).zip(rows) {
                        for (value, &byte) in values.iter_mut().zip(*row) {
                            *value = normalized(f32::from(byte));
                        }
                    }
                });
            });
            Ok(input)
        };
        self.by_stride(input, strides)
    }

    /// As [`features`](Self::features), of images (N, H, W, 3) with values in \[0, 1\], which need not be those of bytes.
    ///
    /// # Errors
    /// As [`features`](Self::features); a tensor of another shape or type.
    pub fn features_of(&self, images: &Tensor, strides: &[usize]) -> Result<Vec<Tensor>, ModelError> {
        let dims = images.dims4()?;
        let values = images.flatten_all()?.to_vec1::<f32>()?;
        let values: Vec<f32> = values
            .into_iter()
            .map(|value| normalized(255.0 * value))
            .collect();
        self.by_stride(|| Activations::from_slice(&values, dims), strides)
    }

    /// The stages that end the strides.
    fn wanted(&self, strides: &[usize]) -> Result<Vec<usize>, ModelError> {
        let stage = |&stride: &usize| {
            EfficientNetLiteKind::stage_of_stride(stride)
                .filter(|&stage| stage <= self.stages.len())
                .ok_or(ModelError::Stride { stride })
        };
        strides.iter().map(stage).collect()
    }

    fn by_stride(
        &self,
        input: impl FnOnce() -> candle_core::Result<Activations> + Send,
        strides: &[usize],
    ) -> Result<Vec<Tensor>, ModelError> {
        let wanted = self.wanted(strides)?;
        if !self.device.is_cpu() {
            let input = input()?;
            let (values, dims) = (input.values()?.into_owned(), input.dims());
            // On this thread: cuDNN's handles and plans belong to threads.
            return self.outputs(Activations::on(&self.device, values, dims)?, &wanted);
        }
        // Handed to the pool once: there, each block begins without waking a thread.
        rayon::scope(|_| self.outputs(input()?, &wanted))
    }

    /// The outputs of the stages `wanted`.
    fn outputs(&self, input: Activations, wanted: &[usize]) -> Result<Vec<Tensor>, ModelError> {
        let last = wanted.iter().copied().max().unwrap_or(0);
        let mut x = input;
        let mut kept: HashMap<usize, Tensor> = HashMap::new();
        for (stage, blocks) in (1..=last).zip(&self.stages) {
            for block in blocks {
                x = inverted_residual(&x, block)?;
            }
            if wanted.contains(&stage) {
                kept.insert(stage, Tensor::from_slice(&x.values()?, x.dims(), &Device::Cpu)?);
            }
        }
        let found = wanted.iter().filter_map(|stage| kept.get(stage).cloned());
        Ok(found.collect())
    }
}

/// A value of 0 to 255 as the network expects it (TensorFlow's code: mean 127, deviation 128).
fn normalized(value: f32) -> f32 {
    (value - 127.0) / 128.0
}

/// A convolution and the batch norm behind it.
fn folded(parameters: &Parameters, conv: &str, norm: &str, stride: usize) -> Result<SameConv, ModelError> {
    let weight = tensor(parameters, &format!("{conv}.weight"), Tracking::None)?;
    let norm = BatchNorm {
        weight: tensor(parameters, &format!("{norm}.weight"), Tracking::None)?,
        bias: tensor(parameters, &format!("{norm}.bias"), Tracking::None)?,
        running_mean: parameters.var(&format!("{norm}.running_mean"))?.clone(),
        running_var: parameters.var(&format!("{norm}.running_var"))?.clone(),
        eps: EPS,
        momentum: 0.01,
    };
    Ok(SameConv::folded(&weight, &norm, stride)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_family() {
        let channels = |kind: EfficientNetLiteKind| -> Vec<usize> {
            (1..=EFFICIENTNET_STAGES)
                .map(|stage| kind.channels(stage))
                .collect()
        };
        assert_eq!(
            channels(EfficientNetLiteKind::Lite1),
            [16, 24, 40, 80, 112, 192, 320]
        );
        assert_eq!(
            channels(EfficientNetLiteKind::Lite2),
            [16, 24, 48, 88, 120, 208, 352]
        );
        let blocks = EfficientNetLiteKind::ALL.map(|kind| kind.blocks(EFFICIENTNET_STAGES).len());
        assert_eq!(blocks, [16, 21, 21]);
        let strides: Vec<usize> = (1..=EFFICIENTNET_STAGES)
            .map(EfficientNetLiteKind::stride)
            .collect();
        assert_eq!(strides, [2, 4, 8, 16, 16, 32, 32]);
        assert_eq!(EfficientNetLiteKind::stage_of_stride(16), Some(5));
        assert_eq!(EfficientNetLiteKind::stage_of_stride(3), None);
    }
}
