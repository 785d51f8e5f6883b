//! Winograd's algorithm F(4x4, 3x3) for the forward and both backward passes.
//!
//! The output is cut into tiles of 4x4 pixels. The 6x6 patch of input below a tile, the filter and the tile are
//! each taken to 36 numbers by small linear maps ([`transform`]); between them the convolution is a product for each
//! of the 36 numbers, summed over input channels. So a tile costs 36 products for each pair of channels, not 144.
//! Images whose sides are no multiple of four get tiles that hang over the border, where the input is zero.
//!
//! Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.

mod forward;
mod gradient;
mod transform;

pub(super) use forward::{convolve, transform_filter};
pub(super) use gradient::weight_gradient;

use crate::cpu::lanes::Lanes;

/// Numbers that a tile or a filter becomes.
const POINTS: usize = 36;
/// Side of a tile of output.
const TILE: usize = 4;

/// How an image is cut into tiles.
#[derive(Clone, Copy)]
struct Tiling {
    h: usize,
    w: usize,
    down: usize,
    across: usize,
}

/// One tile: its image, and the row and column of its first pixel.
#[derive(Clone, Copy)]
struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

impl Tiling {
    fn new(h: usize, w: usize) -> Self {
        Self {
            h,
            w,
            down: h.div_ceil(TILE),
            across: w.div_ceil(TILE),
        }
    }

    /// Tiles in one image.
    fn per_image(&self) -> usize {
        self.down * self.across
    }

    #[inline(always)]
    fn tile(&self, index: usize) -> Tile {
        let within = index % self.per_image();
        Tile {
            image: index / self.per_image(),
            row: within / self.across * TILE,
            column: within % self.across * TILE,
        }
    }
}

/// Where the transformed numbers of a block of tiles lie: `[point][tile][channel]`.
///
/// Neighbouring tiles and points are an odd number of cache lines apart. With the powers of two that channel
/// counts tend to be, all of them would compete for a few places in the cache.
#[derive(Clone, Copy)]
struct Layout {
    /// Floats from one tile to the next.
    tile: usize,
    /// Floats from one point to the next.
    point: usize,
}

/// Floats in a cache line.
const LINE: usize = 16;

impl Layout {
    fn new<V: Lanes>(tiles: usize, channels: usize) -> Self {
        let odd = |floats: usize| (floats.div_ceil(LINE) | 1) * LINE;
        let tile = odd(channels.next_multiple_of(V::LANES));
        Self {
            tile,
            point: odd(tiles * tile),
        }
    }

    fn len(&self) -> usize {
        POINTS * self.point
    }
}
