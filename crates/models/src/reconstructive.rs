//! The reconstructive network: an autoencoder that repairs.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_ops::{Mode, max_pool2};
use rand::Rng;

use crate::layers::{Conv, Pair, Plan, Tracking, Up, check_input};
use crate::prepared::Prepared;
use crate::{ModelError, ParameterSpec, Parameters};

/// Channels of the five encoder blocks, in widths.
const ENCODER: [usize; 5] = [1, 2, 4, 8, 8];
/// Channels in and out of the four decoder stages, in widths.
const DECODER: [(usize, usize); 4] = [(8, 4), (4, 2), (2, 1), (1, 1)];
const FIRST_CONV: &str = "encoder.block1.0";
const LAST_CONV: &str = "decoder.fin_out.0";

/// The network that redraws an image without its anomaly: an autoencoder without skips, 3 channels to 3, linear output
/// (DRAEM's `ReconstructiveSubNetwork`).
///
/// ```text
/// 3 → w ─ pool ─ 2w ─ pool ─ 4w ─ pool ─ 8w ─ pool ─ 8w ─ up ─ 4w ─ up ─ 2w ─ up ─ w ─ up ─ w → 3
/// ```
/// Width and height of images must be multiples of 16. DRAEM's width is 128.
#[derive(Debug, Clone)]
pub struct Reconstructive {
    width: usize,
    parameters: Parameters,
    encoder: Vec<Pair>,
    decoder: Vec<(Up, Pair)>,
    last: Conv,
}

impl Reconstructive {
    /// What width and height of images must be multiples of.
    pub const MULTIPLE: usize = 16;

    /// The tensors of a network of this width, in order.
    pub fn specification(width: usize) -> Vec<ParameterSpec> {
        let mut plan = Plan::default();
        let mut channels = 3;
        for (i, factor) in ENCODER.into_iter().enumerate() {
            let outputs = factor * width;
            plan.pair(&format!("encoder.block{}", i + 1), channels, outputs, outputs);
            channels = outputs;
        }
        for (i, (inputs, outputs)) in DECODER.into_iter().enumerate() {
            let (inputs, outputs) = (inputs * width, outputs * width);
            plan.up(&format!("decoder.up{}", i + 1), inputs, inputs);
            plan.pair(&format!("decoder.db{}", i + 1), inputs, inputs, outputs);
        }
        plan.conv(LAST_CONV, width, 3);
        plan.0
    }

    /// A fresh f32 network.
    ///
    /// # Errors
    /// A width of 0, or a failed allocation.
    pub fn new(width: usize, rng: &mut impl Rng, device: &Device) -> Result<Self, ModelError> {
        if width == 0 {
            return Err(ModelError::NoWidth);
        }
        let parameters = Parameters::initialise(Self::specification(width), rng, device)?;
        Self::assemble(width, parameters, Tracking::Gradient)
    }

    /// An f32 network with the given weights; its width is that of the first convolution.
    ///
    /// # Errors
    /// Those of [`Parameters::load`].
    pub fn from_tensors(tensors: &HashMap<String, Tensor>, device: &Device) -> Result<Self, ModelError> {
        let width = crate::import::width_of(tensors, FIRST_CONV)?;
        let parameters = Parameters::from_tensors(Self::specification(width), tensors, device)?;
        Self::assemble(width, parameters, Tracking::Gradient)
    }

    fn assemble(width: usize, parameters: Parameters, tracking: Tracking) -> Result<Self, ModelError> {
        let p = &parameters;
        Ok(Self {
            width,
            encoder: (1..=ENCODER.len())
                .map(|i| Pair::new(p, &format!("encoder.block{i}"), tracking))
                .collect::<Result<_, _>>()?,
            decoder: (1..=DECODER.len())
                .map(|i| {
                    let up = Up::new(p, &format!("decoder.up{i}"), tracking)?;
                    Ok((up, Pair::new(p, &format!("decoder.db{i}"), tracking)?))
                })
                .collect::<Result<_, ModelError>>()?,
            last: Conv::new(p, LAST_CONV, tracking)?,
            parameters,
        })
    }

    /// A view that shares the weights but leaves no graph behind: no gradient reaches its weights, and activations are
    /// freed as soon as they have been used.
    ///
    /// # Errors
    /// None in practice: the weights are there.
    pub fn frozen(&self) -> Result<Self, ModelError> {
        Self::assemble(self.width, self.parameters.clone(), Tracking::None)
    }

    /// An independent copy in another floating-point type.
    ///
    /// # Errors
    /// As [`Parameters::to_dtype`].
    pub fn to_dtype(&self, dtype: DType) -> Result<Self, ModelError> {
        Self::assemble(self.width, self.parameters.to_dtype(dtype)?, Tracking::Gradient)
    }

    /// The reconstruction (N, H, W, 3) of images (N, H, W, 3) with values in \[0, 1\].
    ///
    /// `mode` says where batch norms take their statistics from; whether gradients flow is a question of the network
    /// ([`frozen`](Self::frozen) or not), so that [`Mode::Eval`] with gradients is possible too.
    ///
    /// # Errors
    /// Input of another shape, or not divisible by [`MULTIPLE`](Self::MULTIPLE).
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        check_input(x, 3, Self::MULTIPLE)?;
        let mut x = x.clone();
        for (i, block) in self.encoder.iter().enumerate() {
            if i > 0 {
                x = max_pool2(&x)?;
            }
            x = block.forward(x, mode)?;
        }
        for (up, block) in &self.decoder {
            x = up.forward(x, mode)?;
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
        Prepared::new(&self.encoder, &self.decoder, &self.last, false, size)
    }

    /// The weights; a handle that shares them.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Channels of the first block.
    pub fn width(&self) -> usize {
        self.width
    }
}
