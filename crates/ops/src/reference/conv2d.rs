//! Convolutions with any kernel and stride, and transposed ones, as sums over taps of matrix products.

use candle_core::{DType, Device, Result, Tensor};

use super::separable::separable;
use crate::definitions::conv2d::{check, check_transposed};

/// See [`crate::conv2d`]: for each tap, the pixels that it meets are picked out and multiplied by its matrix.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let shape = check(x, weight, bias, stride, padding)?;
    let (ho, wo) = shape.output().unwrap_or_default();
    let taps = weight.permute((2, 3, 1, 0))?.contiguous()?;
    let mut sum: Option<Tensor> = None;
    for row in 0..shape.kh {
        let rows = meeting(ho, shape.h, row, stride, padding, x.dtype(), x.device())?;
        for column in 0..shape.kw {
            let columns = meeting(wo, shape.w, column, stride, padding, x.dtype(), x.device())?;
            let seen = separable(x, &rows, &columns)?.reshape((shape.n * ho * wo, shape.ci))?;
            add(&mut sum, seen.matmul(&tap(&taps, row, column)?)?)?;
        }
    }
    let sum = sum.ok_or_else(|| candle_core::Error::msg("conv2d: no taps"))?;
    let sum = match bias {
        Some(bias) => sum.broadcast_add(bias)?,
        None => sum,
    };
    sum.reshape((shape.n, ho, wo, shape.co))
}

/// See [`crate::conv_transpose2d`]: for each tap, every pixel is multiplied by its matrix and put where the tap falls.
pub fn conv_transpose2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<Tensor> {
    let shape = check_transposed(x, weight, stride, padding, output_padding)?;
    let (n, h, w, ci) = x.dims4()?;
    let taps = weight.permute((2, 3, 0, 1))?.contiguous()?;
    let pixels = x.contiguous()?.reshape((n * h * w, ci))?;
    let mut sum: Option<Tensor> = None;
    for row in 0..shape.kh {
        let rows = meeting(h, shape.h, row, stride, padding, x.dtype(), x.device())?;
        let rows = rows.t()?.contiguous()?;
        for column in 0..shape.kw {
            let columns = meeting(w, shape.w, column, stride, padding, x.dtype(), x.device())?;
            let columns = columns.t()?.contiguous()?;
            let product = pixels.matmul(&tap(&taps, row, column)?)?;
            add(
                &mut sum,
                separable(&product.reshape((n, h, w, shape.ci))?, &rows, &columns)?,
            )?;
        }
    }
    sum.ok_or_else(|| candle_core::Error::msg("conv_transpose2d: no taps"))
}

/// `outputs × inputs`: 1 where tap `tap` of an output meets an input, along one axis.
fn meeting(
    outputs: usize,
    inputs: usize,
    tap: usize,
    stride: usize,
    padding: usize,
    dtype: DType,
    device: &Device,
) -> Result<Tensor> {
    let mut matrix = vec![0f64; outputs * inputs];
    for output in 0..outputs {
        let input = (output * stride + tap).wrapping_sub(padding);
        if input < inputs {
            matrix[output * inputs + input] = 1.0;
        }
    }
    Tensor::from_vec(matrix, (outputs, inputs), device)?.to_dtype(dtype)
}

fn tap(taps: &Tensor, row: usize, column: usize) -> Result<Tensor> {
    taps.narrow(0, row, 1)?
        .narrow(1, column, 1)?
        .squeeze(0)?
        .squeeze(0)?
        .contiguous()
}

fn add(sum: &mut Option<Tensor>, term: Tensor) -> Result<()> {
    *sum = Some(match sum.take() {
        Some(sum) => (sum + term)?,
        None => term,
    });
    Ok(())
}
