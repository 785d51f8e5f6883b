//! What residual networks are made of: convolutions without bias, each with a batch norm, and blocks around a shortcut.

mod onnx;

use candle_core::{DType, Tensor};
use flawforge_ops::{BatchNorm, Mode, add_relu, batch_norm, batch_norm_relu, conv_transpose2d, conv2d, relu};

use crate::layers::{Plan, Tracking, tensor};
use crate::{ModelError, ParameterSpec, Parameters, Role};

/// Channels, kernel and stride of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConvShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Of a transposed convolution with output padding 1, which doubles the size exactly; its `stride` is then 2.
    pub(crate) transposed: bool,
}

impl ConvShape {
    /// A convolution that keeps the size, apart from its stride.
    pub(crate) fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride,
            transposed: false,
        }
    }

    /// A transposed convolution that doubles width and height.
    pub(crate) fn doubling(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride: 2,
            transposed: true,
        }
    }

    fn padding(self) -> usize {
        self.kernel / 2
    }
}

/// Adds the weight of a convolution without bias.
pub(crate) fn plan_conv(plan: &mut Plan, name: &str, shape: ConvShape) {
    let ConvShape {
        inputs,
        outputs,
        kernel,
        transposed,
        ..
    } = shape;
    let (first, second, role) = match transposed {
        true => (inputs, outputs, Role::TransposedWeight),
        false => (outputs, inputs, Role::FanOutWeight),
    };
    plan.0.push(ParameterSpec {
        name: format!("{name}.weight"),
        shape: vec![first, second, kernel, kernel],
        role,
    });
}

/// Adds the tensors of a batch norm.
pub(crate) fn plan_norm(plan: &mut Plan, name: &str, channels: usize) {
    for (suffix, shape, role) in [
        ("weight", vec![channels], Role::UnitNormWeight),
        ("bias", vec![channels], Role::NormBias),
        ("running_mean", vec![channels], Role::RunningMean),
        ("running_var", vec![channels], Role::RunningVar),
        ("num_batches_tracked", Vec::new(), Role::BatchCount),
    ] {
        plan.0.push(ParameterSpec {
            name: format!("{name}.{suffix}"),
            shape,
            role,
        });
    }
}

/// A convolution and what follows it.
#[derive(Debug, Clone)]
pub(crate) struct ConvUnit {
    weight: Tensor,
    after: After,
    shape: ConvShape,
}

#[derive(Debug, Clone)]
enum After {
    Nothing,
    Norm(BatchNorm),
    /// A batch norm in evaluation, folded into the weight.
    Bias(Tensor),
}

impl ConvUnit {
    /// The convolution `conv` with the batch norm `norm`.
    pub(crate) fn new(
        parameters: &Parameters,
        conv: &str,
        norm: &str,
        shape: ConvShape,
        tracking: Tracking,
    ) -> Result<Self, ModelError> {
        let mut unit = Self::bare(parameters, conv, shape, tracking)?;
        unit.after = After::Norm(BatchNorm {
            weight: tensor(parameters, &format!("{norm}.weight"), tracking)?,
            bias: tensor(parameters, &format!("{norm}.bias"), tracking)?,
            running_mean: parameters.var(&format!("{norm}.running_mean"))?.clone(),
            running_var: parameters.var(&format!("{norm}.running_var"))?.clone(),
            eps: 1e-5,
            momentum: 0.1,
        });
        Ok(unit)
    }

    /// The convolution `conv` alone.
    pub(crate) fn bare(
        parameters: &Parameters,
        conv: &str,
        shape: ConvShape,
        tracking: Tracking,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: tensor(parameters, &format!("{conv}.weight"), tracking)?,
            after: After::Nothing,
            shape,
        })
    }

    /// The same without gradients; shares the weights.
    pub(crate) fn detached(&self) -> Self {
        let after = match &self.after {
            After::Nothing => After::Nothing,
            After::Bias(bias) => After::Bias(bias.detach()),
            After::Norm(norm) => After::Norm(BatchNorm {
                weight: norm.weight.detach(),
                bias: norm.bias.detach(),
                ..norm.clone()
            }),
        };
        Self {
            weight: self.weight.detach(),
            after,
            shape: self.shape,
        }
    }

    /// The same for evaluation alone: the batch norm's present statistics become part of the weight. Transposed
    /// convolutions are not folded.
    pub(crate) fn folded(&self) -> Result<Self, ModelError> {
        let After::Norm(norm) = &self.after else {
            return Ok(self.clone());
        };
        if self.shape.transposed {
            return Ok(self.clone());
        }
        let double = |tensor: &Tensor| tensor.detach().to_dtype(DType::F64);
        let dtype = self.weight.dtype();
        let variance = double(norm.running_var.as_tensor())?;
        let scale = (double(&norm.weight)? / (variance + norm.eps)?.sqrt()?)?;
        let shift = (double(&norm.bias)? - (double(norm.running_mean.as_tensor())? * &scale)?)?;
        let weight = double(&self.weight)?.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
        Ok(Self {
            weight: weight.to_dtype(dtype)?,
            after: After::Bias(shift.to_dtype(dtype)?),
            shape: self.shape,
        })
    }

    /// Convolution and batch norm, with ReLU if asked.
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode, with_relu: bool) -> Result<Tensor, ModelError> {
        let ConvShape {
            stride, transposed, ..
        } = self.shape;
        let padding = self.shape.padding();
        let bias = match &self.after {
            After::Bias(bias) => Some(bias),
            _ => None,
        };
        let y = match transposed {
            true => conv_transpose2d(x, &self.weight, stride, padding, 1)?,
            false => conv2d(x, &self.weight, bias, stride, padding)?,
        };
        Ok(match (&self.after, with_relu) {
            (After::Norm(norm), true) => batch_norm_relu(&y, norm, mode)?,
            (After::Norm(norm), false) => batch_norm(&y, norm, mode)?,
            (_, true) => relu(&y)?,
            (_, false) => y,
        })
    }
}

/// `relu(units(x) + shortcut(x))`: ReLU between the units, none after the last.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    units: Vec<ConvUnit>,
    /// Where width, height or channels change; otherwise `x` itself is added.
    shortcut: Option<ConvUnit>,
}

/// The convolutions of a block.
#[derive(Debug, Clone)]
pub(crate) struct BlockPlan {
    units: Vec<ConvShape>,
    shortcut: Option<ConvShape>,
    /// Name of the shortcut's parts: `downsample` in encoders, `upsample` in decoders.
    shortcut_name: &'static str,
}

impl BlockPlan {
    /// Two 3×3 convolutions, the first with the stride (ResNet-18).
    pub(crate) fn basic(inputs: usize, outputs: usize, stride: usize) -> Self {
        Self {
            units: vec![
                ConvShape::new(inputs, outputs, 3, stride),
                ConvShape::new(outputs, outputs, 3, 1),
            ],
            shortcut: (stride != 1 || inputs != outputs).then(|| ConvShape::new(inputs, outputs, 1, stride)),
            shortcut_name: "downsample",
        }
    }

    /// 1×1 to `inner` channels, 3×3 with the stride, 1×1 to `outputs` (ResNet-50; torchvision puts the stride there).
    pub(crate) fn bottleneck(inputs: usize, inner: usize, outputs: usize, stride: usize) -> Self {
        Self {
            units: vec![
                ConvShape::new(inputs, inner, 1, 1),
                ConvShape::new(inner, inner, 3, stride),
                ConvShape::new(inner, outputs, 1, 1),
            ],
            shortcut: (stride != 1 || inputs != outputs).then(|| ConvShape::new(inputs, outputs, 1, stride)),
            shortcut_name: "downsample",
        }
    }

    /// As [`basic`](Self::basic), but doubling width and height by transposed convolutions (NSA's code).
    pub(crate) fn doubling(inputs: usize, outputs: usize) -> Self {
        Self {
            units: vec![
                ConvShape::doubling(inputs, outputs, 3),
                ConvShape::new(outputs, outputs, 3, 1),
            ],
            shortcut: Some(ConvShape::doubling(inputs, outputs, 1)),
            shortcut_name: "upsample",
        }
    }

    /// Adds the block's tensors, in torchvision's order and by its names.
    pub(crate) fn add_to(&self, plan: &mut Plan, name: &str) {
        for (index, &unit) in (1..).zip(&self.units) {
            plan_conv(plan, &format!("{name}.conv{index}"), unit);
            plan_norm(plan, &format!("{name}.bn{index}"), unit.outputs);
        }
        if let Some(shortcut) = self.shortcut {
            plan_conv(plan, &format!("{name}.{}.0", self.shortcut_name), shortcut);
            plan_norm(
                plan,
                &format!("{name}.{}.1", self.shortcut_name),
                shortcut.outputs,
            );
        }
    }

    pub(crate) fn build(
        &self,
        parameters: &Parameters,
        name: &str,
        tracking: Tracking,
    ) -> Result<Block, ModelError> {
        let unit =
            |conv: String, norm: String, shape| ConvUnit::new(parameters, &conv, &norm, shape, tracking);
        let units = (1..)
            .zip(&self.units)
            .map(|(index, &shape)| unit(format!("{name}.conv{index}"), format!("{name}.bn{index}"), shape))
            .collect::<Result<_, _>>()?;
        let shortcut = self.shortcut.map(|shape| {
            let part = self.shortcut_name;
            unit(format!("{name}.{part}.0"), format!("{name}.{part}.1"), shape)
        });
        Ok(Block {
            units,
            shortcut: shortcut.transpose()?,
        })
    }
}

impl Block {
    pub(crate) fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let mut y = x.clone();
        for (index, unit) in self.units.iter().enumerate() {
            y = unit.forward(&y, mode, index + 1 < self.units.len())?;
        }
        let kept = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, mode, false)?,
            None => x.clone(),
        };
        Ok(add_relu(&y, &kept)?)
    }

    /// See [`Unit::detached`].
    pub(crate) fn detached(&self) -> Self {
        Self {
            units: self.units.iter().map(ConvUnit::detached).collect(),
            shortcut: self.shortcut.as_ref().map(ConvUnit::detached),
        }
    }

    /// See [`Unit::folded`].
    pub(crate) fn folded(&self) -> Result<Self, ModelError> {
        Ok(Self {
            units: self
                .units
                .iter()
                .map(ConvUnit::folded)
                .collect::<Result<_, _>>()?,
            shortcut: self.shortcut.as_ref().map(ConvUnit::folded).transpose()?,
        })
    }
}
