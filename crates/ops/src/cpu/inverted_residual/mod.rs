//! Inverted residual blocks, whose wide inner map never exists as a whole.
//!
//! The inner channels are cut into panels two vectors wide. For one panel and a few rows of output, rows of the inner map
//! are computed one after the other (a matrix product, [`Product`]) into a ring of as many rows as the filters are high;
//! as soon as the rows are there that a row of output needs, [`depthwise`] computes it. The ring is some ten kilobytes: it
//! stays in the first-level cache, and the map before the filters, the largest of the block, is never in main memory.
//!
//! What the filters give is kept for all panels and becomes the left operand of the product that projects it, in the same
//! task where that has all panels, otherwise in a second pass.
//!
//! Where products are taken in bfloat16, both products read words of two neighbouring channels: the rows of the input are
//! rounded once a task, what the filters give is rounded as it is stored. The filters themselves multiply f32, and so does an
//! expansion that reads an odd number of channels.
//!
//! Every number is computed by the same sums whatever the division into tasks, so that the result is the same, bit for bit,
//! for any number of threads, and for an image alone and in a batch.

mod depthwise;
mod plan;
#[cfg(test)]
mod tests;

use std::mem::MaybeUninit;

use rayon::prelude::*;

use self::depthwise::Row;
use self::plan::{Geometry, Plan, Task};
use super::arithmetic::Arithmetic;
use super::conv2d::Conv2dShape;
use super::conv2d::gather::pack;
use super::conv2d::strip::Border;
use super::lanes::{Lanes, to_words, with_arithmetic};
use super::pack::{Panels, pad_bias, pair_rows};
use super::product::{Finish, Product, Start};
use super::scratch::{Scratch, SharedOutput};
use crate::definitions::inverted_residual::BlockShape;

/// Weights and biases of a block, in the order of [`BlockShape`].
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// `[inner, ci, k, k]` and `[inner]`.
    pub(crate) expand: (&'a [f32], &'a [f32]),
    /// `[inner, 1, side, side]` and `[inner]`.
    pub(crate) depthwise: (&'a [f32], &'a [f32]),
    /// `[co, inner, 1, 1]` and `[co]`.
    pub(crate) project: (&'a [f32], &'a [f32]),
}

/// A block with its weights rearranged for an instruction set and its products.
#[derive(Debug)]
pub(crate) struct PreparedBlock {
    shape: BlockShape,
    arithmetic: Arithmetic,
    expand: Filter,
    depthwise: Filter,
    project: Filter,
}

/// `[panel][tap][ci][width]` in words ([`Lanes::STEPS`]), and the bias up to whole vectors.
#[derive(Debug)]
struct Filter {
    weight: Scratch,
    bias: Scratch,
}

impl Filter {
    fn new<V: Lanes>((weight, bias): (&[f32], &[f32]), co: usize, ci: usize, side: usize) -> Self {
        assert_eq!(weight.len(), co * ci * side * side, "length of weight");
        assert_eq!(bias.len(), co, "length of bias");
        let shape = Conv2dShape {
            n: 1,
            h: side,
            w: side,
            ci,
            co,
            kh: side,
            kw: side,
            stride: 1,
            padding: 0,
        };
        Self {
            weight: pair_rows::<V>(pack::<V>(weight, shape), side * side * ci, Panels::new::<V>(co)),
            bias: pad_bias::<V>(Some(bias), co),
        }
    }
}

/// Whether the expansion reads words of `V`: each pixel has a whole number of them, and there is no border to lay around.
fn expands_in_words<V: Lanes>(shape: BlockShape) -> bool {
    (shape.expand_side, shape.expand_stride) == (1, 1) && shape.ci.is_multiple_of(V::STEPS)
}

impl PreparedBlock {
    /// Rearranges the weights.
    ///
    /// # Panics
    /// When a slice has another length than `shape` says, the filters' side is neither 3 nor 5, or the processor lacks
    /// `arithmetic`.
    pub(crate) fn new(weights: Weights<'_>, shape: BlockShape, arithmetic: Arithmetic) -> Self {
        assert!(matches!(shape.side, 3 | 5), "filters of side {}", shape.side);
        let BlockShape {
            ci, inner, co, side, ..
        } = shape;
        with_arithmetic!(arithmetic, V => Self {
            shape,
            arithmetic,
            expand: if expands_in_words::<V>(shape) {
                Filter::new::<V>(weights.expand, inner, ci, shape.expand_side)
            } else {
                Filter::new::<<V as Lanes>::Single>(weights.expand, inner, ci, shape.expand_side)
            },
            depthwise: Filter::new::<<V as Lanes>::Single>(weights.depthwise, inner, 1, side),
            project: Filter::new::<V>(weights.project, co, inner, 1),
        })
    }

    /// Sizes of the block.
    pub(crate) fn shape(&self) -> BlockShape {
        self.shape
    }

    /// Height and width of the output.
    pub(crate) fn output(&self, size: (usize, usize)) -> (usize, usize) {
        Geometry::new(self.shape, size).output()
    }

    /// `y[n, ho, wo, co]` of `x[n, h, w, ci]`.
    ///
    /// # Panics
    /// When a slice has another length.
    pub(crate) fn forward(&self, x: &[f32], n: usize, size: (usize, usize), y: &mut [MaybeUninit<f32>]) {
        let geometry = Geometry::new(self.shape, size);
        let (ho, wo) = geometry.output();
        assert_eq!(x.len(), n * size.0 * size.1 * self.shape.ci, "length of x");
        assert_eq!(y.len(), n * ho * wo * self.shape.co, "length of y");
        with_arithmetic!(self.arithmetic, V => match (self.shape.side, expands_in_words::<V>(self.shape)) {
            (3, true) => self.compute::<V, V, 3>(x, n, geometry, y),
            (3, false) => self.compute::<V, <V as Lanes>::Single, 3>(x, n, geometry, y),
            (_, true) => self.compute::<V, V, 5>(x, n, geometry, y),
            (_, false) => self.compute::<V, <V as Lanes>::Single, 5>(x, n, geometry, y),
        });
    }

    /// `E` expands, `V` projects.
    fn compute<V: Lanes, E: Lanes, const SIDE: usize>(
        &self,
        x: &[f32],
        n: usize,
        geometry: Geometry,
        y: &mut [MaybeUninit<f32>],
    ) {
        let panels = Panels::new::<V>(self.shape.inner);
        let plan = Plan::new(n, self.shape, geometry, panels, rayon::current_num_threads());
        let pixel_words = panels.padded() / V::STEPS;
        let (ho, wo) = geometry.output();
        let out = SharedOutput::new(y.as_mut_ptr().cast());
        if plan.joined() {
            (0..plan.tasks()).into_par_iter().for_each(|task| {
                let task = plan.task(task);
                let mut filtered = Scratch::take(task.rows * wo * pixel_words);
                let to = SharedOutput::new(filtered.as_mut_ptr());
                self.filter::<V, E, SIDE>(x, geometry, task, to);
                let pixel = (task.image * ho + task.first_row) * wo;
                self.project::<V>(&filtered, x, pixel, task.rows * wo, out);
            });
            return;
        }
        let mut filtered = Scratch::take(n * ho * wo * pixel_words);
        let to = SharedOutput::new(filtered.as_mut_ptr());
        (0..plan.tasks()).into_par_iter().for_each(|task| {
            let task = plan.task(task);
            let pixel = (task.image * ho + task.first_row) * wo;
            // SAFETY: the task's rows lie within the buffer.
            let to = SharedOutput::new(unsafe { to.at(pixel * pixel_words) });
            self.filter::<V, E, SIDE>(x, geometry, task, to);
        });
        let block = plan.projected();
        filtered
            .par_chunks(block * pixel_words)
            .enumerate()
            .for_each(|(index, filtered)| {
                let count = filtered.len() / pixel_words;
                self.project::<V>(filtered, x, index * block, count, out);
            });
    }

    /// Expands and filters the panels and rows of a task, into words of `V`, `[row][column][channels padded]` from `to` on.
    fn filter<V: Lanes, E: Lanes, const SIDE: usize>(
        &self,
        x: &[f32],
        geometry: Geometry,
        task: Task,
        to: SharedOutput,
    ) {
        let BlockShape { ci, stride, .. } = self.shape;
        let Geometry { h, w, he, we, .. } = geometry;
        let (_, wo) = geometry.output();
        let panels = Panels::new::<V>(self.shape.inner);
        let (side, step) = (self.shape.expand_side, self.shape.expand_stride);
        let image = &x[task.image * h * w * ci..][..h * w * ci];
        let top = |row: usize| (row * stride) as isize - geometry.top as isize;
        let first = top(task.first_row).max(0) as usize;
        let end = he.min((top(task.first_row + task.rows - 1) + SIDE as isize).max(0) as usize);
        // A 1×1 convolution reads the image where it lies, or its words; a larger kernel meets zeros around it.
        let border = Border {
            left: geometry.expand_left,
            width: (we - 1) * step + side,
            channels: ci,
        };
        let plain = (side, step) == (1, 1);
        let copied = if !plain {
            let rows = (end.saturating_sub(first + 1)) * step + side;
            let mut copied = Scratch::take(rows * border.stride());
            let at = (first * step) as isize - geometry.expand_top as isize;
            border.copy(image, (h, w), at, &mut copied);
            Some(copied)
        } else if E::STEPS > 1 {
            let met = &image[first * w * ci..end.max(first) * w * ci];
            let mut words = Scratch::take(met.len() / E::STEPS);
            to_words::<E>(met, &mut words);
            Some(words)
        } else {
            None
        };
        let source = copied.as_deref().unwrap_or(&image[first * w * ci..]);
        let source_row = if plain {
            w * ci / E::STEPS
        } else {
            step * border.stride()
        };
        // Columns of a row of the ring: zeros, the row of the inner map, zeros.
        let columns = geometry.left + we.max((wo - 1) * stride + SIDE - geometry.left);
        let widest = panels.width(task.first_panel);
        let mut ring = Scratch::take((SIDE + 1) * columns * widest);
        for panel in task.first_panel..task.first_panel + task.panels {
            let width = panels.width(panel);
            let channel = panels.first(panel);
            let ring_row = columns * width;
            // The row of zeros, and the zeros beside each row: rows of the last panel may be shorter.
            ring[SIDE * ring_row..][..ring_row].fill(0.0);
            for row in ring.chunks_exact_mut(ring_row).take(SIDE) {
                row[..geometry.left * width].fill(0.0);
                row[(geometry.left + we) * width..].fill(0.0);
            }
            let start = SharedOutput::new(ring.as_mut_ptr());
            // SAFETY: the ring has `SIDE + 1` rows.
            let row_at = |row: usize| unsafe { start.at(row * ring_row) };
            let mut made = first;
            for row in 0..task.rows {
                let top = top(task.first_row + row);
                let until = he.min((top + SIDE as isize).max(0) as usize);
                while made < until {
                    let product = Product {
                        segments: side,
                        steps: side * ci / E::STEPS,
                        a: source[(made - first) * source_row..].as_ptr(),
                        a_row: step * ci / E::STEPS,
                        a_step: 1,
                        a_segment: border.stride(),
                        b: self.expand.weight[side * side * ci / E::STEPS * channel..].as_ptr(),
                        b_step: width,
                        b_segment: side * ci / E::STEPS * width,
                        // SAFETY: within the row of the ring.
                        c: unsafe { row_at(made % SIDE).add(geometry.left * width) },
                        c_row: width,
                        columns: width,
                        start: Start::Row(self.expand.bias[channel..].as_ptr()),
                        finish: Finish::UpTo6,
                    };
                    // SAFETY: the strides stay within the source's rows, the panel and the row of the ring.
                    unsafe { product.run::<E>(we) };
                    made += 1;
                }
                let mut met = [row_at(SIDE).cast_const(); SIDE];
                for (tap, met) in met.iter_mut().enumerate() {
                    let row = top + tap as isize;
                    if (0..he as isize).contains(&row) {
                        *met = row_at(row as usize % SIDE).cast_const();
                    }
                }
                let kernel = Row::<SIDE> {
                    rows: met,
                    width,
                    stride,
                    taps: self.depthwise.weight[SIDE * SIDE * channel..].as_ptr(),
                    bias: self.depthwise.bias[channel..].as_ptr(),
                    // SAFETY: the task's own rows and channels of the filtered map.
                    out: unsafe { to.at((row * wo * panels.padded() + channel) / V::STEPS) },
                    out_pixel: panels.padded() / V::STEPS,
                    pixels: wo,
                };
                // SAFETY: a row of the ring holds all places of the kernel; weights and biases are whole vectors.
                unsafe { V::enter(kernel) };
            }
        }
    }

    /// Projects `count` pixels of the filtered map, of which the first is number `pixel` of the output, and adds what is in
    /// its place in `x` where the block has a shortcut.
    fn project<V: Lanes>(&self, filtered: &[f32], x: &[f32], pixel: usize, count: usize, out: SharedOutput) {
        let BlockShape {
            inner, co, shortcut, ..
        } = self.shape;
        let panels = Panels::new::<V>(co);
        let pixel_words = Panels::new::<V>(inner).padded() / V::STEPS;
        let steps = inner.div_ceil(V::STEPS);
        for panel in 0..panels.count() {
            let channel = panels.first(panel);
            let bias = self.project.bias[channel..].as_ptr();
            let product = Product {
                segments: 1,
                steps,
                a: filtered.as_ptr(),
                a_row: pixel_words,
                a_step: 1,
                a_segment: 0,
                b: self.project.weight[steps * channel..].as_ptr(),
                b_step: panels.width(panel),
                b_segment: 0,
                // SAFETY: the caller's pixels lie within the output.
                c: unsafe { out.at(pixel * co + channel) },
                c_row: co,
                columns: panels.columns(panel),
                start: if shortcut {
                    Start::RowPlus {
                        row: bias,
                        other: x[pixel * co + channel..].as_ptr(),
                        other_row: co,
                    }
                } else {
                    Start::Row(bias)
                },
                finish: Finish::Keep,
            };
            // SAFETY: the strides stay within the pixels, the panel, the same pixels of input and of output.
            unsafe { product.run::<V>(count) };
        }
    }
}
