//! The linear maps of F(4x4, 3x3), one dimension at a time, on vectors of channels.
//!
//! With the interpolation points 0, 1, -1, 2, -2 and infinity: a patch `d` becomes `B^T d B`, a filter `g` becomes
//! `G g G^T`, and a tile of output is `A^T m A`. The gradient of the filter uses the transposed maps: the gradient
//! of a tile becomes `A y A^T` and the sums come back by `G^T m G`.

use super::{LINE, Layout, TILE, Tile, Tiling};
use crate::cpu::lanes::Lanes;

/// Two rows of `B^T` at a time: 0 and 5, 1 and 2, or 3 and 4, which share most of their terms.
///
/// Taking pairs keeps what is between the two dimensions (two rows of six) in registers; all six rows would go to
/// memory and back, which costs more than reading the patch again for each pair.
#[inline(always)]
unsafe fn patch_pair<V: Lanes, const PAIR: usize>(d: [V; 6]) -> [V; 2] {
    // SAFETY: the caller's promise of `Lanes`.
    unsafe {
        let (four, minus_four, minus_five) = (V::splat(4.0), V::splat(-4.0), V::splat(-5.0));
        match PAIR {
            0 => [
                four.mul_add(d[0], minus_five.mul_add(d[2], d[4])),
                four.mul_add(d[1], minus_five.mul_add(d[3], d[5])),
            ],
            1 => {
                let (even, odd) = (minus_four.mul_add(d[2], d[4]), minus_four.mul_add(d[1], d[3]));
                [even.add(odd), even.sub(odd)]
            }
            _ => {
                let (even, odd) = (d[4].sub(d[2]), d[3].sub(d[1]));
                let two = V::splat(2.0);
                [two.mul_add(odd, even), V::splat(-2.0).mul_add(odd, even)]
            }
        }
    }
}

/// Two rows of `A^T` at a time: 0 and 2, or 1 and 3.
#[inline(always)]
unsafe fn output_pair<V: Lanes, const PAIR: usize>(m: [V; 6]) -> [V; 2] {
    // SAFETY: as in `patch_pair`.
    unsafe {
        if PAIR == 0 {
            let (sum_1, sum_2) = (m[1].add(m[2]), m[3].add(m[4]));
            [m[0].add(sum_1).add(sum_2), V::splat(4.0).mul_add(sum_2, sum_1)]
        } else {
            let (difference_1, difference_2) = (m[1].sub(m[2]), m[3].sub(m[4]));
            [
                V::splat(2.0).mul_add(difference_2, difference_1),
                V::splat(8.0).mul_add(difference_2, difference_1).add(m[5]),
            ]
        }
    }
}

/// Two rows of `A` at a time: 0 and 5, 1 and 2, or 3 and 4.
#[inline(always)]
unsafe fn output_gradient_pair<V: Lanes, const PAIR: usize>(y: [V; 4]) -> [V; 2] {
    // SAFETY: as in `patch_pair`.
    unsafe {
        match PAIR {
            0 => [y[0], y[3]],
            1 => {
                let (even, odd) = (y[0].add(y[2]), y[1].add(y[3]));
                [even.add(odd), even.sub(odd)]
            }
            _ => {
                let four = V::splat(4.0);
                let (even, odd) = (four.mul_add(y[2], y[0]), four.mul_add(y[3], y[1]));
                [
                    V::splat(2.0).mul_add(odd, even),
                    V::splat(-2.0).mul_add(odd, even),
                ]
            }
        }
    }
}

/// The rows that a pair of [`patch_pair`] and [`output_gradient_pair`] is.
const PAIRS: [[usize; 2]; 3] = [[0, 5], [1, 2], [3, 4]];

/// `G`: three taps of a filter.
#[inline(always)]
pub(super) unsafe fn filter<V: Lanes>(g: [V; 3]) -> [V; 6] {
    // SAFETY: as in `patch`.
    unsafe {
        let even_1 = V::splat(-1.0 / 6.0).mul(g[0].add(g[2]));
        let odd_1 = V::splat(1.0 / 6.0).mul(g[1]);
        let even_2 = V::splat(1.0 / 24.0).mul_add(g[0], V::splat(1.0 / 6.0).mul(g[2]));
        let odd_2 = V::splat(1.0 / 12.0).mul(g[1]);
        [
            V::splat(0.25).mul(g[0]),
            even_1.sub(odd_1),
            even_1.add(odd_1),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            g[2],
        ]
    }
}

/// `G^T`: the gradient of three taps.
#[inline(always)]
pub(super) unsafe fn filter_gradient<V: Lanes>(m: [V; 6]) -> [V; 3] {
    // SAFETY: as in `patch`.
    unsafe {
        let (sum_1, difference_1) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_2, difference_2) = (m[3].add(m[4]), m[3].sub(m[4]));
        let minus_sixth = V::splat(-1.0 / 6.0);
        let low = minus_sixth.mul_add(sum_1, V::splat(1.0 / 24.0).mul(sum_2));
        let high = V::splat(1.0 / 6.0).mul_add(sum_2, m[5]);
        [
            V::splat(0.25).mul_add(m[0], low),
            minus_sixth.mul_add(difference_1, V::splat(1.0 / 12.0).mul(difference_2)),
            minus_sixth.mul_add(sum_1, high),
        ]
    }
}

/// Of `S` pixels that begin `before` ahead of `first`, those with an index inside `0..size`: begin and end.
#[inline(always)]
fn inside<const S: usize>(first: usize, before: usize, size: usize) -> (usize, usize) {
    (before.saturating_sub(first), S.min(size + before - first))
}

/// Addresses of a square of pixels for one vector of channels.
#[derive(Clone, Copy)]
struct Square {
    start: *const f32,
    /// Floats from one row to the next.
    row: usize,
    /// Floats from one pixel to the next.
    column: usize,
}

/// A square of `S` by `S` pixels that begins `before` up and left of a tile. If some of its pixels are outside the
/// image, or the vector reaches past the channels, the square is copied to `copy` with zeros in those places.
///
/// # Safety
/// `image` is `[h, w, channels]`; the square is valid while `copy` is.
#[inline(always)]
unsafe fn square<V: Lanes, const S: usize>(
    image: *const f32,
    (channels, channel): (usize, usize),
    tiling: Tiling,
    tile: Tile,
    before: usize,
    copy: &mut [[V; S]; S],
) -> Square {
    let rows = inside::<S>(tile.row, before, tiling.h);
    let columns = inside::<S>(tile.column, before, tiling.w);
    let lanes = V::LANES.min(channels - channel);
    let (row_step, column_step) = (tiling.w * channels, channels);
    // The beginning may be outside of the image: a mere number until it is read.
    let start = image.wrapping_add(tile.row * row_step + tile.column * column_step + channel);
    let start = start.wrapping_sub(before * (row_step + column_step));
    if channel.is_multiple_of(LINE) {
        // What the next tile will read and this one does not.
        for row in 0..S {
            for column in S..S + TILE {
                // SAFETY: a hint.
                unsafe { V::prefetch(start.wrapping_add(row * row_step + column * column_step)) };
            }
        }
    }
    if rows == (0, S) && columns == (0, S) && lanes == V::LANES {
        return Square {
            start,
            row: row_step,
            column: column_step,
        };
    }
    // SAFETY: only pixels inside the image are read, and of them only channels that exist.
    unsafe {
        for (row, copy) in copy.iter_mut().enumerate() {
            for (column, copy) in copy.iter_mut().enumerate() {
                let from = start.wrapping_add(row * row_step + column * column_step);
                *copy = if row < rows.0 || row >= rows.1 || column < columns.0 || column >= columns.1 {
                    V::zero()
                } else if lanes == V::LANES {
                    V::load(from)
                } else {
                    V::load_first(from, lanes)
                };
            }
        }
    }
    Square {
        start: copy.as_ptr().cast(),
        row: S * V::LANES,
        column: V::LANES,
    }
}

/// Takes the patch below a tile to its 36 numbers, for all channels.
///
/// # Safety
/// `image` is `[h, w, channels]`; `to` is the tile's place in a block of `layout`.
#[inline(always)]
pub(super) unsafe fn transform_patch<V: Lanes>(
    image: *const f32,
    channels: usize,
    tiling: Tiling,
    tile: Tile,
    to: *mut f32,
    layout: Layout,
) {
    let mut channel = 0;
    while channel < channels {
        // SAFETY: `square` gives pixels that can be read; the stores fill the tile's vector of each point.
        unsafe {
            let mut copy = [[V::zero(); 6]; 6];
            let from = square::<V, 6>(image, (channels, channel), tiling, tile, 1, &mut copy);
            patch_rows::<V, 0>(from, to.add(channel), layout);
            patch_rows::<V, 1>(from, to.add(channel), layout);
            patch_rows::<V, 2>(from, to.add(channel), layout);
        }
        channel += V::LANES;
    }
}

#[inline(always)]
unsafe fn patch_rows<V: Lanes, const PAIR: usize>(from: Square, to: *mut f32, layout: Layout) {
    // SAFETY: as in `transform_patch`.
    unsafe {
        let (mut upper, mut lower) = ([V::zero(); 6], [V::zero(); 6]);
        for (column, (upper, lower)) in upper.iter_mut().zip(&mut lower).enumerate() {
            let mut pixels = [V::zero(); 6];
            for (row, pixel) in pixels.iter_mut().enumerate() {
                *pixel = V::load(from.start.add(row * from.row + column * from.column));
            }
            [*upper, *lower] = patch_pair::<V, PAIR>(pixels);
        }
        for (row, half) in PAIRS[PAIR].into_iter().zip([upper, lower]) {
            let [zero, five] = patch_pair::<V, 0>(half);
            let [one, two] = patch_pair::<V, 1>(half);
            let [three, four] = patch_pair::<V, 2>(half);
            for (column, point) in [zero, one, two, three, four, five].into_iter().enumerate() {
                point.store(to.add((row * 6 + column) * layout.point));
            }
        }
    }
}

/// Takes the gradient of a tile of output to its 36 numbers, for all channels.
///
/// # Safety
/// As for [`transform_patch`].
#[inline(always)]
pub(super) unsafe fn transform_output_gradient<V: Lanes>(
    image: *const f32,
    channels: usize,
    tiling: Tiling,
    tile: Tile,
    to: *mut f32,
    layout: Layout,
) {
    let mut channel = 0;
    while channel < channels {
        // SAFETY: as in `transform_patch`.
        unsafe {
            let mut copy = [[V::zero(); 4]; 4];
            let from = square::<V, 4>(image, (channels, channel), tiling, tile, 0, &mut copy);
            output_gradient_rows::<V, 0>(from, to.add(channel), layout);
            output_gradient_rows::<V, 1>(from, to.add(channel), layout);
            output_gradient_rows::<V, 2>(from, to.add(channel), layout);
        }
        channel += V::LANES;
    }
}

#[inline(always)]
unsafe fn output_gradient_rows<V: Lanes, const PAIR: usize>(from: Square, to: *mut f32, layout: Layout) {
    // SAFETY: as in `transform_patch`.
    unsafe {
        let (mut upper, mut lower) = ([V::zero(); 4], [V::zero(); 4]);
        for (column, (upper, lower)) in upper.iter_mut().zip(&mut lower).enumerate() {
            let mut pixels = [V::zero(); 4];
            for (row, pixel) in pixels.iter_mut().enumerate() {
                *pixel = V::load(from.start.add(row * from.row + column * from.column));
            }
            [*upper, *lower] = output_gradient_pair::<V, PAIR>(pixels);
        }
        for (row, half) in PAIRS[PAIR].into_iter().zip([upper, lower]) {
            let [zero, five] = output_gradient_pair::<V, 0>(half);
            let [one, two] = output_gradient_pair::<V, 1>(half);
            let [three, four] = output_gradient_pair::<V, 2>(half);
            for (column, point) in [zero, one, two, three, four, five].into_iter().enumerate() {
                point.store(to.add((row * 6 + column) * layout.point));
            }
        }
    }
}

/// Takes 36 numbers to a tile of output, for a panel of channels, and adds the bias;
/// with `positive`, negative results become zero (ReLU).
///
/// # Safety
/// `from` is the tile's place in a block of `layout`; `image` is the first channel of the panel in an output of
/// `[h, w, stride]`; `columns` channels are written; `bias` holds whole vectors of them.
#[inline(always)]
pub(super) unsafe fn transform_output<V: Lanes>(
    from: *const f32,
    layout: Layout,
    (bias, positive): (*const f32, bool),
    image: *mut f32,
    (stride, columns): (usize, usize),
    tiling: Tiling,
    tile: Tile,
) {
    let (down, across) = ((tiling.h - tile.row).min(4), (tiling.w - tile.column).min(4));
    let mut channel = 0;
    while channel < columns {
        let lanes = V::LANES.min(columns - channel);
        // SAFETY: `down` and `across` keep the stores inside the image.
        unsafe {
            let to = image.add((tile.row * tiling.w + tile.column) * stride + channel);
            let (from, finish) = (from.add(channel), (V::load(bias.add(channel)), positive));
            if (down, across, lanes) == (4, 4, V::LANES) {
                output_rows::<V, 0>(from, layout, finish, to, tiling.w * stride, stride);
                output_rows::<V, 1>(from, layout, finish, to, tiling.w * stride, stride);
            } else {
                // The whole tile goes to a buffer, from which what exists is copied.
                let mut copy = [[V::zero(); 4]; 4];
                let start = copy.as_mut_ptr().cast::<f32>();
                output_rows::<V, 0>(from, layout, finish, start, 4 * V::LANES, V::LANES);
                output_rows::<V, 1>(from, layout, finish, start, 4 * V::LANES, V::LANES);
                for row in 0..down {
                    for column in 0..across {
                        let pixel = V::load(start.add((row * 4 + column) * V::LANES));
                        pixel.store_first(to.add((row * tiling.w + column) * stride), lanes);
                    }
                }
            }
        }
        channel += V::LANES;
    }
}

#[inline(always)]
unsafe fn output_rows<V: Lanes, const PAIR: usize>(
    from: *const f32,
    layout: Layout,
    (bias, positive): (V, bool),
    to: *mut f32,
    row_step: usize,
    column_step: usize,
) {
    // SAFETY: as in `transform_output`.
    unsafe {
        let (mut upper, mut lower) = ([V::zero(); 6], [V::zero(); 6]);
        for (column, (upper, lower)) in upper.iter_mut().zip(&mut lower).enumerate() {
            let mut points = [V::zero(); 6];
            for (row, point) in points.iter_mut().enumerate() {
                *point = V::load(from.add((row * 6 + column) * layout.point));
            }
            [*upper, *lower] = output_pair::<V, PAIR>(points);
        }
        for (row, half) in [PAIR, PAIR + 2].into_iter().zip([upper, lower]) {
            let [zero, two] = output_pair::<V, 0>(half);
            let [one, three] = output_pair::<V, 1>(half);
            for (column, pixel) in [zero, one, two, three].into_iter().enumerate() {
                let pixel = pixel.add(bias);
                let pixel = if positive { pixel.positive() } else { pixel };
                pixel.store(to.add(row * row_step + column * column_step));
            }
        }
    }
}
