//! The gradient of the filter.
//!
//! For each of the 36 points it is the matrix product of the transformed patches with the transformed gradients of
//! the tiles, summed over tiles. Narrow layers have many tiles and small sums: each task takes a share of the tiles
//! and sums of its own, which are added in a fixed order. Wide layers have few tiles and large sums: the tiles of a
//! large block are transformed first, then each task takes one of the points. Which way is taken depends on the shape
//! alone.
//!
//! One of the 36 numbers that the gradient of a tile becomes is the sum of its pixels, so the gradient of the bias
//! costs next to nothing here; where products are in bfloat16, another way is taken, since the points are others.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::transform::{OutputGradient, Patch, filter_gradient, transform_together};
use super::{Layout, POINTS, Tiling};
use crate::cpu::conv3x3::ConvShape;
use crate::cpu::conv3x3::weight_gradient::{add_parts, bias};
use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::pack::Panels;
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Up to this many pairs of channels, sums are small enough for each task to have its own.
const SMALL_SUMS: usize = 64 * 64;
/// Tasks that share the tiles of a layer with small sums.
const PARTS: usize = 8;
/// Words of transformed patches and gradients that all tasks work on at a time when the sums are large: what the
/// last-level cache holds beside the operands, but no less than there are sums, which every block reads and writes.
const LARGE_BLOCK_WORDS: usize = 3 << 19;
/// Input channels whose sums for one point are a task of their own.
const GROUP_INPUTS: usize = 64;
/// Input channels whose sums are taken back to taps by one task.
const BACK_INPUTS: usize = 8;

/// The number of a transformed gradient that is the sum of the tile: interpolation point 1 in both dimensions.
const TILE_SUM: usize = 7;

/// Gradient of the weight `[co, ci, 3, 3]`, and of the bias `[co]` if wanted, from the input and the gradient of the
/// output.
pub(in crate::cpu::conv3x3) fn weight_gradient<V: Lanes>(
    x: &[f32],
    dy: &[f32],
    shape: ConvShape,
    dw: &mut [MaybeUninit<f32>],
    db: Option<&mut [f32]>,
) {
    let bias_sums = if shape.ci * shape.co <= SMALL_SUMS {
        small_sums::<V>(x, dy, shape, dw)
    } else {
        large_sums::<V>(x, dy, shape, dw)
    };
    match db {
        Some(db) if V::STEPS == 1 => db.copy_from_slice(&bias_sums[..shape.co]),
        Some(db) => bias::<V>(dy, shape.co, db),
        None => {}
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

/// Transforms `count` tiles from `first` on into the places from that of tile `place` on, the first of a word.
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
        let ConvShape { ci, co, .. } = shape;
        for index in (0..self.count).step_by(V::STEPS) {
            let place = (self.place + index) / V::STEPS;
            let here = (self.first + index, self.count - index);
            // SAFETY: the tiles and their place are within the operands and the buffers.
            unsafe {
                let to = self.tiles.patch_buffer.at(place * patches.tile);
                transform_together::<V, Patch, 6>(x.at(0), ci, tiling, here, to, patches);
                let to = self.tiles.gradient_buffer.at(place * gradients.tile);
                transform_together::<V, OutputGradient, 4>(dy.at(0), co, tiling, here, to, gradients);
            }
        }
    }
}

/// Multiplies `count` transformed tiles for one point and some input channels, adding to `[input][column]`.
struct Multiply {
    tiles: Tiles,
    count: usize,
    point: usize,
    inputs: (usize, usize),
    /// Those of the first of the inputs.
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
        for panel in 0..panels.count() {
            // SAFETY: the strides stay within the transformed tiles and the task's own sums.
            unsafe {
                let from = self.point * patches.point + self.inputs.0;
                let product = Product {
                    segments: 1,
                    steps: self.count.div_ceil(V::STEPS),
                    a: self.tiles.patch_buffer.at(from),
                    a_row: 1,
                    a_step: patches.tile,
                    a_segment: 0,
                    b: self
                        .tiles
                        .gradient_buffer
                        .at(self.point * gradients.point + panels.first(panel)),
                    b_step: gradients.tile,
                    b_segment: 0,
                    c: self.sums.add(panels.first(panel)),
                    c_row: panels.padded(),
                    columns: panels.width(panel),
                    finish: Finish::Keep,
                    start: if self.fresh {
                        Start::Zero
                    } else {
                        Start::Accumulate
                    },
                };
                product.run::<V>(self.inputs.1 - self.inputs.0);
            }
        }
    }
}

/// Adds the sums of `count` transformed tiles to `sums`, one for each output channel; of f32 alone.
struct AddTileSums {
    tiles: Tiles,
    count: usize,
    sums: *mut f32,
    /// As in [`Multiply`].
    fresh: bool,
}

impl Kernel for AddTileSums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let gradients = self.tiles.gradients;
        let mut column = 0;
        while column < self.tiles.shape.co {
            // SAFETY: reads stay within the transformed tiles, writes within the task's own sums.
            unsafe {
                let to = self.sums.add(column);
                let mut sum = if self.fresh { V::zero() } else { V::load(to) };
                let from = self.tiles.gradient_buffer.at(TILE_SUM * gradients.point + column);
                for index in 0..self.count {
                    sum = sum.add(V::load(from.add(index * gradients.tile)));
                }
                sum.store(to);
            }
            column += V::LANES;
        }
    }
}

/// Takes the sums `[point][input][column]` of some inputs back to the nine taps and writes them.
struct TransformBack {
    sums: *const f32,
    shape: ConvShape,
    inputs: (usize, usize),
    dw: SharedOutput,
}

impl Kernel for TransformBack {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let ConvShape { ci, co, .. } = self.shape;
        let columns = Panels::new::<V>(co).padded();
        // Taps of one vector of outputs for one input: `[9][lane]`, long enough for any instruction set.
        let mut taps = [0.0f32; 9 * 16];
        let mut column = 0;
        while column < co {
            let lanes = V::LANES.min(co - column);
            for input in self.inputs.0..self.inputs.1 {
                // SAFETY: reads stay within the sums; the task alone writes the taps of its inputs.
                unsafe {
                    let mut half = [[V::zero(); 6]; 3];
                    for point_column in 0..6 {
                        let mut points = [V::zero(); 6];
                        for (point_row, point) in points.iter_mut().enumerate() {
                            let index = (point_row * 6 + point_column) * ci + input;
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
                        let to = self.dw.at(((column + lane) * ci + input) * 9);
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

/// All of the sums to all of `dw`.
fn transform_back<V: Lanes>(sums: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) {
    let dw = SharedOutput::new(dw.as_mut_ptr().cast());
    (0..shape.ci.div_ceil(BACK_INPUTS))
        .into_par_iter()
        .for_each(|task| {
            let kernel = TransformBack {
                sums: sums.as_ptr(),
                shape,
                inputs: (task * BACK_INPUTS, shape.ci.min((task + 1) * BACK_INPUTS)),
                dw,
            };
            // SAFETY: the sums are complete, and each task writes the taps of its own inputs.
            unsafe { V::enter(kernel) };
        });
}

/// The operands with buffers for `count` transformed tiles.
fn tiles<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, count: usize) -> (Tiles, [Scratch; 2]) {
    let patches = Layout::of_tile_words::<V>(count, shape.ci);
    let gradients = Layout::of_tile_words::<V>(count, shape.co);
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

/// Each task takes a share of the tiles. Returns the sums of `dy`.
fn small_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) -> Vec<f32> {
    let ConvShape { n, h, w, ci, co } = shape;
    let all = n * Tiling::new(h, w).per_image();
    let share = all.div_ceil(PARTS);
    let parts = all.div_ceil(share);
    let padded = Panels::new::<V>(co).padded();
    let weight_sums = POINTS * ci * padded;
    let len = weight_sums + padded;
    let mut sums = Scratch::take(parts * len);
    sums.par_chunks_mut(len).enumerate().for_each(|(part, sums)| {
        let per_tile = Layout::new::<V>(1, ci).tile + Layout::new::<V>(1, co).tile;
        // The transformed tiles and the sums share the second-level cache.
        let block = V::CACHED_FLOATS / 2 * V::STEPS / (POINTS * per_tile);
        let block = block.clamp(24, 256).min(share);
        let (tiles, _buffers) = tiles::<V>(x, dy, shape, block);
        let (mut first, end) = (part * share, all.min((part + 1) * share));
        while first < end {
            let count = block.min(end - first);
            let fresh = first == part * share;
            // SAFETY: the buffers hold `block` tiles, the sums are this task's own.
            unsafe {
                V::enter(Transform {
                    tiles,
                    first,
                    place: 0,
                    count,
                });
                for point in 0..POINTS {
                    V::enter(Multiply {
                        tiles,
                        count,
                        point,
                        inputs: (0, ci),
                        sums: sums[point * ci * padded..].as_mut_ptr(),
                        fresh,
                    });
                }
                if V::STEPS == 1 {
                    V::enter(AddTileSums {
                        tiles,
                        count,
                        sums: sums[weight_sums..].as_mut_ptr(),
                        fresh,
                    });
                }
            }
            first += count;
        }
    });
    add_parts::<V>(&mut sums, len);
    transform_back::<V>(&sums, shape, dw);
    sums[weight_sums..len].to_vec()
}

/// Each task takes a point and a group of input channels. Returns the sums of `dy`.
fn large_sums<V: Lanes>(x: &[f32], dy: &[f32], shape: ConvShape, dw: &mut [MaybeUninit<f32>]) -> Vec<f32> {
    let ConvShape { n, h, w, ci, co } = shape;
    let all = n * Tiling::new(h, w).per_image();
    let per_tile = Layout::new::<V>(1, ci).tile + Layout::new::<V>(1, co).tile;
    let block = LARGE_BLOCK_WORDS.max(POINTS * ci * co) * V::STEPS / (POINTS * per_tile);
    let block = block.clamp(64, 512).min(all);
    let (tiles, _buffers) = tiles::<V>(x, dy, shape, block);
    let padded = Panels::new::<V>(co).padded();
    let mut sums = Scratch::take(POINTS * ci * padded);
    let out = SharedOutput::new(sums.as_mut_ptr());
    let mut bias_sums = vec![0.0; padded];
    let bias_out = SharedOutput::new(bias_sums.as_mut_ptr());
    let groups = ci.div_ceil(GROUP_INPUTS);
    for first in (0..all).step_by(block) {
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
        let fresh = first == 0;
        (0..POINTS * groups).into_par_iter().for_each(|task| {
            let (point, group) = (task / groups, task % groups);
            let inputs = (group * GROUP_INPUTS, ci.min((group + 1) * GROUP_INPUTS));
            // SAFETY: each task has the sums of its own point and inputs; one of them has those of the bias.
            unsafe {
                V::enter(Multiply {
                    tiles,
                    count,
                    point,
                    inputs,
                    sums: out.at((point * ci + inputs.0) * padded),
                    fresh,
                });
                if V::STEPS == 1 && (point, group) == (TILE_SUM, 0) {
                    V::enter(AddTileSums {
                        tiles,
                        count,
                        sums: bias_out.at(0),
                        fresh,
                    });
                }
            }
        });
    }
    transform_back::<V>(&sums, shape, dw);
    bias_sums
}
