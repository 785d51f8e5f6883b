//! Inverted residual blocks, step by step.

use candle_core::{Result, Tensor};

use super::conv2d;
use crate::definitions::inverted_residual::{InvertedResidual, SameConv, same_padding};

/// See [`crate::inference::inverted_residual`]: an ordinary convolution, one tap after the other of a filter for each
/// channel, and a 1×1 convolution.
pub fn inverted_residual(x: &Tensor, block: &InvertedResidual) -> Result<Tensor> {
    let shape = block.shape()?;
    let expand = &block.expand;
    let inner = conv2d(
        &bordered(x, shape.expand_side, shape.expand_stride)?,
        &expand.weight,
        Some(&expand.bias),
        shape.expand_stride,
        0,
    )?;
    let inner = depthwise(&relu6(&inner)?, &block.depthwise)?;
    let y = conv2d(
        &relu6(&inner)?,
        &block.project.weight,
        Some(&block.project.bias),
        1,
        0,
    )?;
    if shape.shortcut { y + x } else { Ok(y) }
}

/// Each channel's own filter: the pixels that a tap meets, times that tap.
fn depthwise(x: &Tensor, filters: &SameConv) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    let side = filters.weight.dim(2)?;
    let bordered = bordered(x, side, filters.stride)?;
    let met = |axis: usize, length: usize, tap: usize, x: &Tensor| {
        let (outputs, _) = same_padding(length, side, filters.stride);
        let places: Vec<u32> = (0..outputs)
            .map(|at| (at * filters.stride + tap) as u32)
            .collect();
        x.index_select(&Tensor::new(places, x.device())?, axis)
    };
    let mut sum: Option<Tensor> = None;
    for row in 0..side {
        let rows = met(1, h, row, &bordered)?;
        for column in 0..side {
            let tap = filters.weight.narrow(2, row, 1)?.narrow(3, column, 1)?;
            let seen = met(2, w, column, &rows)?.broadcast_mul(&tap.flatten_all()?)?;
            sum = Some(match sum {
                Some(sum) => (sum + seen)?,
                None => seen,
            });
        }
    }
    let sum = sum.ok_or_else(|| candle_core::Error::msg("inverted residual: no taps"))?;
    sum.broadcast_add(&filters.bias)
}

/// The input between the zeros that its convolution meets.
fn bordered(x: &Tensor, side: usize, stride: usize) -> Result<Tensor> {
    let mut x = x.clone();
    for axis in [1, 2] {
        let length = x.dim(axis)?;
        let (output, before) = same_padding(length, side, stride);
        let whole = (output.saturating_sub(1) * stride + side).max(length + before);
        x = x.pad_with_zeros(axis, before, whole - length - before)?;
    }
    x.contiguous()
}

fn relu6(x: &Tensor) -> Result<Tensor> {
    x.clamp(0f32, 6f32)
}
