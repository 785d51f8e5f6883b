//! The convolution.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Conv2dShape;
use super::strip::{Border, Tasks};
use crate::cpu::lanes::Lanes;
use crate::cpu::pack::{Panels, pad_bias};
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Panels larger than this (in floats) are used one row of taps at a time, to stay in the second-level cache.
const WHOLE_PANEL: usize = 64 << 10;

/// `y = x * weight + bias`.
pub(super) fn convolve<V: Lanes>(
    x: &[f32],
    shape: Conv2dShape,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    let Conv2dShape {
        n,
        h,
        w,
        ci,
        co,
        kh,
        kw,
        stride,
        padding,
    } = shape;
    let (ho, wo) = super::checked(shape);
    let packed = pack::<V>(weight, shape);
    let bias = pad_bias::<V>(bias, co);
    let panels = Panels::new::<V>(co);
    let out = SharedOutput::new(y.as_mut_ptr().cast());
    // One tap, stride 1, no border: all pixels are one matrix, read where they lie.
    let plain = (kh, kw, stride, padding) == (1, 1, 1, 0);
    let border = Border {
        left: padding,
        width: (wo - 1) * stride + kw,
        channels: ci,
    };
    let (run, taps) = (kw * ci, kh * kw);
    let tasks = Tasks::new(n, ho, wo, panels.count());
    (0..tasks.count()).into_par_iter().for_each(|task| {
        let task = tasks.get(task);
        let height = (task.rows - 1) * stride + kh;
        let mut padded = Scratch::take(if plain {
            0
        } else {
            task.images * height * border.stride()
        });
        if !plain {
            let strips = padded.chunks_exact_mut(height * border.stride());
            for (image, strip) in (task.first_image..).zip(strips) {
                let first = (task.first_row * stride) as isize - padding as isize;
                border.copy(&x[image * h * w * ci..][..h * w * ci], (h, w), first, strip);
            }
        }
        for panel in task.first_panel..task.first_panel + task.panels {
            let width = panels.width(panel);
            let weights = &packed[taps * ci * panels.first(panel)..];
            let product = |pixel: usize, a: *const f32| Product {
                segments: kh,
                steps: run,
                a,
                a_row: stride * ci,
                a_step: 1,
                a_segment: border.stride(),
                b: weights.as_ptr(),
                b_step: width,
                b_segment: run * width,
                // SAFETY: the task's pixels lie within the output.
                c: unsafe { out.at(pixel * co + panels.first(panel)) },
                c_row: co,
                columns: panels.columns(panel),
                start: Start::Row(bias[panels.first(panel)..].as_ptr()),
                finish: Finish::Keep,
            };
            if plain {
                // Rows of several images are joined only if they are whole images.
                let pixel = (task.first_image * ho + task.first_row) * wo;
                let count = ((task.images - 1) * ho + task.rows) * wo;
                // SAFETY: the strides stay within the input, the panel and the task's own pixels of output.
                unsafe { product(pixel, x[pixel * ci..].as_ptr()).run::<V>(count) };
                continue;
            }
            let parts = if taps * ci * width <= WHOLE_PANEL { 1 } else { kh };
            for part in 0..parts {
                for image in 0..task.images {
                    for row in 0..task.rows {
                        let pixel = ((task.first_image + image) * ho + task.first_row + row) * wo;
                        let first = image * height + row * stride + part;
                        let mut product = product(pixel, padded[first * border.stride()..].as_ptr());
                        if parts > 1 {
                            product.segments = 1;
                            product.b = weights[part * run * width..].as_ptr();
                            if part > 0 {
                                product.start = Start::Accumulate;
                            }
                        }
                        // SAFETY: the strides stay within the padded rows, the panel and the task's own rows of output.
                        unsafe { product.run::<V>(wo) };
                    }
                }
            }
        }
    });
}

/// The weight as `[panel][tap][ci][width]`; channels that do not exist are zero.
pub(in crate::cpu) fn pack<V: Lanes>(weight: &[f32], shape: Conv2dShape) -> Scratch {
    let panels = Panels::new::<V>(shape.co);
    let (taps, ci) = (shape.kh * shape.kw, shape.ci);
    let rows = taps * ci;
    let mut packed = Scratch::take(rows * panels.padded());
    packed
        .par_chunks_mut(rows * panels.first(1))
        .enumerate()
        .for_each(|(panel, packed)| {
            let (width, columns) = (panels.width(panel), panels.columns(panel));
            for row in 0..rows {
                let (input, tap) = (row / taps, row % taps);
                let to = &mut packed[(tap * ci + input) * width..][..width];
                for (column, to) in to.iter_mut().enumerate() {
                    *to = match column < columns {
                        true => weight[(panels.first(panel) + column) * rows + row],
                        false => 0.0,
                    };
                }
            }
        });
    packed
}
