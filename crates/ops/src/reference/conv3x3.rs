//! The 3x3 convolution as nine shifted matrix products.

use candle_core::{Result, Tensor};

use crate::definitions::conv3x3::{ConvShape, check};

/// 3×3 convolution, stride 1, zero padding 1: the sum of nine shifted matrix products.
pub fn conv3x3(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let ConvShape { n, h, w, ci, co } = check(x, weight, bias)?;
    let padded = x.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
    let taps = weight.permute((2, 3, 1, 0))?.contiguous()?;
    let mut sum: Option<Tensor> = None;
    for row in 0..3 {
        for column in 0..3 {
            let window = padded.narrow(1, row, h)?.narrow(2, column, w)?;
            let window = window.contiguous()?.reshape((n * h * w, ci))?;
            let tap = taps.narrow(0, row, 1)?.narrow(1, column, 1)?;
            let product = window.matmul(&tap.contiguous()?.reshape((ci, co))?)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
    }
    let sum = sum.ok_or_else(|| candle_core::Error::msg("conv3x3: no taps"))?;
    sum.broadcast_add(bias)?.reshape((n, h, w, co))
}
