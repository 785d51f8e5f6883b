//! Batch normalisation, with or without a ReLU behind it, over the rows of a (rows, channels) matrix.

use std::mem::MaybeUninit;

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::{filled, per_chunk, repeats, rows_per_chunk, widen};

/// The affine map of every channel, `y = (x - mean)·scale + shift`, and whether a ReLU follows.
#[derive(Debug, Clone)]
pub(crate) struct Normalization {
    pub(crate) mean: Vec<f32>,
    pub(crate) scale: Vec<f32>,
    pub(crate) shift: Vec<f32>,
    pub(crate) relu: bool,
}

/// Mean and biased variance of every channel.
///
/// Every chunk is centred on its own mean before it is squared, and the chunks are merged in f64 (Chan et al.),
/// so a mean that is large beside the deviation costs no digits.
pub(crate) fn moments(x: &[f32], channels: usize, isa: Isa) -> (Vec<f64>, Vec<f64>) {
    let chunk = rows_per_chunk(channels) * channels;
    let parts = per_chunk(x.len().div_ceil(chunk), |index| {
        let x = &x[index * chunk..x.len().min((index + 1) * chunk)];
        let mut wide = vec![0f32; channels * repeats(channels)];
        sum(isa, x, &mut wide);
        let rows = x.len() / channels;
        let mean: Vec<f32> = fold(&wide, channels)
            .map(|sum| (sum / rows as f64) as f32)
            .collect();
        wide.fill(0.0);
        let mut residual = wide.clone();
        centered(isa, x, &widen(&mean), &mut residual, &mut wide);
        let residual: Vec<f64> = fold(&residual, channels).collect();
        let squares: Vec<f64> = fold(&wide, channels).collect();
        (rows as f64, mean, residual, squares)
    });
    let mut total = 0.0;
    let (mut mean, mut squares) = (vec![0f64; channels], vec![0f64; channels]);
    for (rows, part_mean, residual, part_squares) in parts {
        let together = total + rows;
        for channel in 0..channels {
            // The rounded mean and what it missed.
            let correction = residual[channel] / rows;
            let part = f64::from(part_mean[channel]) + correction;
            let difference = part - mean[channel];
            squares[channel] += part_squares[channel] - correction * correction * rows
                + difference * difference * total * rows / together;
            mean[channel] += difference * rows / together;
        }
        total = together;
    }
    for value in &mut squares {
        *value = (*value / total).max(0.0);
    }
    (mean, squares)
}

/// `y` of the whole matrix.
pub(crate) fn forward(x: &[f32], map: &Normalization, isa: Isa) -> Vec<f32> {
    let channels = map.mean.len();
    let (mean, scale, shift) = (widen(&map.mean), widen(&map.scale), widen(&map.shift));
    let chunk = rows_per_chunk(channels) * channels;
    // SAFETY: `apply` writes as many numbers as it reads.
    unsafe {
        filled(x.len(), chunk, |index, y| {
            let x = &x[index * chunk..][..y.len()];
            apply(isa, x, &mean, &scale, &shift, map.relu, y);
        })
    }
}

/// Per channel Σ g and Σ g·(x − mean), where g is `dy` where the ReLU was open.
pub(crate) fn gradient_sums(x: &[f32], dy: &[f32], map: &Normalization, isa: Isa) -> (Vec<f64>, Vec<f64>) {
    let channels = map.mean.len();
    let (mean, scale, shift) = (widen(&map.mean), widen(&map.scale), widen(&map.shift));
    let chunk = rows_per_chunk(channels) * channels;
    let parts = per_chunk(x.len().div_ceil(chunk), |index| {
        let range = index * chunk..x.len().min((index + 1) * chunk);
        let mut sums = vec![0f32; mean.len()];
        let mut products = sums.clone();
        let (x, dy) = (&x[range.clone()], &dy[range]);
        masked_sums(
            isa,
            x,
            dy,
            &mean,
            &scale,
            &shift,
            map.relu,
            &mut sums,
            &mut products,
        );
        (sums, products)
    });
    let (mut sums, mut products) = (vec![0f64; channels], vec![0f64; channels]);
    for (part_sums, part_products) in parts {
        for (total, part) in sums.iter_mut().zip(fold(&part_sums, channels)) {
            *total += part;
        }
        for (total, part) in products.iter_mut().zip(fold(&part_products, channels)) {
            *total += part;
        }
    }
    (sums, products)
}

/// `dx = g·scale + (x − mean)·slope + offset` with g as in [`gradient_sums`].
pub(crate) fn backward_input(
    x: &[f32],
    dy: &[f32],
    map: &Normalization,
    slope: &[f32],
    offset: &[f32],
    isa: Isa,
) -> Vec<f32> {
    let channels = map.mean.len();
    let (mean, scale, shift) = (widen(&map.mean), widen(&map.scale), widen(&map.shift));
    let (slope, offset) = (widen(slope), widen(offset));
    let chunk = rows_per_chunk(channels) * channels;
    // SAFETY: `input_gradient` writes as many numbers as it reads.
    unsafe {
        filled(x.len(), chunk, |index, dx| {
            let range = index * chunk..index * chunk + dx.len();
            let (x, dy) = (&x[range.clone()], &dy[range]);
            input_gradient(isa, x, dy, &mean, &scale, &shift, &slope, &offset, map.relu, dx);
        })
    }
}

/// Sums the repetitions of a widened vector.
fn fold(wide: &[f32], channels: usize) -> impl Iterator<Item = f64> + '_ {
    (0..channels).map(move |channel| {
        let column = wide.iter().skip(channel).step_by(channels);
        column.map(|&value| f64::from(value)).sum()
    })
}

multiversioned! {
    /// Adds the rows of `x` onto `sums`.
    fn sum(x: &[f32], sums: &mut [f32]) {
        for row in x.chunks(sums.len()) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }

    /// Adds the deviations from `mean` and their squares.
    fn centered(x: &[f32], mean: &[f32], sums: &mut [f32], squares: &mut [f32]) {
        for row in x.chunks(sums.len()) {
            for (((sum, square), &mean), &x) in sums.iter_mut().zip(&mut *squares).zip(mean).zip(row) {
                let deviation = x - mean;
                *sum += deviation;
                *square += deviation * deviation;
            }
        }
    }

    /// The affine map, NaN kept.
    fn apply(x: &[f32], mean: &[f32], scale: &[f32], shift: &[f32], relu: bool, y: &mut [MaybeUninit<f32>]) {
        let width = mean.len();
        let (scale, shift) = (&scale[..width], &shift[..width]);
        for (x, y) in x.chunks(width).zip(y.chunks_mut(width)) {
            if relu {
                for i in 0..x.len().min(y.len()).min(width) {
                    let value = (x[i] - mean[i]) * scale[i] + shift[i];
                    y[i].write(if value <= 0.0 { 0.0 } else { value });
                }
            } else {
                for i in 0..x.len().min(y.len()).min(width) {
                    y[i].write((x[i] - mean[i]) * scale[i] + shift[i]);
                }
            }
        }
    }

    /// See [`gradient_sums`]. Whether the ReLU was open is computed again, by the very operations of `apply`:
    /// cheaper than reading the output.
    fn masked_sums(x: &[f32], dy: &[f32], mean: &[f32], scale: &[f32], shift: &[f32], relu: bool, sums: &mut [f32], products: &mut [f32]) {
        let width = mean.len();
        let (scale, shift) = (&scale[..width], &shift[..width]);
        let (sums, products) = (&mut sums[..width], &mut products[..width]);
        for (x, dy) in x.chunks(width).zip(dy.chunks(width)) {
            if relu {
                for i in 0..x.len().min(dy.len()).min(width) {
                    let deviation = x[i] - mean[i];
                    let closed = deviation * scale[i] + shift[i] <= 0.0;
                    let gradient = if closed { 0.0 } else { dy[i] };
                    sums[i] += gradient;
                    products[i] += gradient * deviation;
                }
            } else {
                for i in 0..x.len().min(dy.len()).min(width) {
                    sums[i] += dy[i];
                    products[i] += dy[i] * (x[i] - mean[i]);
                }
            }
        }
    }

    /// See [`backward_input`].
    fn input_gradient(x: &[f32], dy: &[f32], mean: &[f32], scale: &[f32], shift: &[f32], slope: &[f32], offset: &[f32], relu: bool, dx: &mut [MaybeUninit<f32>]) {
        let width = mean.len();
        let (scale, shift) = (&scale[..width], &shift[..width]);
        let (slope, offset) = (&slope[..width], &offset[..width]);
        for ((x, dy), dx) in x.chunks(width).zip(dy.chunks(width)).zip(dx.chunks_mut(width)) {
            let len = x.len().min(dy.len()).min(dx.len()).min(width);
            if relu {
                for i in 0..len {
                    let deviation = x[i] - mean[i];
                    let closed = deviation * scale[i] + shift[i] <= 0.0;
                    let gradient = if closed { 0.0 } else { dy[i] };
                    dx[i].write(gradient * scale[i] + deviation * slope[i] + offset[i]);
                }
            } else {
                for i in 0..len {
                    dx[i].write(dy[i] * scale[i] + (x[i] - mean[i]) * slope[i] + offset[i]);
                }
            }
        }
    }
}
