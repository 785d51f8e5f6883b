use candle_core::{DType, Device, Result, Tensor, bail};

use crate::reference;

/// ×2 bilinear interpolation with aligned corners: (N,H,W,C) to (N,2H,2W,C).
///
/// # Errors
/// An input without four dimensions, or an empty one.
pub fn upsample2(x: &Tensor) -> Result<Tensor> {
    check_shape(x)?;
    reference::upsample2(x)
}

pub(crate) fn check_shape(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    let (n, h, w, c) = x.dims4()?;
    if n * h * w * c == 0 {
        bail!("upsample2: empty input {:?}", x.dims());
    }
    Ok((n, h, w, c))
}

/// Where output sample `o` of `2·size` lies between the input samples: (lower, upper, weight of the upper).
///
/// With aligned corners the position is `o·(size-1)/(2·size-1)`; the integer division keeps it exact.
pub(crate) fn interpolation(size: usize, output: usize) -> (usize, usize, f64) {
    let (numerator, denominator) = (output * (size - 1), 2 * size - 1);
    let lower = numerator / denominator;
    let fraction = (numerator % denominator) as f64 / denominator as f64;
    (lower, (lower + 1).min(size - 1), fraction)
}

/// The `2·size × size` matrix of [`interpolation`].
pub(crate) fn interpolation_matrix(size: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut matrix = vec![0f64; 2 * size * size];
    for output in 0..2 * size {
        let (lower, upper, fraction) = interpolation(size, output);
        matrix[output * size + lower] += 1.0 - fraction;
        matrix[output * size + upper] += fraction;
    }
    Tensor::from_vec(matrix, (2 * size, size), device)?.to_dtype(dtype)
}
