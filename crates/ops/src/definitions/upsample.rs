//! Bilinear upsampling by two: where an output sample lies between the input samples.

use candle_core::{Result, Tensor, bail};

/// (N, H, W, C) of an image that is not empty.
pub(crate) fn check(x: &Tensor) -> Result<(usize, usize, usize, usize)> {
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
