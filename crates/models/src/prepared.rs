//! A network for inference: batch norms folded into the convolutions, weights rearranged once.

use flawforge_ops::inference::{Activations, PreparedConv, concat, conv3x3, max_pool2, upsample2};

use crate::ModelError;
use crate::layers::{Conv, DoubleConv, UpConv};

/// An encoder and a decoder, with or without skips between them: both networks of DRAEM.
///
/// Images may have another size than the one it was prepared for; then another algorithm might be faster.
#[derive(Debug)]
pub(crate) struct Prepared {
    encoder: Vec<[PreparedConv; 2]>,
    decoder: Vec<(PreparedConv, [PreparedConv; 2])>,
    last: PreparedConv,
    skips: bool,
}

impl Prepared {
    /// From the layers of a network that halves its images before every block of the encoder but the first and doubles
    /// them in every stage of the decoder.
    pub(crate) fn new(
        encoder: &[DoubleConv],
        decoder: &[(UpConv, DoubleConv)],
        last: &Conv,
        skips: bool,
        (h, w): (usize, usize),
    ) -> Result<Self, ModelError> {
        let blocks = encoder.iter().enumerate();
        let depth = encoder.len() - 1;
        let stages = decoder.iter().enumerate();
        Ok(Self {
            encoder: blocks
                .map(|(i, block)| block.prepare((h >> i, w >> i)))
                .collect::<Result<_, _>>()?,
            decoder: stages
                .map(|(i, (up, block))| {
                    let halvings = depth - 1 - i;
                    let size = (h >> halvings, w >> halvings);
                    Ok((up.prepare(size)?, block.prepare(size)?))
                })
                .collect::<Result<_, ModelError>>()?,
            last: last.prepare(None, (h, w))?,
            skips,
        })
    }

    /// The output of the last convolution for images (N, H, W, C).
    pub(crate) fn forward(&self, x: &Activations) -> Result<Activations, ModelError> {
        let mut skips = Vec::new();
        let mut blocks = self.encoder.iter();
        let mut x = match blocks.next() {
            Some(block) => pair(x, block)?,
            None => return Ok(conv3x3(x, &self.last, false)?),
        };
        for block in blocks {
            let small = max_pool2(&x)?;
            if self.skips {
                skips.push(x);
            } else {
                drop(x); // its memory serves the block
            }
            x = pair(&small, block)?;
        }
        for (up, block) in &self.decoder {
            x = conv3x3(&upsample2(&x)?, up, true)?;
            if let Some(skip) = skips.pop() {
                x = concat(&x, &skip)?; // upsampled first (DRAEM's code)
            }
            x = pair(&x, block)?;
        }
        Ok(conv3x3(&x, &self.last, false)?)
    }
}

/// Two convolutions with ReLU.
fn pair(x: &Activations, [first, second]: &[PreparedConv; 2]) -> Result<Activations, ModelError> {
    let between = conv3x3(x, first, true)?;
    Ok(conv3x3(&between, second, true)?)
}
