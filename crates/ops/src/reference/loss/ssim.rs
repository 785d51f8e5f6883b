//! The structural similarity from candle primitives.

use candle_core::{DType, Device, Result, Tensor};

use crate::definitions::loss::check_same_shape;
use crate::definitions::loss::ssim::{self, SsimRange};
use crate::reference::separable::separable;

/// The structural similarity of every pixel and channel, in the shape of the arguments.
pub fn ssim_map(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    check_same_shape("ssim_map", prediction, target)?;
    let (_, h, w, _) = prediction.dims4()?;
    let (c1, c2) = ssim::stabilizers(dynamic_range(prediction, range)?);
    let (dtype, device) = (prediction.dtype(), prediction.device());
    let rows = window_matrix(h, dtype, device)?;
    let columns = window_matrix(w, dtype, device)?;
    let blur = |image: &Tensor| separable(image, &rows, &columns);

    let mean1 = blur(prediction)?;
    let mean2 = blur(target)?;
    let (mean1_sq, mean2_sq, mean12) = (mean1.sqr()?, mean2.sqr()?, (&mean1 * &mean2)?);
    let variance1 = (blur(&prediction.sqr()?)? - &mean1_sq)?;
    let variance2 = (blur(&target.sqr()?)? - &mean2_sq)?;
    let covariance = (blur(&(prediction * target)?)? - &mean12)?;
    let numerator = (((mean12 * 2.0)? + c1)? * ((covariance * 2.0)? + c2)?)?;
    let denominator = (((mean1_sq + mean2_sq)? + c1)? * ((variance1 + variance2)? + c2)?)?;
    numerator / denominator
}

/// One minus the mean structural similarity; a scalar.
pub fn ssim_loss(prediction: &Tensor, target: &Tensor, range: SsimRange) -> Result<Tensor> {
    1.0 - ssim_map(prediction, target, range)?.mean_all()?
}

/// The dynamic range L of the images.
fn dynamic_range(prediction: &Tensor, range: SsimRange) -> Result<f64> {
    match range {
        SsimRange::Unit => Ok(1.0),
        SsimRange::FromPrediction => {
            let values = prediction.detach().flatten_all()?;
            // Not every device has f64.
            let widened = |value: Tensor| value.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar();
            let (highest, lowest) = (widened(values.max(0)?)?, widened(values.min(0)?)?);
            Ok(ssim::range_from_extremes(lowest, highest))
        }
    }
}

/// Banded `size × size` matrix of the 11-tap window with zero padding 5.
fn window_matrix(size: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let window = ssim::window();
    let mut matrix = vec![0f64; size * size];
    for output in 0..size {
        for (tap, &value) in window.iter().enumerate() {
            let input = (output + tap).wrapping_sub(ssim::RADIUS);
            if input < size {
                matrix[output * size + input] = value;
            }
        }
    }
    // Not every device has f64.
    let matrix = Tensor::from_vec(matrix, (size, size), &Device::Cpu)?;
    matrix.to_dtype(dtype)?.to_device(device)
}
