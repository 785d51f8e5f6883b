//! The convolution itself; the gradient of the input is the same with another filter.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::transform::{Patch, filter, transform, transform_output};
use super::{Layout, POINTS, Tiling};
use crate::cpu::conv3x3::{ConvShape, Prepared};
use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::pack::{Filter, Panels};
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Layers whose transformed filter is larger (in words) than this many times what the second-level cache holds are
/// computed in three phases.
const WIDE: usize = 8;
/// Words of transformed input and output that the phases of wide layers work on at a time: they stay in the
/// last-level cache.
const WIDE_BLOCK_WORDS: usize = 5 << 19;

/// As [`direct::convolve`](crate::cpu::conv3x3::direct::convolve), with a filter from [`transform_filter`].
///
/// The filters of narrow layers stay in the second-level cache: each task takes a block of tiles all the way. Those of
/// wide layers would be read again and again from far memory: there, all tiles of a large block are transformed first,
/// then each task multiplies them by a part of the filter, which it reads once.
pub(in crate::cpu::conv3x3) fn convolve<V: Lanes>(
    x: &[f32],
    shape: ConvShape,
    filter: Prepared<'_>,
    y: &mut [MaybeUninit<f32>],
) {
    let y = SharedOutput::new(y.as_mut_ptr().cast());
    if POINTS * steps::<V>(shape.ci) * shape.co > WIDE * V::CACHED_FLOATS {
        wide::<V>(x, shape, filter, y);
    } else {
        narrow::<V>(x, shape, filter, y);
    }
}

/// Steps of the products that sum over channels, in words.
const fn steps<V: Lanes>(ci: usize) -> usize {
    ci.div_ceil(V::STEPS)
}

fn narrow<V: Lanes>(x: &[f32], shape: ConvShape, filter: Prepared<'_>, y: SharedOutput) {
    let ConvShape { n, h, w, ci, .. } = shape;
    let tiling = Tiling::new(h, w);
    let tiles = n * tiling.per_image();
    let block = block_tiles::<V>(tiles, ci);
    (0..tiles.div_ceil(block)).into_par_iter().for_each(|task| {
        let patches = Layout::of_channel_words::<V>(block, ci);
        let products = Layout::new::<V>(block, 2 * V::LANES);
        let (mut patch_buffer, mut product_buffer) =
            (Scratch::take(patches.len()), Scratch::take(products.len()));
        let first = task * block;
        let kernel = Block {
            x: x.as_ptr(),
            weights: filter.weights.as_ptr(),
            bias: filter.bias.as_ptr(),
            positive: filter.positive,
            y,
            shape,
            tiling,
            first,
            count: block.min(tiles - first),
            patches,
            products,
            patch_buffer: patch_buffer.as_mut_ptr(),
            product_buffer: product_buffer.as_mut_ptr(),
        };
        // SAFETY: the buffers have the lengths of their layouts and each task writes the pixels of its own tiles.
        unsafe { V::enter(kernel) };
    });
}

/// Tiles that one task computes: some multiple of the height of a product's tile.
fn block_tiles<V: Lanes>(tiles: usize, ci: usize) -> usize {
    // With the sums of one panel and the filter they fit the second-level cache.
    let fitting = V::CACHED_FLOATS / 2 / (POINTS * ci.next_multiple_of(V::LANES) / V::STEPS);
    // Fewer would read the filter from far memory too often, more would leave threads without work.
    let fitting = fitting
        .clamp(2 * V::TILE_ROWS, 8 * V::TILE_ROWS)
        .min(tiles.div_ceil(8));
    fitting.next_multiple_of(V::TILE_ROWS)
}

/// Tiles that one task of a wide layer transforms.
const STEP: usize = 8;
/// Words of a filter that one task of a wide layer multiplies by.
const GROUP_WORDS: usize = 32 << 10;

fn wide<V: Lanes>(x: &[f32], shape: ConvShape, filter: Prepared<'_>, y: SharedOutput) {
    let ConvShape { n, h, w, ci, co } = shape;
    let tiling = Tiling::new(h, w);
    let tiles = n * tiling.per_image();
    let panels = Panels::new::<V>(co);
    let per_tile = POINTS * (ci.next_multiple_of(V::LANES) / V::STEPS + panels.padded());
    let block = (WIDE_BLOCK_WORDS / per_tile)
        .next_multiple_of(4 * V::TILE_ROWS)
        .min(tiles);
    let patches = Layout::of_channel_words::<V>(block, ci);
    let products = Layout::new::<V>(block, co);
    let (mut patch_buffer, mut product_buffer) =
        (Scratch::take(patches.len()), Scratch::take(products.len()));
    let patch_buffer = SharedOutput::new(patch_buffer.as_mut_ptr());
    let product_buffer = SharedOutput::new(product_buffer.as_mut_ptr());
    let steps = steps::<V>(ci);
    let group = (GROUP_WORDS / (steps * panels.first(1))).max(1);
    let groups = panels.count().div_ceil(group);
    let (x, weights) = (
        SharedOutput::new(x.as_ptr().cast_mut()), // never written
        SharedOutput::new(filter.weights.as_ptr().cast_mut()),
    );
    let bias = SharedOutput::new(filter.bias.as_ptr().cast_mut());
    for first in (0..tiles).step_by(block) {
        let count = block.min(tiles - first);
        let strips = count.div_ceil(STEP);
        let tiles_of = |task: usize| (task * STEP, count.min((task + 1) * STEP));
        let part = Wide {
            shape,
            tiling,
            first,
            count,
            patches,
            products,
            x,
            weights,
            bias,
            positive: filter.positive,
            y,
            patch_buffer,
            product_buffer,
        };
        // The buffers have the lengths of their layouts.
        (0..strips).into_par_iter().for_each(|task| {
            // SAFETY: each task writes the patches of its own tiles.
            unsafe { V::enter(WidePatches(part, tiles_of(task))) };
        });
        (0..POINTS * groups).into_par_iter().for_each(|task| {
            let (point, first) = (task / groups, task % groups * group);
            let panels = (first, panels.count().min(first + group));
            // SAFETY: each task writes the products of its own point and panels, and reads patches that are written.
            unsafe { V::enter(WideProducts(part, point, panels)) };
        });
        (0..strips).into_par_iter().for_each(|task| {
            // SAFETY: each task writes the pixels of its own tiles, and reads products that are written.
            unsafe { V::enter(WideOutputs(part, tiles_of(task))) };
        });
    }
}

/// What the phases of a wide layer share.
#[derive(Clone, Copy)]
struct Wide {
    shape: ConvShape,
    tiling: Tiling,
    first: usize,
    count: usize,
    patches: Layout,
    products: Layout,
    x: SharedOutput,
    weights: SharedOutput,
    bias: SharedOutput,
    positive: bool,
    y: SharedOutput,
    patch_buffer: SharedOutput,
    product_buffer: SharedOutput,
}

/// The first phase, for a range of the block's tiles.
struct WidePatches(Wide, (usize, usize));

impl Kernel for WidePatches {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self(block, tiles) = self;
        let ConvShape { h, w, ci, .. } = block.shape;
        for index in tiles.0..tiles.1 {
            // SAFETY: see `wide`.
            unsafe {
                let tile = block.tiling.tile(block.first + index);
                let image = block.x.at(tile.image * h * w * ci);
                let to = block.patch_buffer.at(index * block.patches.tile);
                transform::<V, Patch, 6>(image, ci, block.tiling, tile, to, block.patches);
            }
        }
    }
}

/// The second phase, for one point and a range of panels.
struct WideProducts(Wide, usize, (usize, usize));

impl Kernel for WideProducts {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self(block, point, range) = self;
        let steps = steps::<V>(block.shape.ci);
        let panels = Panels::new::<V>(block.shape.co);
        for panel in range.0..range.1 {
            let width = panels.width(panel);
            // SAFETY: see `wide`.
            unsafe {
                let product = Product {
                    segments: 1,
                    steps,
                    a: block.patch_buffer.at(point * block.patches.point),
                    a_row: block.patches.tile,
                    a_step: 1,
                    a_segment: 0,
                    b: block
                        .weights
                        .at(POINTS * steps * panels.first(panel) + point * steps * width),
                    b_step: width,
                    b_segment: 0,
                    c: block
                        .product_buffer
                        .at(point * block.products.point + panels.first(panel)),
                    c_row: block.products.tile,
                    columns: width,
                    start: Start::Zero,
                    finish: Finish::Keep,
                };
                product.run::<V>(block.count);
            }
        }
    }
}

/// The third phase, for a range of the block's tiles.
struct WideOutputs(Wide, (usize, usize));

impl Kernel for WideOutputs {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self(block, tiles) = self;
        let ConvShape { h, w, co, .. } = block.shape;
        for index in tiles.0..tiles.1 {
            // SAFETY: see `wide`.
            unsafe {
                let tile = block.tiling.tile(block.first + index);
                let image = block.y.at(tile.image * h * w * co);
                let from = block.product_buffer.at(index * block.products.tile);
                let finish = (block.bias.at(0).cast_const(), block.positive);
                transform_output::<V>(from, block.products, finish, image, (co, co), block.tiling, tile);
            }
        }
    }
}

/// One task: transforms a block of tiles and, panel by panel, multiplies and transforms back.
struct Block {
    x: *const f32,
    weights: *const f32,
    bias: *const f32,
    positive: bool,
    y: SharedOutput,
    shape: ConvShape,
    tiling: Tiling,
    first: usize,
    count: usize,
    patches: Layout,
    products: Layout,
    patch_buffer: *mut f32,
    product_buffer: *mut f32,
}

impl Kernel for Block {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let ConvShape { h, w, ci, co, .. } = self.shape;
        let (patches, products) = (self.patches, self.products);
        let steps = steps::<V>(ci);
        let panels = Panels::new::<V>(co);
        // SAFETY: see `convolve`.
        unsafe {
            for index in 0..self.count {
                let tile = self.tiling.tile(self.first + index);
                let image = self.x.add(tile.image * h * w * ci);
                let to = self.patch_buffer.add(index * patches.tile);
                transform::<V, Patch, 6>(image, ci, self.tiling, tile, to, patches);
            }
            for panel in 0..panels.count() {
                let (width, columns) = (panels.width(panel), panels.columns(panel));
                let weights = self.weights.add(POINTS * steps * panels.first(panel));
                for point in 0..POINTS {
                    let product = Product {
                        segments: 1,
                        steps,
                        a: self.patch_buffer.add(point * patches.point),
                        a_row: patches.tile,
                        a_step: 1,
                        a_segment: 0,
                        b: weights.add(point * steps * width),
                        b_step: width,
                        b_segment: 0,
                        c: self.product_buffer.add(point * products.point),
                        c_row: products.tile,
                        columns: width,
                        start: Start::Zero,
                        finish: Finish::Keep,
                    };
                    product.run::<V>(self.count);
                }
                for index in 0..self.count {
                    let tile = self.tiling.tile(self.first + index);
                    let image = self.y.at(tile.image * h * w * co + panels.first(panel));
                    let from = self.product_buffer.add(index * products.tile);
                    let finish = (self.bias.add(panels.first(panel)), self.positive);
                    let channels = (co, columns);
                    transform_output::<V>(from, products, finish, image, channels, self.tiling, tile);
                }
            }
        }
    }
}

/// Input channels that one task of the filter's transform takes.
const FILTER_INPUTS: usize = 32;

/// The transformed filter as words `[panel][point][ci / STEPS][width]`.
pub(in crate::cpu::conv3x3) fn transform_filter<V: Lanes>(filter: Filter<'_>) -> Scratch {
    let packed = filter.pack::<V>();
    let (ci, panels) = (filter.ci, Panels::new::<V>(filter.co));
    let panel_words = |panel| POINTS * steps::<V>(ci) * panels.first(panel);
    let mut weights = Scratch::take(POINTS * steps::<V>(ci) * panels.padded());
    let out = SharedOutput::new(weights.as_mut_ptr());
    let groups = ci.div_ceil(FILTER_INPUTS);
    (0..panels.count() * groups).into_par_iter().for_each(|task| {
        let (panel, group) = (task / groups, task % groups);
        let first = group * FILTER_INPUTS;
        let kernel = FilterBlock {
            packed: packed[9 * ci * panels.first(panel)..].as_ptr(),
            // SAFETY: the panel lies within the buffer.
            weights: unsafe { out.at(panel_words(panel)) },
            ci,
            width: panels.width(panel),
            inputs: (first, ci.min(first + FILTER_INPUTS)),
        };
        // SAFETY: each task reads and writes the rows of its own inputs within one panel.
        unsafe { V::enter(kernel) };
    });
    weights
}

/// Transforms the taps of some input channels of one panel.
struct FilterBlock {
    packed: *const f32,
    weights: *mut f32,
    ci: usize,
    width: usize,
    inputs: (usize, usize),
}

impl FilterBlock {
    /// The 36 numbers of one vector of one input's filters.
    #[inline(always)]
    unsafe fn points<V: Lanes>(&self, input: usize, column: usize) -> [[V; 6]; 6] {
        // SAFETY: see `transform_filter`.
        unsafe {
            let mut half = [[V::zero(); 3]; 6];
            for tap_column in 0..3 {
                let mut taps = [V::zero(); 3];
                for (tap_row, tap) in taps.iter_mut().enumerate() {
                    let tap_index = tap_row * 3 + tap_column;
                    let row = tap_index * self.ci + input;
                    *tap = V::load(self.packed.add(row * self.width + column));
                }
                for (half, point) in half.iter_mut().zip(filter(taps)) {
                    half[tap_column] = point;
                }
            }
            let mut points = [[V::zero(); 6]; 6];
            for (points, half) in points.iter_mut().zip(half) {
                *points = filter(half);
            }
            points
        }
    }
}

impl Kernel for FilterBlock {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let steps = steps::<V>(self.ci);
        for input in (self.inputs.0..self.inputs.1).step_by(V::STEPS) {
            let mut column = 0;
            while column < self.width {
                // SAFETY: see `transform_filter`.
                unsafe {
                    let points = self.points::<V>(input, column);
                    let mut next = [[V::zero(); 6]; 6];
                    if V::STEPS == 2 && input + 1 < self.ci {
                        next = self.points::<V>(input + 1, column);
                    }
                    for row in 0..6 {
                        for point_column in 0..6 {
                            let words = V::words(points[row][point_column], next[row][point_column]);
                            let place = (row * 6 + point_column) * steps + input / V::STEPS;
                            words.store(self.weights.add(place * self.width + column));
                        }
                    }
                }
                column += V::LANES;
            }
        }
    }
}
