//! Direct weight gradient and the bias gradient.
//!
//! For one row of taps, the gradient is the matrix product of the transposed input (its rows are the `3 * ci`
//! numbers of the three taps, see [`super::direct`]) with the gradient of the output, summed over pixels. The sum
//! over pixels is cut into a number of parts that depends on the shape alone, so that the result does not depend on
//! the number of threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::ConvShape;
use super::direct::pad_rows;
use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::pack::Panels;
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Pixels summed by one product: enough to pay for loading and storing the sums.
const PRODUCT_PIXELS: usize = 512;
/// Parts that the sum over all image rows is cut into.
const PARTS: usize = 8;

/// Gradient of the weight `[co, ci, 3, 3]` from the input and the gradient of the output, in f32.
pub(super) fn direct<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) {
    let ConvShape { ci, co, .. } = shape;
    // The right operand's channels are rounded up to whole vectors; let the operand that wastes less be it.
    // Exchanging the operands turns the taps around.
    let plain = ci * co.next_multiple_of(V::LANES);
    let exchanged = co * ci.next_multiple_of(V::LANES);
    if exchanged < plain {
        let sums = tap_sums::<V>(dy, x, shape.reversed());
        let padded = ci.next_multiple_of(V::LANES);
        dw.par_chunks_mut(ci * 9).enumerate().for_each(|(output, dw)| {
            for (index, dw) in dw.iter_mut().enumerate() {
                let (input, tap) = (index / 9, index % 9);
                dw.write(sums[((8 - tap) * co + output) * padded + input]);
            }
        });
    } else {
        let sums = tap_sums::<V>(x, dy, shape);
        let padded = co.next_multiple_of(V::LANES);
        dw.par_chunks_mut(ci * 9).enumerate().for_each(|(output, dw)| {
            for (index, dw) in dw.iter_mut().enumerate() {
                let (input, tap) = (index / 9, index % 9);
                dw.write(sums[(tap * ci + input) * padded + output]);
            }
        });
    }
}

/// `[9][ci][co padded]`: for each tap the sum over pixels of shifted `x` times `dy`.
fn tap_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape) -> Scratch {
    let ConvShape { n, h, w, ci, co } = shape;
    let panels = Panels::new::<V>(co);
    let padded_co = panels.padded();
    let run = 3 * ci;
    // Wide layers have few pixels and large sums: fewer parts, and the rows of taps still give three tasks each.
    let parts = if ci * co > 128 * 128 { 2 } else { PARTS }.min(n * h);
    let share = (n * h).div_ceil(parts);
    let parts = (n * h).div_ceil(share);
    let tap_row_len = run * padded_co;
    let len = 3 * tap_row_len;
    let mut sums = Scratch::take(parts * len);
    sums.par_chunks_mut(tap_row_len)
        .enumerate()
        .for_each(|(task, sums)| {
            let (part, tap_row) = (task / 3, task % 3);
            sums.fill(0.0);
            let end = (n * h).min((part + 1) * share);
            let rows = (PRODUCT_PIXELS / w).clamp(1, h);
            let stride = (w + 2) * ci;
            let mut padded = Scratch::take(rows * stride);
            let mut gradient = Scratch::take(if co == padded_co { 0 } else { rows * w * padded_co });
            let mut row = part * share;
            while row < end {
                let (image, first) = (row / h, row % h);
                let count = rows.min(h - first).min(end - row);
                let image = &x[image * h * w * ci..][..h * w * ci];
                pad_rows::<V>(
                    image,
                    h,
                    w,
                    ci,
                    (first + tap_row) as isize - 1,
                    &mut padded[..count * stride],
                );
                let mut b = &dy[row * w * co..][..count * w * co];
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
                        steps: w,
                        a: padded.as_ptr(),
                        a_row: 1,
                        a_step: ci,
                        a_segment: stride,
                        b: b[panels.first(panel)..].as_ptr(),
                        b_step: padded_co,
                        b_segment: w * padded_co,
                        c: sums[panels.first(panel)..].as_mut_ptr(),
                        c_row: padded_co,
                        columns: panels.width(panel),
                        start: Start::Accumulate,
                        finish: Finish::Keep,
                    };
                    // SAFETY: the strides stay within the padded rows, the gradient's rows and the task's own sums.
                    unsafe { product.run::<V>(run) };
                }
                row += count;
            }
        });
    add_parts::<V>(&mut sums, len);
    sums
}

/// Adds all later parts of `len` numbers into the first, in order.
pub(in crate::cpu) fn add_parts<V: Lanes>(sums: &mut [f32], len: usize) {
    let (total, others) = sums.split_at_mut(len);
    if others.is_empty() {
        return;
    }
    total.par_chunks_mut(4096).enumerate().for_each(|(chunk, total)| {
        for other in others.chunks_exact(len) {
            let other = &other[chunk * 4096..][..total.len()];
            for (total, other) in total.iter_mut().zip(other) {
                *total += other;
            }
        }
    });
}

/// Pixels that one task of the bias gradient sums.
const BIAS_PIXELS: usize = 4096;

/// Sum of `dy` over all pixels, for each of the `co` channels.
pub(super) fn bias<V: Lanes>(dy: &[f32], co: usize, db: &mut [f32]) {
    let parts = dy.len().div_ceil(BIAS_PIXELS * co);
    let mut sums = Scratch::take(parts * co);
    let out = SharedOutput::new(sums.as_mut_ptr());
    dy.par_chunks(BIAS_PIXELS * co)
        .enumerate()
        .for_each(|(part, dy)| {
            // SAFETY: each part has `co` sums of its own.
            unsafe {
                V::enter(ColumnSums {
                    rows: dy,
                    columns: co,
                    sums: out.at(part * co),
                })
            };
        });
    for (column, db) in db.iter_mut().enumerate() {
        *db = sums[column..].iter().step_by(co).sum();
    }
}

/// Sums of the columns of a matrix with `columns` columns.
struct ColumnSums<'a> {
    rows: &'a [f32],
    columns: usize,
    sums: *mut f32,
}

impl Kernel for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        // SAFETY: reads stay within `rows`, writes within the `columns` sums.
        unsafe {
            let count = self.rows.len() / self.columns;
            let mut column = 0;
            while column < self.columns {
                let lanes = V::LANES.min(self.columns - column);
                let mut sums = [V::zero(); 4];
                let mut row = 0;
                while row < count {
                    for (offset, sum) in sums.iter_mut().enumerate() {
                        if row + offset < count {
                            let from = self.rows.as_ptr().add((row + offset) * self.columns + column);
                            let value = if lanes == V::LANES {
                                V::load(from)
                            } else {
                                V::load_first(from, lanes)
                            };
                            *sum = sum.add(value);
                        }
                    }
                    row += 4;
                }
                let total = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
                total.store_first(self.sums.add(column), lanes);
                column += lanes;
            }
        }
    }
}
