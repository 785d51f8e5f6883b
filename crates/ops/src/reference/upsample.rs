//! Bilinear upsampling from candle primitives.

use candle_core::{DType, Device, Result, Tensor};

use super::separable::separable;
use crate::definitions::upsample::{check, interpolation};

/// ×2 bilinear interpolation with aligned corners: `A_h · X · A_wᵀ` with two constant matrices.
pub fn upsample2(x: &Tensor) -> Result<Tensor> {
    let (_, h, w, _) = check(x)?;
    let rows = interpolation_matrix(h, x.dtype(), x.device())?;
    let columns = interpolation_matrix(w, x.dtype(), x.device())?;
    separable(x, &rows, &columns)
}

/// The `2·size × size` matrix of [`interpolation`].
fn interpolation_matrix(size: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let mut matrix = vec![0f64; 2 * size * size];
    for output in 0..2 * size {
        let (lower, upper, fraction) = interpolation(size, output);
        matrix[output * size + lower] += 1.0 - fraction;
        matrix[output * size + upper] += fraction;
    }
    // Not every device has f64.
    let matrix = Tensor::from_vec(matrix, (2 * size, size), &Device::Cpu)?;
    matrix.to_dtype(dtype)?.to_device(device)
}
