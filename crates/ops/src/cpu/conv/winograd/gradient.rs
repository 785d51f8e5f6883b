//! The gradient of the filter.
//!
//! For each of the 36 points it is the matrix product of the transformed patches with the transformed gradients of
//! the tiles, summed over tiles. Narrow layers have many tiles and small sums: each task takes a share of the tiles
//! and sums of its own, which are added in a fixed order. Wide layers have few tiles and large sums: all tiles are
//! transformed first, then each task takes a part of the sums. Which way is taken depends on the shape alone.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::transform::{filter_gradient, transform_output_gradient, transform_patch};
use super::{Layout, POINTS, Tiling};
use crate::cpu::conv::ConvShape;
use crate::cpu::conv::pack::Panels;
use crate::cpu::conv::product::{Product, Start};
use crate::cpu::conv::weight_gradient::add_parts;
use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Up to this many pairs of channels, sums are small enough for each task to have its own.
const SMALL_SUMS: usize = 64 * 64;
/// Tasks that share the tiles of a layer with small sums.
const PARTS: usize = 8;
/// Floats of transformed patches and gradients that such a task works on at a time.
const SMALL_BLOCK_FLOATS: usize = 96 << 10;
/// Floats of transformed patches and gradients that all tasks work on at a time when the sums are large: what the
/// last-level cache holds beside the operands, but no less than there are sums, which every block reads and writes.
const LARGE_BLOCK_FLOATS: usize = 1 << 20;
/// Input channels in a group of large sums.
const GROUP_INPUTS: usize = 32;

/// Gradient of the weight `[co, ci, 3, 3]` from the input and the gradient of the output.
pub(in crate::cpu::conv) fn weight_gradient<V: Lanes>(
    x: &[f32],
    dy: &[f32],
    shape: ConvShape,
    dw: &mut [MaybeUninit<f32>],
) {
    if shape.ci * shape.co <= SMALL_SUMS {
        small_sums::<V>(x, dy, shape, dw);
    } else {
        large_sums::<V>(x, dy, shape, dw);
    }
}

/// The operands and the transformed tiles that tasks share.
#[derive(Clone, Copy)]
struct Tiles {
    x: SharedOutput,
    dy: SharedOutput,
    shape: ConvShape,
    tiling: Tiling,
    patches: Layout,
    gradients: Layout,
    patch_buffer: SharedOutput,
    gradient_buffer: SharedOutput,
}

/// Transforms `count` tiles from `first` on into the places from `place` on.
struct Transform {
    tiles: Tiles,
    first: usize,
    place: usize,
    count: usize,
}

impl Kernel for Transform {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Tiles {
            x,
            dy,
            shape,
            tiling,
            patches,
            gradients,
            ..
        } = self.tiles;
        let ConvShape { h, w, ci, co, .. } = shape;
        for index in 0..self.count {
            let tile = tiling.tile(self.first + index);
            // SAFETY: the tile and its place are within the operands and the buffers.
            unsafe {
                let image = x.at(tile.image * h * w * ci);
                let to = self.tiles.patch_buffer.at((self.place + index) * patches.tile);
                transform_patch::<V>(image, ci, tiling, tile, to, patches);
                let image = dy.at(tile.image * h * w * co);
                let to = self
                    .tiles
                    .gradient_buffer
                    .at((self.place + index) * gradients.tile);
                transform_output_gradient::<V>(image, co, tiling, tile, to, gradients);
            }
        }
    }
}

/// Multiplies `count` transformed tiles for some input channels and panels, adding to `[point][input][column]`.
struct Multiply {
    tiles: Tiles,
    count: usize,
    inputs: (usize, usize),
    panels: (usize, usize),
    sums: *mut f32,
    /// Whether these are the first tiles: the sums begin at zero.
    fresh: bool,
}

impl Kernel for Multiply {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Tiles {
            patches, gradients, ..
        } = self.tiles;
        let panels = Panels::new::<V>(self.tiles.shape.co);
        let inputs = self.inputs.1 - self.inputs.0;
        let columns = sum_columns(panels, self.panels);
        for point in 0..POINTS {
            for panel in self.panels.0..self.panels.1 {
                // SAFETY: the strides stay within the transformed tiles and the task's own sums.
                unsafe {
                    let column = panels.first(panel) - panels.first(self.panels.0);
                    let product = Product {
                        segments: 1,
                        steps: self.count,
                        a: self.tiles.patch_buffer.at(point * patches.point + self.inputs.0),
                        a_row: 1,
                        a_step: patches.tile,
                        a_segment: 0,
                        b: self
                            .tiles
                            .gradient_buffer
                            .at(point * gradients.point + panels.first(panel)),
                        b_step: gradients.tile,
                        b_segment: 0,
                        c: self.sums.add(point * inputs * columns + column),
                        c_row: columns,
                        columns: panels.width(panel),
                        start: if self.fresh {
                            Start::Zero
                        } else {
                            Start::Accumulate
                        },
                    };
                    product.run::<V>(inputs);
                }
            }
        }
    }
}

/// Columns of the sums of some panels: their channels with padding.
#[inline(always)]
fn sum_columns(panels: Panels, (first, end): (usize, usize)) -> usize {
    panels.first(end - 1) + panels.width(end - 1) - panels.first(first)
}

/// Takes sums `[point][input][column]` back to the nine taps and writes them.
struct TransformBack {
    sums: *const f32,
    shape: ConvShape,
    inputs: (usize, usize),
    panels: (usize, usize),
    dw: SharedOutput,
}

impl Kernel for TransformBack {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let ConvShape { ci, co, .. } = self.shape;
        let panels = Panels::new::<V>(co);
        let inputs = self.inputs.1 - self.inputs.0;
        let columns = sum_columns(panels, self.panels);
        let first = panels.first(self.panels.0);
        // Taps of one vector of outputs for one input: `[9][lane]`, long enough for any instruction set.
        let mut taps = [0.0f32; 9 * 16];
        let mut column = 0;
        while column < columns {
            let lanes = V::LANES.min(co - (first + column));
            for input in 0..inputs {
                // SAFETY: reads stay within the sums; the task alone writes the taps of its inputs and outputs.
                unsafe {
                    let mut half = [[V::zero(); 6]; 3];
                    for point_column in 0..6 {
                        let mut points = [V::zero(); 6];
                        for (point_row, point) in points.iter_mut().enumerate() {
                            let index = (point_row * 6 + point_column) * inputs + input;
                            *point = V::load(self.sums.add(index * columns + column));
                        }
                        for (half, tap) in half.iter_mut().zip(filter_gradient(points)) {
                            half[point_column] = tap;
                        }
                    }
                    for (row, half) in half.into_iter().enumerate() {
                        for (tap_column, tap) in filter_gradient(half).into_iter().enumerate() {
                            tap.store(taps.as_mut_ptr().add((row * 3 + tap_column) * V::LANES));
                        }
                    }
                    for lane in 0..lanes {
                        let filter = (first + column + lane) * ci + self.inputs.0 + input;
                        let to = self.dw.at(filter * 9);
                        for tap in 0..9 {
                            *to.add(tap) = taps[tap * V::LANES + lane];
                        }
                    }
                }
            }
            column += V::LANES;
        }
    }
}

/// The operands with buffers for `count` transformed tiles.
fn tiles<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, count: usize) -> (Tiles, [Scratch; 2]) {
    let patches = Layout::new::<V>(count, shape.ci);
    let gradients = Layout::new::<V>(count, shape.co);
    let mut buffers = [Scratch::take(patches.len()), Scratch::take(gradients.len())];
    let tiles = Tiles {
        // Never written: `SharedOutput` only carries the addresses across threads.
        x: SharedOutput::new(x.as_ptr().cast_mut()),
        dy: SharedOutput::new(dy.as_ptr().cast_mut()),
        shape,
        tiling: Tiling::new(shape.h, shape.w),
        patches,
        gradients,
        patch_buffer: SharedOutput::new(buffers[0].as_mut_ptr()),
        gradient_buffer: SharedOutput::new(buffers[1].as_mut_ptr()),
    };
    (tiles, buffers)
}

/// Each task takes a share of the tiles.
fn small_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) {
    let ConvShape { n, h, w, ci, co } = shape;
    let all = n * Tiling::new(h, w).per_image();
    let share = all.div_ceil(PARTS);
    let parts = all.div_ceil(share);
    let panels = Panels::new::<V>(co);
    let whole = ((0, ci), (0, panels.count()));
    let len = POINTS * ci * panels.padded();
    let mut sums = Scratch::take(parts * len);
    sums.par_chunks_mut(len).enumerate().for_each(|(part, sums)| {
        let per_tile = Layout::new::<V>(1, ci).tile + Layout::new::<V>(1, co).tile;
        let block = (SMALL_BLOCK_FLOATS / (POINTS * per_tile))
            .clamp(16, 256)
            .min(share);
        let (tiles, _buffers) = tiles::<V>(x, dy, shape, block);
        let (mut first, end) = (part * share, all.min((part + 1) * share));
        while first < end {
            let count = block.min(end - first);
            let fresh = first == part * share;
            let (inputs, panels) = whole;
            // SAFETY: the buffers hold `block` tiles, the sums are this task's own.
            unsafe {
                V::enter(Transform {
                    tiles,
                    first,
                    place: 0,
                    count,
                });
                V::enter(Multiply {
                    tiles,
                    count,
                    inputs,
                    panels,
                    sums: sums.as_mut_ptr(),
                    fresh,
                });
            }
            first += count;
        }
    });
    add_parts::<V>(&mut sums, len);
    let dw = SharedOutput::new(dw.as_mut_ptr().cast());
    let (inputs, panels) = whole;
    // SAFETY: the sums of all channels are complete, nobody else writes `dw`.
    unsafe {
        V::enter(TransformBack {
            sums: sums.as_ptr(),
            shape,
            inputs,
            panels,
            dw,
        })
    };
}

/// Each task takes a group of input channels and panels.
fn large_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) {
    let ConvShape { n, h, w, ci, co } = shape;
    let all = n * Tiling::new(h, w).per_image();
    let per_tile = Layout::new::<V>(1, ci).tile + Layout::new::<V>(1, co).tile;
    let block = LARGE_BLOCK_FLOATS.max(POINTS * ci * co) / (POINTS * per_tile);
    let block = block.max(64).min(all);
    let (tiles, _buffers) = tiles::<V>(x, dy, shape, block);
    let panels = Panels::new::<V>(co);
    let padded = panels.padded();
    // Four panels of AVX-512: the sums of a group then fit the second-level cache.
    let group_panels = 128 / panels.first(1);
    let (across, down) = (panels.count().div_ceil(group_panels), ci.div_ceil(GROUP_INPUTS));
    let mut sums = Scratch::take(POINTS * ci * padded);
    let sums = SharedOutput::new(sums.as_mut_ptr());
    let dw = SharedOutput::new(dw.as_mut_ptr().cast());
    let mut first = 0;
    while first < all {
        let count = block.min(all - first);
        let step = 8;
        (0..count.div_ceil(step)).into_par_iter().for_each(|task| {
            let place = task * step;
            // SAFETY: each task writes the places of its own tiles.
            unsafe {
                V::enter(Transform {
                    tiles,
                    first: first + place,
                    place,
                    count: step.min(count - place),
                })
            };
        });
        let (fresh, last) = (first == 0, first + count == all);
        (0..down * across).into_par_iter().for_each(|task| {
            let (row, column) = (task / across, task % across);
            let inputs = (row * GROUP_INPUTS, ci.min((row + 1) * GROUP_INPUTS));
            let panels = (
                column * group_panels,
                panels.count().min((column + 1) * group_panels),
            );
            let before = inputs.0 * padded
                + (inputs.1 - inputs.0) * column * group_panels * Panels::new::<V>(co).first(1);
            // SAFETY: the groups' sums lie one after the other, each task has its own, and so with its taps.
            unsafe {
                let sums = sums.at(POINTS * before);
                V::enter(Multiply {
                    tiles,
                    count,
                    inputs,
                    panels,
                    sums,
                    fresh,
                });
                if last {
                    V::enter(TransformBack {
                        sums,
                        shape,
                        inputs,
                        panels,
                        dw,
                    });
                }
            }
        });
        first += count;
    }
}
