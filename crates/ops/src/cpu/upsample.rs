//! ×2 bilinear interpolation with aligned corners of NHWC images, rows first and then columns.

use std::mem::MaybeUninit;

use super::Isa;
use super::blocks::in_blocks;
use super::multiversion::multiversioned;
use super::pages;
use super::parallel::{fill_pieces, filled};
use super::scratch::Scratch;
use crate::definitions::upsample::interpolation;

/// An output sample: two inputs and the weight of the second.
#[derive(Clone, Copy)]
struct Blend {
    lower: usize,
    upper: usize,
    fraction: f32,
}

/// The outputs that an input sample contributes to, with weights: at most four.
#[derive(Clone, Copy, Default)]
struct Spread {
    outputs: [usize; 4],
    weights: [f32; 4],
    count: usize,
}

fn blends(size: usize) -> Vec<Blend> {
    let blend = |output| {
        let (lower, upper, fraction) = interpolation(size, output);
        let fraction = fraction as f32;
        Blend {
            lower,
            upper,
            fraction,
        }
    };
    (0..2 * size).map(blend).collect()
}

fn spreads(size: usize) -> Vec<Spread> {
    let mut spreads = vec![Spread::default(); size];
    for (output, blend) in blends(size).into_iter().enumerate() {
        for (input, weight) in [(blend.lower, 1.0 - blend.fraction), (blend.upper, blend.fraction)] {
            if weight != 0.0 {
                let spread = &mut spreads[input];
                spread.outputs[spread.count] = output;
                spread.weights[spread.count] = weight;
                spread.count += 1;
            }
        }
    }
    spreads
}

/// (n·2h, 2w, c) from (n·h, w, c).
pub(crate) fn forward(x: &[f32], size: (usize, usize, usize), isa: Isa) -> Vec<f32> {
    let mut y = pages::vector(4 * x.len());
    forward_into(x, size, isa, &mut y.spare_capacity_mut()[..4 * x.len()]);
    // SAFETY: `forward_into` writes every pixel.
    unsafe { y.set_len(4 * x.len()) };
    y
}

/// As [`forward`], into memory that is there.
pub(crate) fn forward_into(
    x: &[f32],
    (h, w, c): (usize, usize, usize),
    isa: Isa,
    y: &mut [MaybeUninit<f32>],
) {
    let (rows, columns) = (blends(h), blends(w));
    let row = w * c;
    fill_pieces(y, 2 * row, |index, y| {
        let (image, blend) = (index / (2 * h), rows[index % (2 * h)]);
        let image = &x[image * h * row..][..h * row];
        let (a, b) = (
            &image[blend.lower * row..][..row],
            &image[blend.upper * row..][..row],
        );
        let mut between = Scratch::take(row);
        blended(isa, a, b, blend.fraction, &mut between);
        widened(isa, &between, &columns, c, y);
    });
}

/// Gradient (n·h, w, c) of the input from `dy` (n·2h, 2w, c).
pub(crate) fn backward(dy: &[f32], (h, w, c): (usize, usize, usize), isa: Isa) -> Vec<f32> {
    let (rows, columns) = (spreads(h), spreads(w));
    let row = w * c;
    // SAFETY: `gathered` writes every pixel of its row.
    unsafe {
        filled(dy.len() / 4, row, |index, dx| {
            let (image, spread) = (index / h, rows[index % h]);
            let image = &dy[image * 4 * h * row..][..4 * h * row];
            let mut together = Scratch::take(2 * row);
            let parts = std::array::from_fn(|k| &image[spread.outputs[k] * 2 * row..][..2 * row]);
            weighted(isa, parts, spread.weights, spread.count, &mut together);
            gathered(isa, &together, &columns, c, dx);
        })
    }
}

multiversioned! {
    /// `(1 - fraction)·a + fraction·b`.
    fn blended(a: &[f32], b: &[f32], fraction: f32, out: &mut [f32]) {
        let rest = 1.0 - fraction;
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a * rest + b * fraction;
        }
    }

    /// One row interpolated along the columns.
    fn widened(x: &[f32], columns: &[Blend], channels: usize, y: &mut [MaybeUninit<f32>]) {
        for (y, blend) in y.chunks_exact_mut(channels).zip(columns) {
            let rest = 1.0 - blend.fraction;
            let a = &x[blend.lower * channels..][..channels];
            let b = &x[blend.upper * channels..][..channels];
            in_blocks!(channels, at, B => {
                let (a, b, y) = (&a[at..][..B], &b[at..][..B], &mut y[at..][..B]);
                for i in 0..B {
                    y[i].write(a[i] * rest + b[i] * blend.fraction);
                }
            });
        }
    }

    /// The weighted sum of the first `count` parts.
    fn weighted(parts: [&[f32]; 4], weights: [f32; 4], count: usize, out: &mut [f32]) {
        for (out, &part) in out.iter_mut().zip(parts[0]) {
            *out = part * weights[0];
        }
        for k in 1..count {
            for (out, &part) in out.iter_mut().zip(parts[k]) {
                *out += part * weights[k];
            }
        }
    }

    /// The adjoint of `widened`.
    fn gathered(dy: &[f32], columns: &[Spread], channels: usize, dx: &mut [MaybeUninit<f32>]) {
        for (dx, spread) in dx.chunks_exact_mut(channels).zip(columns) {
            let part = |k: usize| &dy[spread.outputs[k] * channels..][..channels];
            let parts = [part(0), part(1), part(2), part(3)];
            in_blocks!(channels, at, B => {
                let mut sum = [0f32; B];
                for (part, weight) in parts.iter().zip(spread.weights).take(spread.count) {
                    let part = &part[at..][..B];
                    for i in 0..B {
                        sum[i] += part[i] * weight;
                    }
                }
                for (dx, sum) in dx[at..][..B].iter_mut().zip(sum) {
                    dx.write(sum);
                }
            });
        }
    }
}
