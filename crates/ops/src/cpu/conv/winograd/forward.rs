//! The convolution itself; the gradient of the input is the same with another filter.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::transform::{filter, transform_output, transform_patch};
use super::{Layout, POINTS, Tiling};
use crate::cpu::conv::ConvShape;
use crate::cpu::conv::pack::{Filter, Panels, pad_bias};
use crate::cpu::conv::product::{Product, Start};
use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// Floats of transformed input that a task works on; with the sums of one panel they fit the second-level cache.
const BLOCK_FLOATS: usize = 128 << 10;

/// As [`direct::convolve`](crate::cpu::conv::direct::convolve).
pub(in crate::cpu::conv) fn convolve<V: Lanes>(
    x: &[f32],
    shape: ConvShape,
    filter: Filter<'_>,
    bias: Option<&[f32]>,
    y: &mut [MaybeUninit<f32>],
) {
    let ConvShape { n, h, w, ci, co } = shape;
    let weights = transform_filter::<V>(filter);
    let bias = pad_bias::<V>(bias, co);
    let tiling = Tiling::new(h, w);
    let tiles = n * tiling.per_image();
    let block = block_tiles::<V>(tiles, ci);
    let out = SharedOutput::new(y.as_mut_ptr().cast());
    (0..tiles.div_ceil(block)).into_par_iter().for_each(|task| {
        let patches = Layout::new::<V>(block, ci);
        let products = Layout::new::<V>(block, 2 * V::LANES);
        let (mut patch_buffer, mut product_buffer) =
            (Scratch::take(patches.len()), Scratch::take(products.len()));
        let first = task * block;
        let kernel = Block {
            x: x.as_ptr(),
            weights: weights.as_ptr(),
            bias: bias.as_ptr(),
            y: out,
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
    let fitting = BLOCK_FLOATS / (POINTS * ci.next_multiple_of(V::LANES));
    // Fewer would read the filter from far memory too often, more would leave threads without work.
    let fitting = fitting
        .clamp(2 * V::TILE_ROWS, 8 * V::TILE_ROWS)
        .min(tiles.div_ceil(8));
    fitting.next_multiple_of(V::TILE_ROWS)
}

/// One task: transforms a block of tiles and, panel by panel, multiplies and transforms back.
struct Block {
    x: *const f32,
    weights: *const f32,
    bias: *const f32,
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
        let panels = Panels::new::<V>(co);
        // SAFETY: see `convolve`.
        unsafe {
            for index in 0..self.count {
                let tile = self.tiling.tile(self.first + index);
                let image = self.x.add(tile.image * h * w * ci);
                let to = self.patch_buffer.add(index * patches.tile);
                transform_patch::<V>(image, ci, self.tiling, tile, to, patches);
            }
            for panel in 0..panels.count() {
                let (width, columns) = (panels.width(panel), panels.columns(panel));
                let weights = self.weights.add(POINTS * ci * panels.first(panel));
                for point in 0..POINTS {
                    let product = Product {
                        segments: 1,
                        steps: ci,
                        a: self.patch_buffer.add(point * patches.point),
                        a_row: patches.tile,
                        a_step: 1,
                        a_segment: 0,
                        b: weights.add(point * ci * width),
                        b_step: width,
                        b_segment: 0,
                        c: self.product_buffer.add(point * products.point),
                        c_row: products.tile,
                        columns: width,
                        start: Start::Zero,
                    };
                    product.run::<V>(self.count);
                }
                for index in 0..self.count {
                    let tile = self.tiling.tile(self.first + index);
                    let image = self.y.at(tile.image * h * w * co + panels.first(panel));
                    let from = self.product_buffer.add(index * products.tile);
                    let bias = self.bias.add(panels.first(panel));
                    let channels = (co, columns);
                    transform_output::<V>(from, products, bias, image, channels, self.tiling, tile);
                }
            }
        }
    }
}

/// Input channels that one task of the filter's transform takes.
const FILTER_INPUTS: usize = 32;

/// The transformed filter as `[panel][point][ci][width]`.
fn transform_filter<V: Lanes>(filter: Filter<'_>) -> Scratch {
    let packed = filter.pack::<V>();
    let (ci, panels) = (filter.ci, Panels::new::<V>(filter.co));
    let mut weights = Scratch::take(POINTS * ci * panels.padded());
    let out = SharedOutput::new(weights.as_mut_ptr());
    let groups = ci.div_ceil(FILTER_INPUTS);
    (0..panels.count() * groups).into_par_iter().for_each(|task| {
        let (panel, group) = (task / groups, task % groups);
        let first = group * FILTER_INPUTS;
        let kernel = FilterBlock {
            packed: packed[9 * ci * panels.first(panel)..].as_ptr(),
            // SAFETY: the panel lies within the buffer.
            weights: unsafe { out.at(POINTS * ci * panels.first(panel)) },
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

impl Kernel for FilterBlock {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self {
            packed,
            weights,
            ci,
            width,
            inputs,
        } = self;
        for input in inputs.0..inputs.1 {
            let mut column = 0;
            while column < width {
                // SAFETY: see `transform_filter`.
                unsafe {
                    let mut half = [[V::zero(); 3]; 6];
                    for tap_column in 0..3 {
                        let mut taps = [V::zero(); 3];
                        for (tap_row, tap) in taps.iter_mut().enumerate() {
                            let tap_index = tap_row * 3 + tap_column;
                            *tap = V::load(packed.add((tap_index * ci + input) * width + column));
                        }
                        for (half, point) in half.iter_mut().zip(filter(taps)) {
                            half[tap_column] = point;
                        }
                    }
                    for (row, half) in half.into_iter().enumerate() {
                        for (point_column, point) in filter(half).into_iter().enumerate() {
                            let point_index = row * 6 + point_column;
                            point.store(weights.add((point_index * ci + input) * width + column));
                        }
                    }
                }
                column += V::LANES;
            }
        }
    }
}
