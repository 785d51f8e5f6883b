//! The linear maps of F(4x4, 3x3), one dimension at a time, on vectors of channels.
//!
//! With interpolation points 0, infinity and two pairs of opposite numbers: a patch `d` becomes `B^T d B`, a filter `g`
//! becomes `G g G^T`, and a tile of output is `A^T m A`. The gradient of the filter uses the transposed maps: the
//! gradient of a tile becomes `A y A^T` and the sums come back by `G^T m G`.

use std::marker::PhantomData;

use super::{LINE, Layout, TILE, Tile, Tiling};
use crate::cpu::lanes::Lanes;

/// The interpolation points beside 0 and infinity, ±[`NEAR`](Self::NEAR) and ±[`FAR`](Self::FAR), and their powers.
///
/// With ±1 and ±2 most factors are whole numbers, which is exact enough for f32. What is rounded to bfloat16 between the
/// maps grows on the way back; ±5/8 and ±3/2 lost least of the simple fractions tried, about half of what ±1 and ±2 do.
/// `examples/conv_speed.rs` prints how much that is.
struct Points<V>(PhantomData<V>);

impl<V: Lanes> Points<V> {
    const NEAR: f32 = if V::STEPS == 1 { 1.0 } else { 0.625 };
    const FAR: f32 = if V::STEPS == 1 { 2.0 } else { 1.5 };
    const NEAR_2: f32 = Self::NEAR * Self::NEAR;
    const FAR_2: f32 = Self::FAR * Self::FAR;
    const BOTH_2: f32 = Self::NEAR_2 * Self::FAR_2;
    const SUM_2: f32 = Self::NEAR_2 + Self::FAR_2;
    /// The product of the differences of `NEAR` from the other points.
    const APART_NEAR: f32 = 2.0 * Self::NEAR_2 * (Self::NEAR_2 - Self::FAR_2);
    /// The same of `FAR`.
    const APART_FAR: f32 = 2.0 * Self::FAR_2 * (Self::FAR_2 - Self::NEAR_2);
}

/// A map of `S` numbers to six, in one dimension; two of the six at a time, which share most of their terms.
///
/// Taking pairs keeps what is between the two dimensions (two rows of `S`) in registers; all six rows would go to
/// memory and back, which costs more than reading the pixels again for each pair.
pub(super) trait Map<const S: usize> {
    /// Pixels of the square to be mapped that lie above the tile, and left of it.
    const BEFORE: usize;

    /// The numbers of [`PAIRS`]`[PAIR]`.
    unsafe fn pair<V: Lanes, const PAIR: usize>(numbers: [V; S]) -> [V; 2];
}

/// The numbers that pairs are.
const PAIRS: [[usize; 2]; 3] = [[0, 5], [1, 2], [3, 4]];

/// `B^T`, of the patch below a tile.
pub(super) struct Patch;

impl Map<6> for Patch {
    const BEFORE: usize = 1;

    #[inline(always)]
    unsafe fn pair<V: Lanes, const PAIR: usize>(d: [V; 6]) -> [V; 2] {
        // SAFETY: the caller's promise of `Lanes`.
        unsafe {
            match PAIR {
                0 => {
                    let (both, sum) = (V::splat(Points::<V>::BOTH_2), V::splat(-Points::<V>::SUM_2));
                    [
                        both.mul_add(d[0], sum.mul_add(d[2], d[4])),
                        both.mul_add(d[1], sum.mul_add(d[3], d[5])),
                    ]
                }
                1 => {
                    let far_2 = V::splat(-Points::<V>::FAR_2);
                    let (even, odd) = (far_2.mul_add(d[2], d[4]), far_2.mul_add(d[1], d[3]));
                    let odd = V::splat(Points::<V>::NEAR).mul(odd);
                    [even.add(odd), even.sub(odd)]
                }
                _ => {
                    let near_2 = V::splat(Points::<V>::NEAR_2);
                    let (even, odd) = (d[4].sub(near_2.mul(d[2])), d[3].sub(near_2.mul(d[1])));
                    [
                        V::splat(Points::<V>::FAR).mul_add(odd, even),
                        V::splat(-Points::<V>::FAR).mul_add(odd, even),
                    ]
                }
            }
        }
    }
}

/// `A`, of the gradient of a tile of output.
pub(super) struct OutputGradient;

impl Map<4> for OutputGradient {
    const BEFORE: usize = 0;

    #[inline(always)]
    unsafe fn pair<V: Lanes, const PAIR: usize>(y: [V; 4]) -> [V; 2] {
        // SAFETY: as in `Patch::pair`.
        unsafe {
            match PAIR {
                0 => [y[0], y[3]],
                1 => {
                    let near_2 = V::splat(Points::<V>::NEAR_2);
                    let (even, odd) = (y[0].add(near_2.mul(y[2])), y[1].add(near_2.mul(y[3])));
                    let odd = V::splat(Points::<V>::NEAR).mul(odd);
                    [even.add(odd), even.sub(odd)]
                }
                _ => {
                    let far_2 = V::splat(Points::<V>::FAR_2);
                    let (even, odd) = (far_2.mul_add(y[2], y[0]), far_2.mul_add(y[3], y[1]));
                    [
                        V::splat(Points::<V>::FAR).mul_add(odd, even),
                        V::splat(-Points::<V>::FAR).mul_add(odd, even),
                    ]
                }
            }
        }
    }
}

/// Two rows of `A^T` at a time: 0 and 2, or 1 and 3.
#[inline(always)]
unsafe fn output_pair<V: Lanes, const PAIR: usize>(m: [V; 6]) -> [V; 2] {
    // SAFETY: as in `Patch::pair`.
    unsafe {
        let (near_2, far_2) = (V::splat(Points::<V>::NEAR_2), V::splat(Points::<V>::FAR_2));
        if PAIR == 0 {
            let (sum_1, sum_2) = (m[1].add(m[2]), m[3].add(m[4]));
            [
                m[0].add(sum_1).add(sum_2),
                far_2.mul_add(sum_2, near_2.mul(sum_1)),
            ]
        } else {
            let near = V::splat(Points::<V>::NEAR).mul(m[1].sub(m[2]));
            let far = V::splat(Points::<V>::FAR).mul(m[3].sub(m[4]));
            [near.add(far), far_2.mul_add(far, near_2.mul(near)).add(m[5])]
        }
    }
}

/// `G`: three taps of a filter.
#[inline(always)]
pub(super) unsafe fn filter<V: Lanes>(g: [V; 3]) -> [V; 6] {
    // SAFETY: as in `Patch::pair`.
    unsafe {
        let (near, far) = (1.0 / Points::<V>::APART_NEAR, 1.0 / Points::<V>::APART_FAR);
        let near_2 = V::splat(Points::<V>::NEAR_2);
        let even_1 = V::splat(near).mul(g[0].add(near_2.mul(g[2])));
        let odd_1 = V::splat(Points::<V>::NEAR * near).mul(g[1]);
        let even_2 = V::splat(far).mul_add(g[0], V::splat(Points::<V>::FAR_2 * far).mul(g[2]));
        let odd_2 = V::splat(Points::<V>::FAR * far).mul(g[1]);
        [
            V::splat(1.0 / Points::<V>::BOTH_2).mul(g[0]),
            even_1.add(odd_1),
            even_1.sub(odd_1),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            g[2],
        ]
    }
}

/// `G^T`: the gradient of three taps.
#[inline(always)]
pub(super) unsafe fn filter_gradient<V: Lanes>(m: [V; 6]) -> [V; 3] {
    // SAFETY: as in `Patch::pair`.
    unsafe {
        let (near, far) = (1.0 / Points::<V>::APART_NEAR, 1.0 / Points::<V>::APART_FAR);
        let (sum_1, difference_1) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_2, difference_2) = (m[3].add(m[4]), m[3].sub(m[4]));
        let low = V::splat(near).mul_add(sum_1, V::splat(far).mul(sum_2));
        let high = V::splat(Points::<V>::FAR_2 * far).mul_add(sum_2, m[5]);
        [
            V::splat(1.0 / Points::<V>::BOTH_2).mul_add(m[0], low),
            V::splat(Points::<V>::NEAR * near)
                .mul_add(difference_1, V::splat(Points::<V>::FAR * far).mul(difference_2)),
            V::splat(Points::<V>::NEAR_2 * near).mul_add(sum_1, high),
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

impl Square {
    fn of_copy<V: Lanes, const S: usize>(copy: &[[V; S]; S]) -> Self {
        Self {
            start: copy.as_ptr().cast(),
            row: S * V::LANES,
            column: V::LANES,
        }
    }
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
    Square::of_copy(copy)
}

/// Takes the square of pixels that belongs to a tile to its 36 numbers, for all channels, as words of neighbouring
/// channels.
///
/// # Safety
/// `image` is `[h, w, channels]`; `to` is the tile's place in a block of `layout`.
#[inline(always)]
pub(super) unsafe fn transform<V: Lanes, M: Map<S>, const S: usize>(
    image: *const f32,
    channels: usize,
    tiling: Tiling,
    tile: Tile,
    to: *mut f32,
    layout: Layout,
) {
    let mut channel = 0;
    while channel < channels {
        // SAFETY: `square` gives pixels that can be read; the stores fill the tile's words of each point.
        unsafe {
            let mut copy = [[V::zero(); S]; S];
            let from = square::<V, S>(image, (channels, channel), tiling, tile, M::BEFORE, &mut copy);
            let to = to.add(channel / V::STEPS);
            store_pair::<V, M, S, 0>(from, to, layout);
            store_pair::<V, M, S, 1>(from, to, layout);
            store_pair::<V, M, S, 2>(from, to, layout);
        }
        channel += V::LANES;
    }
}

/// As [`transform`], for as many tiles from `first` on as a word holds steps, of which `count` exist; words of
/// neighbouring tiles.
///
/// # Safety
/// `images` are `[n, h, w, channels]`; `to` is the tiles' place in a block of `layout`.
#[inline(always)]
pub(super) unsafe fn transform_together<V: Lanes, M: Map<S>, const S: usize>(
    images: *const f32,
    channels: usize,
    tiling: Tiling,
    (first, count): (usize, usize),
    to: *mut f32,
    layout: Layout,
) {
    let image_of = |tile: Tile| images.wrapping_add(tile.image * tiling.h * tiling.w * channels);
    let tile = tiling.tile(first);
    if V::STEPS == 1 {
        // SAFETY: the caller's promise.
        unsafe { transform::<V, M, S>(image_of(tile), channels, tiling, tile, to, layout) };
        return;
    }
    let next = tiling.tile(first + 1);
    let mut channel = 0;
    while channel < channels {
        // SAFETY: as in `transform`; a tile that does not exist is never looked up in its image.
        unsafe {
            let (mut copy, mut next_copy) = ([[V::zero(); S]; S], [[V::zero(); S]; S]);
            let from = square::<V, S>(
                image_of(tile),
                (channels, channel),
                tiling,
                tile,
                M::BEFORE,
                &mut copy,
            );
            let second = if count > 1 {
                let image = image_of(next);
                square::<V, S>(
                    image,
                    (channels, channel),
                    tiling,
                    next,
                    M::BEFORE,
                    &mut next_copy,
                )
            } else {
                Square::of_copy(&next_copy)
            };
            let to = to.add(channel);
            store_pair_together::<V, M, S, 0>([from, second], to, layout);
            store_pair_together::<V, M, S, 1>([from, second], to, layout);
            store_pair_together::<V, M, S, 2>([from, second], to, layout);
        }
        channel += V::LANES;
    }
}

/// Two rows between the dimensions: the pair of each column of a square.
#[inline(always)]
unsafe fn rows<V: Lanes, M: Map<S>, const S: usize, const PAIR: usize>(from: Square) -> [[V; S]; 2] {
    // SAFETY: the square's pixels can be read.
    unsafe {
        let (mut upper, mut lower) = ([V::zero(); S], [V::zero(); S]);
        for (column, (upper, lower)) in upper.iter_mut().zip(&mut lower).enumerate() {
            let mut pixels = [V::zero(); S];
            for (row, pixel) in pixels.iter_mut().enumerate() {
                *pixel = V::load(from.start.add(row * from.row + column * from.column));
            }
            [*upper, *lower] = M::pair::<V, PAIR>(pixels);
        }
        [upper, lower]
    }
}

/// The six numbers of a row.
#[inline(always)]
unsafe fn six<V: Lanes, M: Map<S>, const S: usize>(row: [V; S]) -> [V; 6] {
    // SAFETY: the caller's promise of `Lanes`.
    unsafe {
        let [zero, five] = M::pair::<V, 0>(row);
        let [one, two] = M::pair::<V, 1>(row);
        let [three, four] = M::pair::<V, 2>(row);
        [zero, one, two, three, four, five]
    }
}

#[inline(always)]
unsafe fn store_pair<V: Lanes, M: Map<S>, const S: usize, const PAIR: usize>(
    from: Square,
    to: *mut f32,
    layout: Layout,
) {
    // SAFETY: as in `transform`.
    unsafe {
        for (row, numbers) in PAIRS[PAIR].into_iter().zip(rows::<V, M, S, PAIR>(from)) {
            for (column, number) in six::<V, M, S>(numbers).into_iter().enumerate() {
                number.store_words(to.add((row * 6 + column) * layout.point));
            }
        }
    }
}

#[inline(always)]
unsafe fn store_pair_together<V: Lanes, M: Map<S>, const S: usize, const PAIR: usize>(
    from: [Square; 2],
    to: *mut f32,
    layout: Layout,
) {
    // SAFETY: as in `transform_together`.
    unsafe {
        let (first, second) = (rows::<V, M, S, PAIR>(from[0]), rows::<V, M, S, PAIR>(from[1]));
        for (index, row) in PAIRS[PAIR].into_iter().enumerate() {
            let first = six::<V, M, S>(first[index]);
            let second = six::<V, M, S>(second[index]);
            for (column, (first, second)) in first.into_iter().zip(second).enumerate() {
                let words = V::words(first, second);
                words.store(to.add((row * 6 + column) * layout.point));
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
