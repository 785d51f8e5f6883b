//! The adjoint of the convolution: the gradient of its input, and the transposed convolution.
//!
//! Along one axis, pixel `i` of the input meets tap `k` of output `o` where `o * stride + k = i + padding`. With
//! `i + padding = q * stride + r` these are the taps `k = r + t * stride` and the outputs `o = q - t`: the pixels of
//! phase `r` see every `stride`-th tap, and neighbours among them see neighbouring outputs. Taken in falling order of
//! the taps, the outputs lie side by side.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Conv2dShape;
use super::strip::{Border, Tasks};
use crate::cpu::lanes::Lanes;
use crate::cpu::pack::Panels;
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// The pixels of one phase along one axis.
#[derive(Clone, Copy)]
struct Phase {
    /// The phase: position plus padding, modulo the stride.
    remainder: usize,
    /// Taps that they see; 0 where the stride is longer than the kernel.
    taps: usize,
    /// The first of them.
    start: usize,
    /// How many there are.
    count: usize,
}

impl Phase {
    fn new(remainder: usize, kernel: usize, length: usize, stride: usize, padding: usize) -> Self {
        let start = (remainder + padding * (stride - 1)) % stride;
        Self {
            remainder,
            taps: kernel.saturating_sub(remainder).div_ceil(stride),
            start,
            count: length.saturating_sub(start).div_ceil(stride),
        }
    }

    fn all(kernel: usize, length: usize, stride: usize, padding: usize) -> Vec<Self> {
        (0..stride)
            .map(|remainder| Self::new(remainder, kernel, length, stride, padding))
            .collect()
    }

    /// The lowest output that the pixel meets.
    fn first_output(&self, pixel: usize, stride: usize, padding: usize) -> isize {
        ((pixel + padding) / stride) as isize - self.taps as isize + 1
    }
}

/// `dx` from `dy`.
pub(super) fn convolve<V: Lanes>(
    dy: &[f32],
    shape: Conv2dShape,
    weight: &[f32],
    dx: &mut [MaybeUninit<f32>],
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
    let (rows, columns) = (
        Phase::all(kh, h, stride, padding),
        Phase::all(kw, w, stride, padding),
    );
    let packed = pack::<V>(weight, shape, &rows, &columns);
    let panels = Panels::new::<V>(ci);
    let zeros = vec![0.0; 2 * V::LANES];
    let out = SharedOutput::new(dx.as_mut_ptr().cast());
    let most_rows = kh.div_ceil(stride);
    let left = columns
        .iter()
        .map(|phase| (-phase.first_output(phase.start, stride, padding)).max(0) as usize)
        .max()
        .unwrap_or(0);
    let border = Border {
        left,
        width: left + (w - 1 + padding) / stride + 1,
        channels: co,
    };
    let tasks = Tasks::new(n, h, w, panels.count());
    (0..tasks.count()).into_par_iter().for_each(|task| {
        let task = tasks.get(task);
        // Rows of dy that the task's rows meet, from the lowest of the tallest phase on.
        let first_output = ((task.first_row + padding) / stride) as isize - most_rows as isize + 1;
        let last_output = (task.first_row + task.rows - 1 + padding) / stride;
        let height = (last_output as isize - first_output) as usize + 1;
        let mut padded = Scratch::take(task.images * height * border.stride());
        let strips = padded.chunks_exact_mut(height * border.stride());
        for (image, strip) in (task.first_image..).zip(strips) {
            let image = &dy[image * ho * wo * co..][..ho * wo * co];
            border.copy(image, (ho, wo), first_output, strip);
        }
        for panel in task.first_panel..task.first_panel + task.panels {
            let width = panels.width(panel);
            // Panels follow one another with all their phases.
            let mut weights = &packed[kh * kw * co * panels.first(panel)..];
            for vertical in &rows {
                for horizontal in &columns {
                    let (now, later) = weights.split_at(vertical.taps * horizontal.taps * co * width);
                    weights = later;
                    if horizontal.count == 0 {
                        continue;
                    }
                    let seen = vertical.taps * horizontal.taps > 0;
                    let run = horizontal.taps * co;
                    let column = horizontal.first_output(horizontal.start, stride, padding) + left as isize;
                    for image in 0..task.images {
                        for row in task.first_row..task.first_row + task.rows {
                            if (row + padding) % stride != vertical.remainder {
                                continue;
                            }
                            let output = vertical.first_output(row, stride, padding) - first_output;
                            let at = if seen {
                                (image * height + output as usize) * border.stride() + column as usize * co
                            } else {
                                0
                            };
                            let pixel = ((task.first_image + image) * h + row) * w + horizontal.start;
                            let product = Product {
                                segments: if seen { vertical.taps } else { 0 },
                                steps: run,
                                a: padded[at..].as_ptr(),
                                a_row: co,
                                a_step: 1,
                                a_segment: border.stride(),
                                b: if seen { now.as_ptr() } else { zeros.as_ptr() },
                                b_step: width,
                                b_segment: run * width,
                                // SAFETY: the task's pixels lie within the output.
                                c: unsafe { out.at(pixel * ci + panels.first(panel)) },
                                c_row: stride * ci,
                                columns: panels.columns(panel),
                                start: Start::Zero,
                                finish: Finish::Keep,
                            };
                            // SAFETY: the strides stay within the padded rows, the phase's weights and the task's own
                            // pixels of this phase.
                            unsafe { product.run::<V>(horizontal.count) };
                        }
                    }
                }
            }
        }
    });
}

/// The weight as `[panel][vertical phase][horizontal phase][taps, falling][co][width]`.
fn pack<V: Lanes>(weight: &[f32], shape: Conv2dShape, rows: &[Phase], columns: &[Phase]) -> Scratch {
    let Conv2dShape {
        ci,
        co,
        kh,
        kw,
        stride,
        ..
    } = shape;
    let panels = Panels::new::<V>(ci);
    let mut packed = Scratch::take(kh * kw * co * panels.padded());
    packed
        .par_chunks_mut(kh * kw * co * panels.first(1))
        .enumerate()
        .for_each(|(panel, packed)| {
            let (width, first, exist) = (panels.width(panel), panels.first(panel), panels.columns(panel));
            let mut to = packed.chunks_exact_mut(width);
            for vertical in rows {
                for horizontal in columns {
                    for t in (0..vertical.taps).rev() {
                        for u in (0..horizontal.taps).rev() {
                            let ky = vertical.remainder + t * stride;
                            let kx = horizontal.remainder + u * stride;
                            for output in 0..co {
                                let Some(to) = to.next() else { return };
                                for (column, to) in to.iter_mut().enumerate() {
                                    *to = match column < exist {
                                        true => weight[((output * ci + first + column) * kh + ky) * kw + kx],
                                        false => 0.0,
                                    };
                                }
                            }
                        }
                    }
                }
            }
        });
    packed
}
