//! The discriminative network: a U-Net that locates anomalies.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use flawforge_ops::{Mode, concat, max_pool2};
use rand::Rng;

use crate::layers::{Conv, Pair, Plan, Tracking, Up, check_input};
use crate::prepared::Prepared;
use crate::{ModelError, ParameterSpec, Parameters};

/// Channels of the six encoder blocks, in widths.
const ENCODER: [usize; 6] = [1, 2, 4, 8, 8, 8];
/// Decoder stages: name, channels from below, after upsampling, of the skip, out, in widths.
const DECODER: [(&str, usize, usize, usize, usize); 5] = [
    ("_b", 8, 8, 8, 8),
    ("1", 8, 4, 8, 4),
    ("2", 4, 2, 4, 2),
    ("3", 2, 1, 2, 1),
    ("4", 1, 1, 1, 1),
];
const FIRST_CONV: &str = "encoder_segment.block1.0";
const LAST_CONV: &str = "decoder_segment.fin_out.0";

/// The network that compares an image with its reconstruction: a U-Net from 6 channels to 2 logits a pixel, channel 1
/// meaning *anomalous* (DRAEM's `DiscriminativeSubNetwork`).
///
/// The input is the reconstruction (channels 0–2), then the image (3–5); that order is DRAEM's. Softmax is left to the
/// caller. Width and height of images must be multiples of 32. DRAEM's width is 64.
#[derive(Debug, Clone)]
pub struct Discriminative {
    width: usize,
    parameters: Parameters,
    encoder: Vec<Pair>,
    decoder: Vec<(Up, Pair)>,
    last: Conv,
}

impl Discriminative {
    /// What width and height of images must be multiples of.
    pub const MULTIPLE: usize = 32;

    /// The tensors of a network of this width, in order.
    pub fn specification(width: usize) -> Vec<ParameterSpec> {
        let mut plan = Plan::default();
        let mut channels = 6;
        for (i, factor) in ENCODER.into_iter().enumerate() {
            let outputs = factor * width;
            plan.pair(
                &format!("encoder_segment.block{}", i + 1),
                channels,
                outputs,
                outputs,
            );
            channels = outputs;
        }
        for (name, below, up, skip, out) in DECODER {
            plan.up(&format!("decoder_segment.up{name}"), below * width, up * width);
            plan.pair(
                &format!("decoder_segment.db{name}"),
                (up + skip) * width,
                out * width,
                out * width,
            );
        }
        plan.conv(LAST_CONV, width, 2);
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
                .map(|i| Pair::new(p, &format!("encoder_segment.block{i}"), tracking))
                .collect::<Result<_, _>>()?,
            decoder: DECODER
                .iter()
                .map(|(name, ..)| {
                    let up = Up::new(p, &format!("decoder_segment.up{name}"), tracking)?;
                    Ok((up, Pair::new(p, &format!("decoder_segment.db{name}"), tracking)?))
                })
                .collect::<Result<_, ModelError>>()?,
            last: Conv::new(p, LAST_CONV, tracking)?,
            parameters,
        })
    }

    /// A view that shares the weights but leaves no graph behind; see
    /// [`Reconstructive::frozen`](crate::Reconstructive::frozen).
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

    /// Logits (N, H, W, 2) from reconstruction and image, joined to (N, H, W, 6) by
    /// `concat(&reconstruction, &image)`.
    ///
    /// # Errors
    /// Input of another shape, or not divisible by [`MULTIPLE`](Self::MULTIPLE).
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Result<Tensor, ModelError> {
        check_input(x, 6, Self::MULTIPLE)?;
        let mut x = x.clone();
        let mut skips = Vec::with_capacity(ENCODER.len());
        for (i, block) in self.encoder.iter().enumerate() {
            if i > 0 {
                let small = max_pool2(&x)?;
                skips.push(std::mem::replace(&mut x, small));
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
        Prepared::new(&self.encoder, &self.decoder, &self.last, true, size)
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
