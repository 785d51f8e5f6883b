//! Structural similarity of NHWC images and its gradient, by a separable window.

use crate::cpu::Isa;
use crate::cpu::blocks::in_blocks;
use crate::cpu::multiversion::multiversioned;
use crate::cpu::parallel::{CHUNK, filled, per_chunk};
use crate::cpu::scratch::{Scratch, SharedOutput};
use crate::definitions::loss::ssim::{RADIUS, TAPS, window};

/// Size of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) c: usize,
}

/// Derivatives of the similarity of every pixel with respect to the windowed means there.
#[derive(Debug)]
pub(crate) struct Slopes {
    /// Of the mean of the prediction.
    mean1: Vec<f32>,
    /// Of the mean of the target.
    mean2: Vec<f32>,
    /// Of the mean of the squared prediction, and as well of the squared target.
    square: Vec<f32>,
    /// Of the mean of their product.
    product: Vec<f32>,
}

/// Mean similarity over all pixels and channels, and the slopes if asked for.
pub(crate) fn forward(
    prediction: &[f32],
    target: &[f32],
    size: Size,
    stabilizers: (f64, f64),
    slopes: bool,
    isa: Isa,
) -> (f64, Option<Slopes>) {
    let row = size.w * size.c;
    let rows = prediction.len() / row;
    let window = window().map(|value| value as f32);
    let stabilizers = (stabilizers.0 as f32, stabilizers.1 as f32);
    let mut maps: [Vec<f32>; 4] = std::array::from_fn(|_| {
        if slopes {
            vec![0.0; prediction.len()]
        } else {
            Vec::new()
        }
    });
    let outputs = maps.each_mut().map(|map| SharedOutput::new(map.as_mut_ptr()));
    let sums = per_chunk(rows, |index| {
        let (first, y) = (index / size.h * size.h, index % size.h);
        let image = first * row..(first + size.h) * row;
        let (prediction, target) = (&prediction[image.clone()], &target[image]);
        let mut vertical = Scratch::take(5 * padded(row, size.c));
        vertical.fill(0.0);
        let mut horizontal = Scratch::take(5 * row);
        vertical_products(isa, prediction, target, row, y, size, &window, &mut vertical);
        for (input, output) in vertical
            .chunks(padded(row, size.c))
            .zip(horizontal.chunks_mut(row))
        {
            horizontal_window(isa, input, size.c, &window, output);
        }
        if slopes {
            // SAFETY: this task alone writes this row of the maps, which hold `rows` of them.
            let [a, b, c, d] =
                outputs.map(|output| unsafe { std::slice::from_raw_parts_mut(output.at(index * row), row) });
            slopes_of_row(isa, &horizontal, row, stabilizers, a, b, c, d)
        } else {
            similarity_of_row(isa, &horizontal, row, stabilizers)
        }
    });
    let mean = sums.iter().sum::<f64>() / prediction.len() as f64;
    let [mean1, mean2, square, product] = maps;
    let slopes = slopes.then_some(Slopes {
        mean1,
        mean2,
        square,
        product,
    });
    (mean, slopes)
}

/// `factor` times the gradient of Σ similarity with respect to the prediction, or to the target when the images
/// and `of_target` are swapped: `image` is the one in question, `other` its partner.
pub(crate) fn backward(
    image: &[f32],
    other: &[f32],
    slopes: &Slopes,
    of_target: bool,
    size: Size,
    factor: f32,
    isa: Isa,
) -> Vec<f32> {
    let row = size.w * size.c;
    let window = window().map(|value| value as f32);
    let mean = if of_target { &slopes.mean2 } else { &slopes.mean1 };
    let maps: [&[f32]; 3] = [mean, &slopes.square, &slopes.product];
    // SAFETY: every number of the row is written.
    unsafe {
        filled(image.len(), row, |index, out| {
            let (first, y) = (index / size.h * size.h, index % size.h);
            let mut vertical = Scratch::take(padded(row, size.c));
            let mut horizontal = Scratch::take(3 * row);
            vertical.fill(0.0);
            for (map, output) in maps.iter().zip(horizontal.chunks_mut(row)) {
                let map = &map[first * row..(first + size.h) * row];
                vertical_window(isa, map, row, y, size, &window, &mut vertical);
                horizontal_window(isa, &vertical, size.c, &window, output);
            }
            let (image, other) = (&image[index * row..][..row], &other[index * row..][..row]);
            for (i, out) in out.iter_mut().enumerate() {
                let (mean, square) = (horizontal[i], horizontal[row + i]);
                let product = horizontal[2 * row + i];
                out.write(factor * (mean + 2.0 * image[i] * square + other[i] * product));
            }
        })
    }
}

/// The smallest and the largest number.
pub(crate) fn extremes(x: &[f32]) -> (f32, f32) {
    let parts = per_chunk(x.len().div_ceil(CHUNK), |index| {
        let start = (f32::INFINITY, f32::NEG_INFINITY);
        let x = &x[index * CHUNK..x.len().min((index + 1) * CHUNK)];
        x.iter().fold(start, |(low, high), &x| (low.min(x), high.max(x)))
    });
    let start = (f32::INFINITY, f32::NEG_INFINITY);
    parts
        .into_iter()
        .fold(start, |(low, high), part| (low.min(part.0), high.max(part.1)))
}

/// Length of a row with zeros for the window on both sides.
fn padded(row: usize, channels: usize) -> usize {
    row + 2 * RADIUS * channels
}

/// The rows of an image under the window at row `y`, each with its tap.
#[inline(always)]
fn taps(y: usize, height: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..TAPS).filter_map(move |tap| {
        let source = (y + tap).wrapping_sub(RADIUS);
        (source < height).then_some((tap, source))
    })
}

/// Similarity and slopes of one pixel from the windowed means of x, y, x², y², xy.
#[inline(always)]
fn pixel(means: [f32; 5], (c1, c2): (f32, f32)) -> (f32, [f32; 4]) {
    let [mean1, mean2, square1, square2, product] = means;
    let a1 = 2.0 * (mean1 * mean2) + c1;
    let a2 = 2.0 * (product - mean1 * mean2) + c2;
    let b1 = mean1 * mean1 + mean2 * mean2 + c1;
    let b2 = (square1 - mean1 * mean1) + (square2 - mean2 * mean2) + c2;
    let denominator = b1 * b2;
    let similarity = a1 * a2 / denominator;
    let (da1, da2) = (a2 / denominator, a1 / denominator);
    let (db1, db2) = (-similarity / b1, -similarity / b2);
    let (cross, own) = (2.0 * (da1 - da2), 2.0 * (db1 - db2));
    let slopes = [
        mean2 * cross + mean1 * own,
        mean1 * cross + mean2 * own,
        db2,
        2.0 * da2,
    ];
    (similarity, slopes)
}

multiversioned! {
    /// The vertical window over x, y, x², y², xy at row `y`, into five padded rows.
    fn vertical_products(prediction: &[f32], target: &[f32], row: usize, y: usize, size: Size, window: &[f32; TAPS], out: &mut [f32]) {
        let stride = padded(row, size.c);
        let margin = RADIUS * size.c;
        in_blocks!(row, at, B => {
            let mut sums = [[0f32; B]; 5];
            for (tap, source) in taps(y, size.h) {
                let weight = window[tap];
                let a = &prediction[source * row + at..][..B];
                let b = &target[source * row + at..][..B];
                for i in 0..B {
                    let (wa, wb) = (weight * a[i], weight * b[i]);
                    sums[0][i] += wa;
                    sums[1][i] += wb;
                    sums[2][i] += wa * a[i];
                    sums[3][i] += wb * b[i];
                    sums[4][i] += wa * b[i];
                }
            }
            for (k, sums) in sums.iter().enumerate() {
                out[k * stride + margin + at..][..B].copy_from_slice(sums);
            }
        });
    }

    /// The vertical window over one map, into a padded row.
    fn vertical_window(map: &[f32], row: usize, y: usize, size: Size, window: &[f32; TAPS], out: &mut [f32]) {
        let margin = RADIUS * size.c;
        in_blocks!(row, at, B => {
            let mut sums = [0f32; B];
            for (tap, source) in taps(y, size.h) {
                let values = &map[source * row + at..][..B];
                for i in 0..B {
                    sums[i] += window[tap] * values[i];
                }
            }
            out[margin + at..][..B].copy_from_slice(&sums);
        });
    }

    /// The horizontal window over a padded row.
    fn horizontal_window(padded: &[f32], channels: usize, window: &[f32; TAPS], out: &mut [f32]) {
        in_blocks!(out.len(), at, B => {
            let mut sums = [0f32; B];
            for (tap, &weight) in window.iter().enumerate() {
                let values = &padded[at + tap * channels..][..B];
                for i in 0..B {
                    sums[i] += weight * values[i];
                }
            }
            out[at..][..B].copy_from_slice(&sums);
        });
    }

    /// Sum of the similarities of one row.
    fn similarity_of_row(means: &[f32], row: usize, stabilizers: (f32, f32)) -> f64 {
        let mut sum = 0f64;
        for i in 0..row {
            let means = std::array::from_fn(|k| means[k * row + i]);
            sum += f64::from(pixel(means, stabilizers).0);
        }
        sum
    }

    /// The same, and the slopes.
    fn slopes_of_row(means: &[f32], row: usize, stabilizers: (f32, f32), mean1: &mut [f32], mean2: &mut [f32], square: &mut [f32], product: &mut [f32]) -> f64 {
        let mut sum = 0f64;
        for i in 0..row {
            let means = std::array::from_fn(|k| means[k * row + i]);
            let (similarity, slopes) = pixel(means, stabilizers);
            sum += f64::from(similarity);
            [mean1[i], mean2[i], square[i], product[i]] = slopes;
        }
        sum
    }
}
