//! Residual networks as feature extractors, with torchvision's names and shapes.

mod onnx;

use std::collections::{HashMap, HashSet};

use candle_core::{DType, Device, Tensor};
use flawforge_ops::{Mode, max_pool3};
use rand::Rng;

use crate::layers::{Plan, Tracking};
use crate::residual::{Block, BlockPlan, ConvShape, ConvUnit, plan_conv, plan_norm};
use crate::{ModelError, ParameterSpec, Parameters};

/// Channels of the first convolution.
const STEM: usize = 64;

/// A residual network of torchvision. In files (feature `serde`) it is called by its [`key`](Self::key).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum ResNetKind {
    /// `resnet18`: two basic blocks a stage; outputs of 64, 128, 256 and 512 channels.
    #[cfg_attr(feature = "serde", serde(rename = "resnet18"))]
    ResNet18,
    /// `resnet50`: 3, 4, 6 and 3 bottlenecks; outputs of 256, 512, 1024 and 2048 channels.
    #[cfg_attr(feature = "serde", serde(rename = "resnet50"))]
    ResNet50,
    /// `wide_resnet50_2`: the same with inner layers twice as wide (PatchCore's backbone).
    #[cfg_attr(feature = "serde", serde(rename = "wide-resnet50-2"))]
    WideResNet50,
}

impl ResNetKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ResNet18, Self::ResNet50, Self::WideResNet50];

    /// torchvision's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet50 => "resnet50",
            Self::WideResNet50 => "wide_resnet50_2",
        }
    }

    /// The name in settings, on the command line and of its published weights, with hyphens.
    pub fn key(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet50 => "resnet50",
            Self::WideResNet50 => "wide-resnet50-2",
        }
    }

    /// Channels of a stage's output; stages are counted from 1 to 4.
    pub fn channels(self, stage: usize) -> usize {
        let base = STEM << stage.saturating_sub(1);
        match self {
            Self::ResNet18 => base,
            Self::ResNet50 | Self::WideResNet50 => 4 * base,
        }
    }

    fn blocks(self, stage: usize) -> Vec<BlockPlan> {
        let outputs = self.channels(stage);
        let before = if stage == 1 {
            STEM
        } else {
            self.channels(stage - 1)
        };
        let stride = if stage == 1 { 1 } else { 2 };
        let count = match self {
            Self::ResNet18 => 2,
            Self::ResNet50 | Self::WideResNet50 => [3, 4, 6, 3][stage - 1],
        };
        (0..count)
            .map(|index| {
                let (inputs, stride) = if index == 0 {
                    (before, stride)
                } else {
                    (outputs, 1)
                };
                match self {
                    Self::ResNet18 => BlockPlan::basic(inputs, outputs, stride),
                    Self::ResNet50 => BlockPlan::bottleneck(inputs, outputs / 4, outputs, stride),
                    Self::WideResNet50 => BlockPlan::bottleneck(inputs, outputs / 2, outputs, stride),
                }
            })
            .collect()
    }
}

/// Stages of a residual network.
pub const STAGES: usize = 4;

/// A residual network up to one of its stages, frozen and in evaluation: batch norms are folded into the convolutions.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use flawforge_models::{ResNet, ResNetKind};
/// use rand::SeedableRng;
///
/// # fn main() -> Result<(), flawforge_models::ModelError> {
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
/// let network = ResNet::new(ResNetKind::ResNet18, 2, &mut rng, &Device::Cpu)?;
/// let images = Tensor::zeros((1, 32, 32, 3), DType::F32, &Device::Cpu)?;
/// let outputs = network.stages(&images, 2)?;
/// assert_eq!(outputs[1].dims(), [1, 4, 4, 128]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ResNet {
    kind: ResNetKind,
    stem: ConvUnit,
    stages: Vec<Vec<Block>>,
}

impl ResNet {
    /// The tensors of a network up to stage `last` (1 to 4), in torchvision's order; `fc` is not among them.
    pub fn specification(kind: ResNetKind, last: usize) -> Vec<ParameterSpec> {
        let mut plan = Plan::default();
        plan_conv(&mut plan, "conv1", ConvShape::new(3, STEM, 7, 2));
        plan_norm(&mut plan, "bn1", STEM);
        for stage in 1..=last.min(STAGES) {
            for (index, block) in kind.blocks(stage).iter().enumerate() {
                block.add_to(&mut plan, &format!("layer{stage}.{index}"));
            }
        }
        plan.0
    }

    /// A network with random weights as torchvision draws them: He's normal distribution by fan-out, batch norms 1 and 0.
    ///
    /// # Errors
    /// A failed allocation.
    pub fn new(
        kind: ResNetKind,
        last: usize,
        rng: &mut impl Rng,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let parameters = Parameters::initialize(Self::specification(kind, last), rng, device)?;
        Self::assemble(kind, last, &parameters)
    }

    /// A network with the weights of a state dict; later stages, `fc` and whatever else is in it are ignored.
    ///
    /// # Errors
    /// The first tensor that is missing, of another shape or type, or not finite.
    pub fn from_tensors(
        kind: ResNetKind,
        last: usize,
        tensors: &HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let specification = Self::specification(kind, last);
        let wanted: HashSet<&str> = specification.iter().map(|spec| &*spec.name).collect();
        let chosen = tensors
            .iter()
            .filter(|(name, _)| wanted.contains(name.as_str()))
            .map(|(name, tensor)| (name.clone(), tensor.clone()))
            .collect();
        let parameters = Parameters::from_tensors(specification, &chosen, device)?;
        Self::assemble(kind, last, &parameters)
    }

    fn assemble(kind: ResNetKind, last: usize, parameters: &Parameters) -> Result<Self, ModelError> {
        let stages = stage_blocks(kind, last, parameters, Tracking::None)?
            .iter()
            .map(|blocks| blocks.iter().map(Block::folded).collect())
            .collect::<Result<_, ModelError>>()?;
        Ok(Self {
            kind,
            stem: stem_unit(parameters, Tracking::None)?.folded()?,
            stages,
        })
    }

    /// Which network it is.
    pub fn kind(&self) -> ResNetKind {
        self.kind
    }

    /// The outputs of stages 1 to `last` (or as many as the network has) for images (N, H, W, 3), normalised by
    /// [`imagenet_normalized`]: (N, H/4, W/4, C₁), (N, H/8, W/8, C₂) and so on, sizes rounded up, channels as
    /// [`ResNetKind::channels`] says. Nothing behind the last is computed.
    ///
    /// # Errors
    /// Images of another shape, a failed tensor operation.
    pub fn stages(&self, images: &Tensor, last: usize) -> Result<Vec<Tensor>, ModelError> {
        let mut x = max_pool3(&self.stem.forward(images, Mode::Eval, true)?)?;
        let mut outputs = Vec::with_capacity(last);
        for stage in self.stages.iter().take(last) {
            for block in stage {
                x = block.forward(&x, Mode::Eval)?;
            }
            outputs.push(x.clone());
        }
        Ok(outputs)
    }
}

/// The first convolution and its batch norm.
pub(crate) fn stem_unit(parameters: &Parameters, tracking: Tracking) -> Result<ConvUnit, ModelError> {
    ConvUnit::new(
        parameters,
        "conv1",
        "bn1",
        ConvShape::new(3, STEM, 7, 2),
        tracking,
    )
}

/// The blocks of stages 1 to `last`.
pub(crate) fn stage_blocks(
    kind: ResNetKind,
    last: usize,
    parameters: &Parameters,
    tracking: Tracking,
) -> Result<Vec<Vec<Block>>, ModelError> {
    let stage = |stage: usize| {
        let blocks = kind.blocks(stage);
        let built = blocks
            .iter()
            .enumerate()
            .map(|(index, block)| block.build(parameters, &format!("layer{stage}.{index}"), tracking));
        built.collect()
    };
    (1..=last.min(STAGES)).map(stage).collect()
}

/// Means of the colours of ImageNet, red first.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviations of the colours of ImageNet.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Images (N, H, W, 3) with values in \[0, 1\] normalised as torchvision's networks expect it.
///
/// # Errors
/// Another number of channels.
pub fn imagenet_normalized(images: &Tensor) -> Result<Tensor, ModelError> {
    let vector = |values: [f32; 3]| -> Result<Tensor, ModelError> {
        Ok(
            Tensor::new(&values, images.device())?.to_dtype(match images.dtype() {
                DType::F64 => DType::F64,
                _ => DType::F32,
            })?,
        )
    };
    let centered = images.broadcast_sub(&vector(IMAGENET_MEAN)?)?;
    Ok(centered.broadcast_div(&vector(IMAGENET_STD)?)?)
}
