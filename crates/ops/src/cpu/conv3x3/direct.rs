//! Direct convolution.
//!
//! In NHWC order the three taps of a row are one run of `3 * ci` numbers, and the runs of neighbouring pixels
//! overlap. A row of output is therefore a matrix product whose left operand is the input itself, read with a
//! stride of one pixel: nothing is gathered, only the few rows that a task needs are copied between zero borders.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{ConvShape, Prepared};
use crate::cpu::lanes::{Lanes, to_words};
use crate::cpu::pack::Panels;
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Pixels that one task computes: enough to reuse a packed panel, few enough for its input to stay in cache.
const TASK_PIXELS: usize = 256;
/// Panels larger than this (in words) are used one row of taps at a time, to stay in the second-level cache.
const WHOLE_PANEL: usize = 128 << 10;

/// Copies rows `first..first + count` of one image between zero borders, as words: `[count][w + 2][c / STEPS]`. Rows
/// outside the image are zero.
pub(super) fn pad_rows<V: Lanes>(
    image: &[f32],
    h: usize,
    w: usize,
    c: usize,
    first: isize,
    padded: &mut [f32],
) {
    let words = c / V::STEPS;
    for (row, to) in padded.chunks_exact_mut((w + 2) * words).enumerate() {
        let row = first + row as isize;
        if row < 0 || row >= h as isize {
            to.fill(0.0);
        } else {
            to[..words].fill(0.0);
            let values = &image[row as usize * w * c..][..w * c];
            to_words::<V>(values, &mut to[words..(w + 1) * words]);
            to[(w + 1) * words..].fill(0.0);
        }
    }
}

/// `y = x * filter + bias` for `x` of `[n, h, w, ci]` and `y` of `[n, h, w, co]`; the filter is packed as words.
pub(super) fn convolve<V: Lanes>(
    x: &[f32],
    shape: ConvShape,
    filter: Prepared<'_>,
    y: &mut [MaybeUninit<f32>],
) {
    let ConvShape { n, h, w, ci, co } = shape;
    let Prepared {
        weights: packed,
        bias,
        positive,
    } = filter;
    let panels = Panels::new::<V>(co);
    let words = ci / V::STEPS;
    // At least sixteen tasks where the image has the rows for it, whatever the number of threads.
    let rows = (TASK_PIXELS / w).min((n * h).div_ceil(16)).clamp(1, h);
    let blocks = h.div_ceil(rows);
    let (whole, run) = (9 * words * panels.first(1) <= WHOLE_PANEL, 3 * words);
    let out = SharedOutput::new(y.as_mut_ptr().cast());
    (0..n * blocks).into_par_iter().for_each(|task| {
        let (image, first) = (task / blocks, task % blocks * rows);
        let rows = rows.min(h - first);
        let stride = (w + 2) * words;
        let mut padded = Scratch::take((rows + 2) * stride);
        pad_rows::<V>(
            &x[image * h * w * ci..][..h * w * ci],
            h,
            w,
            ci,
            first as isize - 1,
            &mut padded,
        );
        for panel in 0..panels.count() {
            let width = panels.width(panel);
            let weights = packed[9 * words * panels.first(panel)..].as_ptr();
            let product = |row: usize| Product {
                segments: 3,
                steps: run,
                a: padded[row * stride..].as_ptr(),
                a_row: words,
                a_step: 1,
                a_segment: stride,
                b: weights,
                b_step: width,
                b_segment: run * width,
                // SAFETY: the task's rows lie within the output.
                c: unsafe { out.at(((image * h + first + row) * w) * co + panels.first(panel)) },
                c_row: co,
                columns: panels.columns(panel),
                start: Start::Row(bias[panels.first(panel)..].as_ptr()),
                finish: Finish::positive_if(positive),
            };
            if whole {
                for row in 0..rows {
                    // SAFETY: the strides stay within the padded rows, the panel and the task's own rows of output.
                    unsafe { product(row).run::<V>(w) };
                }
            } else {
                for tap_row in 0..3 {
                    for row in 0..rows {
                        let mut part = product(row);
                        part.segments = 1;
                        part.a = padded[(row + tap_row) * stride..].as_ptr();
                        part.b = packed[9 * words * panels.first(panel) + tap_row * run * width..].as_ptr();
                        part.finish = Finish::positive_if(positive && tap_row == 2); // once the sum is complete
                        if tap_row > 0 {
                            part.start = Start::Accumulate;
                        }
                        // SAFETY: the strides stay within the padded rows, the panel and the task's own rows of output.
                        unsafe { part.run::<V>(w) };
                    }
                }
            }
        }
    });
}
