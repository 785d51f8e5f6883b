//! The few layers both networks are made of, and the list of tensors each owns.

mod onnx;

use candle_core::Tensor;
use flawforge_ops::inference::{PreparedConv, prepare_conv3x3};
use flawforge_ops::{BatchNorm, Mode, conv3x3, conv3x3_norm_relu, upsample2};

use crate::{ModelError, ParameterSpec, Parameters, Role};

/// Whether a forward pass leaves a graph for gradients behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    Gradient,
    None,
}

/// Collects the tensors of a network in order.
#[derive(Debug, Default)]
pub(crate) struct Plan(pub(crate) Vec<ParameterSpec>);

impl Plan {
    pub(crate) fn conv(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.add(name, "weight", vec![outputs, inputs, 3, 3], Role::ConvWeight);
        self.add(name, "bias", vec![outputs], Role::ConvBias { inputs });
    }

    /// Convolution `prefix.INDEX` and batch norm `prefix.INDEX+1`.
    fn conv_norm(&mut self, prefix: &str, index: usize, inputs: usize, outputs: usize) {
        self.conv(&format!("{prefix}.{index}"), inputs, outputs);
        let norm = format!("{prefix}.{}", index + 1);
        self.add(&norm, "weight", vec![outputs], Role::NormWeight);
        self.add(&norm, "bias", vec![outputs], Role::NormBias);
        self.add(&norm, "running_mean", vec![outputs], Role::RunningMean);
        self.add(&norm, "running_var", vec![outputs], Role::RunningVar);
        self.add(&norm, "num_batches_tracked", Vec::new(), Role::BatchCount);
    }

    pub(crate) fn double_conv(&mut self, prefix: &str, inputs: usize, between: usize, outputs: usize) {
        self.conv_norm(prefix, 0, inputs, between);
        self.conv_norm(prefix, 3, between, outputs);
    }

    pub(crate) fn up_conv(&mut self, prefix: &str, inputs: usize, outputs: usize) {
        self.conv_norm(prefix, 1, inputs, outputs);
    }

    fn add(&mut self, prefix: &str, suffix: &str, shape: Vec<usize>, role: Role) {
        self.0.push(ParameterSpec {
            name: format!("{prefix}.{suffix}"),
            shape,
            role,
        });
    }
}

/// A variable's tensor, with or without its place in the graph. Both share the variable's memory.
pub(crate) fn tensor(parameters: &Parameters, name: &str, tracking: Tracking) -> Result<Tensor, ModelError> {
    let var = parameters.var(name)?;
    Ok(match tracking {
        Tracking::Gradient => var.as_tensor().clone(),
        Tracking::None => var.as_detached_tensor(),
    })
}

/// 3×3 convolution with bias, padding 1.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    weight: Tensor,
    bias: Tensor,
}

impl Conv {
    pub(crate) fn new(parameters: &Parameters, name: &str, tracking: Tracking) -> Result<Self, ModelError> {
        Ok(Self {
            weight: tensor(parameters, &format!("{name}.weight"), tracking)?,
            bias: tensor(parameters, &format!("{name}.bias"), tracking)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(conv3x3(x, &self.weight, &self.bias)?)
    }

    /// The convolution, and `norm` after it if there is one, prepared for images of the given height and width, in this
    /// thread's [precision](flawforge_ops::Precision).
    pub(crate) fn prepare(
        &self,
        norm: Option<&BatchNorm>,
        size: (usize, usize),
    ) -> Result<PreparedConv, ModelError> {
        Ok(prepare_conv3x3(&self.weight, &self.bias, norm, size)?)
    }
}

/// Convolution, batch norm, ReLU.
#[derive(Debug, Clone)]
pub(crate) struct ConvNorm {
    conv: Conv,
    norm: BatchNorm,
}

impl ConvNorm {
    fn new(
        parameters: &Parameters,
        prefix: &str,
        index: usize,
        tracking: Tracking,
    ) -> Result<Self, ModelError> {
        let norm = format!("{prefix}.{}", index + 1);
        Ok(Self {
            conv: Conv::new(parameters, &format!("{prefix}.{index}"), tracking)?,
            norm: BatchNorm {
                weight: tensor(parameters, &format!("{norm}.weight"), tracking)?,
                bias: tensor(parameters, &format!("{norm}.bias"), tracking)?,
                running_mean: parameters.var(&format!("{norm}.running_mean"))?.clone(),
                running_var: parameters.var(&format!("{norm}.running_var"))?.clone(),
                eps: 1e-5,
                momentum: 0.1,
            },
        })
    }

    fn prepare(&self, size: (usize, usize)) -> Result<PreparedConv, ModelError> {
        self.conv.prepare(Some(&self.norm), size)
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let Conv { weight, bias } = &self.conv;
        Ok(conv3x3_norm_relu(x, weight, bias, &self.norm, mode)?)
    }
}

/// Two convolutions, each with batch norm and ReLU: DRAEM's `block` and `db`.
#[derive(Debug, Clone)]
pub(crate) struct DoubleConv(ConvNorm, ConvNorm);

impl DoubleConv {
    pub(crate) fn new(parameters: &Parameters, prefix: &str, tracking: Tracking) -> Result<Self, ModelError> {
        Ok(Self(
            ConvNorm::new(parameters, prefix, 0, tracking)?,
            ConvNorm::new(parameters, prefix, 3, tracking)?,
        ))
    }

    pub(crate) fn prepare(&self, size: (usize, usize)) -> Result<[PreparedConv; 2], ModelError> {
        Ok([self.0.prepare(size)?, self.1.prepare(size)?])
    }

    /// Takes its input, so that an untracked one is freed as soon as it has been read.
    pub(crate) fn forward(&self, x: Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let between = self.0.forward(&x, mode)?;
        drop(x);
        self.1.forward(&between, mode)
    }
}

/// ×2 bilinear upsampling, then convolution, batch norm and ReLU: DRAEM's `up`.
#[derive(Debug, Clone)]
pub(crate) struct UpConv(ConvNorm);

impl UpConv {
    pub(crate) fn new(parameters: &Parameters, prefix: &str, tracking: Tracking) -> Result<Self, ModelError> {
        Ok(Self(ConvNorm::new(parameters, prefix, 1, tracking)?))
    }

    pub(crate) fn prepare(&self, size: (usize, usize)) -> Result<PreparedConv, ModelError> {
        self.0.prepare(size)
    }

    pub(crate) fn forward(&self, x: Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        let large = upsample2(&x)?;
        drop(x);
        self.0.forward(&large, mode)
    }
}

/// Fails unless `x` is (N, H, W, channels) with H and W positive multiples of `multiple`.
pub(crate) fn check_input(x: &Tensor, channels: usize, multiple: usize) -> Result<(), ModelError> {
    let (_, height, width, found) = x.dims4()?;
    if found != channels {
        return Err(candle_core::Error::msg(format!(
            "input has {found} channels, the network reads {channels}"
        ))
        .into());
    }
    if height == 0 || width == 0 || height % multiple != 0 || width % multiple != 0 {
        return Err(ModelError::Size {
            width,
            height,
            multiple,
        });
    }
    Ok(())
}
