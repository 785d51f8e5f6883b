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

/// Where the transformed numbers of a block of tiles lie: `[point][tile][channel]`, or pairs of them in words:
/// `[point][tile][channel / 2]` where products sum over channels, `[point][tile / 2][channel]` where they sum over tiles.
///
/// Neighbouring tiles and points are an odd number of cache lines apart. With the powers of two that channel
/// counts tend to be, all of them would compete for a few places in the cache.
#[derive(Clone, Copy)]
struct Layout {
    /// Words from one tile, or pair of tiles, to the next.
    tile: usize,
    /// Words from one point to the next.
    point: usize,
}

/// Words in a cache line.
const LINE: usize = 16;

impl Layout {
    /// Of numbers.
    fn new<V: Lanes>(tiles: usize, channels: usize) -> Self {
        Self::of_rows(tiles, channels.next_multiple_of(V::LANES))
    }

    /// Of words of neighbouring channels.
    fn of_channel_words<V: Lanes>(tiles: usize, channels: usize) -> Self {
        Self::of_rows(tiles, channels.next_multiple_of(V::LANES) / V::STEPS)
    }

    /// Of words of neighbouring tiles.
    fn of_tile_words<V: Lanes>(tiles: usize, channels: usize) -> Self {
        Self::new::<V>(tiles.div_ceil(V::STEPS), channels)
    }

    fn of_rows(rows: usize, words: usize) -> Self {
        let odd = |words: usize| (words.div_ceil(LINE) | 1) * LINE;
        let tile = odd(words);
        Self {
            tile,
            point: odd(rows * tile),
        }
    }

    fn len(&self) -> usize {
        POINTS * self.point
    }
}
