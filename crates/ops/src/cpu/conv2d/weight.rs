//! The gradient of the weight.
//!
//! For one row of taps it is the product of the transposed input (its rows are the `kw * ci` numbers of that row's taps,
//! see [`super::gather`]) with the gradient of the output, summed over pixels. The sum is cut into a number of parts
//! that depends on the shape alone, so that the result does not depend on the number of threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Conv2dShape;
use super::strip::Border;
use crate::cpu::conv3x3::weight_gradient::add_parts;
use crate::cpu::lanes::Lanes;
use crate::cpu::pack::Panels;
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Pixels summed by one product: enough to pay for loading and storing the sums.
const PRODUCT_PIXELS: usize = 256;
/// Tasks that the work should be cut into.
const TASKS: usize = 16;
/// Sums that all parts together may hold, in floats.
const PARTS_LEN: usize = 8 << 20;

/// Gradient of the weight `[co, ci, kh, kw]`.
pub(super) fn gradient<V: Lanes>(x: &[f32], dy: &[f32], shape: Conv2dShape, dw: &mut [MaybeUninit<f32>]) {
    let Conv2dShape { ci, kh, kw, co, .. } = shape;
    let sums = tap_sums::<V>(x, dy, shape);
    let padded = Panels::new::<V>(co).padded();
    let taps = kh * kw;
    dw.par_chunks_mut(ci * taps).enumerate().for_each(|(output, dw)| {
        for (index, dw) in dw.iter_mut().enumerate() {
            let (input, tap) = (index / taps, index % taps);
            dw.write(sums[(tap * ci + input) * padded + output]);
        }
    });
}

/// `[kh * kw][ci][co padded]`: for each tap the sum over pixels of the input it meets times `dy`.
fn tap_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: Conv2dShape) -> Scratch {
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
    let panels = Panels::new::<V>(co);
    let padded_co = panels.padded();
    let border = Border {
        left: padding,
        width: (wo - 1) * stride + kw,
        channels: ci,
    };
    let run = kw * ci;
    let len = kh * run * padded_co;
    // The taps of a row are cut into groups of inputs, the rows of images into parts.
    let parts = TASKS.div_ceil(kh).min(PARTS_LEN / len).clamp(1, n * ho);
    let share = (n * ho).div_ceil(parts);
    let parts = (n * ho).div_ceil(share);
    let groups = TASKS.div_ceil(parts * kh).min(run.div_ceil(32));
    let group = run.div_ceil(groups);
    let groups = run.div_ceil(group);
    let mut sums = Scratch::take(parts * len);
    sums.fill(0.0);
    let out = SharedOutput::new(sums.as_mut_ptr());
    (0..parts * kh * groups).into_par_iter().for_each(|task| {
        let (part, tap_row, first_input) = (task / (kh * groups), task / groups % kh, task % groups * group);
        let inputs = group.min(run - first_input);
        let end = (n * ho).min((part + 1) * share);
        let rows = (PRODUCT_PIXELS / wo).clamp(1, ho);
        let height = (rows - 1) * stride + 1;
        let mut padded = Scratch::take(height * border.stride());
        let mut gradient = Scratch::take(if co == padded_co { 0 } else { rows * wo * padded_co });
        let mut row = part * share;
        while row < end {
            let (image, first) = (row / ho, row % ho);
            let count = rows.min(ho - first).min(end - row);
            let strip = &mut padded[..((count - 1) * stride + 1) * border.stride()];
            let image = &x[image * h * w * ci..][..h * w * ci];
            let top = (first * stride + tap_row) as isize - padding as isize;
            border.copy(image, (h, w), top, strip);
            let mut b = &dy[row * wo * co..][..count * wo * co];
            if co != padded_co {
                for (to, from) in gradient.chunks_exact_mut(padded_co).zip(b.chunks_exact(co)) {
                    to[..co].copy_from_slice(from);
                    to[co..].fill(0.0);
                }
                b = &gradient;
            }
            for panel in 0..panels.count() {
                let product = Product {
                    segments: count,
                    steps: wo,
                    a: strip[first_input..].as_ptr(),
                    a_row: 1,
                    a_step: stride * ci,
                    a_segment: stride * border.stride(),
                    b: b[panels.first(panel)..].as_ptr(),
                    b_step: padded_co,
                    b_segment: wo * padded_co,
                    // SAFETY: the task's own rows of its part.
                    c: unsafe {
                        out.at(part * len + (tap_row * run + first_input) * padded_co + panels.first(panel))
                    },
                    c_row: padded_co,
                    columns: panels.width(panel),
                    start: Start::Accumulate,
                    finish: Finish::Keep,
                };
                // SAFETY: the strides stay within the padded rows, the gradient's rows and the task's own sums.
                unsafe { product.run::<V>(inputs) };
            }
            row += count;
        }
    });
    add_parts::<V>(&mut sums, len);
    sums
}
