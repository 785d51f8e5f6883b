//! The linear maps of F(4x4, 3x3), one dimension at a time, on vectors of channels.
//!
//! With interpolation points 0, infinity and two pairs of opposite numbers: a patch `d` becomes `B^T d B`, a filter `g`
//! becomes `G g G^T`, and a tile of output is `A^T m A`. The gradient of the filter uses the transposed maps: the
//! gradient of a tile becomes `A y A^T` and the sums come back by `G^T m G`.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::{LINE, Layout, POINTS, TILE, Tile, Tiling};
use crate::cpu::lanes::Lanes;

/// The interpolation points beside 0 and infinity, ±[`NEAR`](Self::NEAR) and ±[`FAR`](Self::FAR), and their powers.
///
/// With ±1 and ±2 most factors are whole numbers, which is exact enough for f32. What is rounded to bfloat16 between the
/// maps grows in the way back: by these points' 1.9 % of the result (root mean square), by ±5/8 and ±3/2 half of that, the
/// least of the simple fractions tried. The rounding of direct products makes 0.25 %.
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

/// Two rows of `B^T` at a time: 0 and 5, 1 and 2, or 3 and 4, which share most of their terms.
///
/// Taking pairs keeps what is between the two dimensions (two rows of six) in registers; all six rows would go to
/// memory and back, which costs more than reading the patch again for each pair.
#[inline(always)]
unsafe fn patch_pair<V: Lanes, const PAIR: usize>(d: [V; 6]) -> [V; 2] {
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

/// Two rows of `A^T` at a time: 0 and 2, or 1 and 3.
#[inline(always)]
unsafe fn output_pair<V: Lanes, const PAIR: usize>(m: [V; 6]) -> [V; 2] {
    // SAFETY: as in `patch_pair`.
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

/// Two rows of `A` at a time: 0 and 5, 1 and 2, or 3 and 4.
#[inline(always)]
unsafe fn output_gradient_pair<V: Lanes, const PAIR: usize>(y: [V; 4]) -> [V; 2] {
    // SAFETY: as in `patch_pair`.
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

/// The rows that a pair of [`patch_pair`] and [`output_gradient_pair`] is.
const PAIRS: [[usize; 2]; 3] = [[0, 5], [1, 2], [3, 4]];

/// `G`: three taps of a filter.
#[inline(always)]
pub(super) unsafe fn filter<V: Lanes>(g: [V; 3]) -> [V; 6] {
    // SAFETY: as in `patch_pair`.
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
    // SAFETY: as in `patch_pair`.
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

/// Where the 36 numbers of a vector of channels go.
#[derive(Clone, Copy)]
struct Places<const WORDS: bool> {
    start: *mut f32,
    /// Words from one point to the next.
    step: usize,
}

impl<const WORDS: bool> Places<WORDS> {
    /// Stores the number of a point: words of neighbouring channels with `WORDS`, else f32.
    #[inline(always)]
    unsafe fn put<V: Lanes>(self, point: usize, numbers: V) {
        // SAFETY: the place is there.
        unsafe {
            let to = self.start.add(point * self.step);
            if WORDS {
                numbers.store_words(to);
            } else {
                numbers.store(to);
            }
        }
    }
}

/// Takes the patch below a tile (`S` = 6) or the gradient of a tile of output (`S` = 4) to its 36 numbers, for all
/// channels, as words of neighbouring channels.
///
/// # Safety
/// `image` is `[h, w, channels]`; `to` is the tile's place in a block of `layout`.
#[inline(always)]
pub(super) unsafe fn transform<V: Lanes, const S: usize>(
    image: *const f32,
    channels: usize,
    tiling: Tiling,
    tile: Tile,
    to: *mut f32,
    layout: Layout,
) {
    let mut channel = 0;
    while channel < channels {
        // SAFETY: the caller's promise.
        unsafe {
            let places = Places::<true> {
                start: to.add(channel / V::STEPS),
                step: layout.point,
            };
            transform_vector::<V, S, true>(image, (channels, channel), tiling, tile, places);
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
pub(super) unsafe fn transform_together<V: Lanes, const S: usize>(
    images: *const f32,
    channels: usize,
    tiling: Tiling,
    (first, count): (usize, usize),
    to: *mut f32,
    layout: Layout,
) {
    let image = |tile: Tile| images.wrapping_add(tile.image * tiling.h * tiling.w * channels);
    if V::STEPS == 1 {
        let tile = tiling.tile(first);
        // SAFETY: the caller's promise.
        unsafe { transform::<V, S>(image(tile), channels, tiling, tile, to, layout) };
        return;
    }
    let mut channel = 0;
    while channel < channels {
        let mut both = MaybeUninit::<[[V; POINTS]; 2]>::uninit();
        let numbers = both.as_mut_ptr().cast::<V>();
        // SAFETY: the caller's promise; all of `numbers` is written before it is read.
        unsafe {
            for step in 0..2 {
                let start = numbers.add(step * POINTS);
                if step < count {
                    let tile = tiling.tile(first + step);
                    let places = Places::<false> {
                        start: start.cast(),
                        step: V::LANES,
                    };
                    transform_vector::<V, S, false>(image(tile), (channels, channel), tiling, tile, places);
                } else {
                    for point in 0..POINTS {
                        start.add(point).write(V::zero());
                    }
                }
            }
            for point in 0..POINTS {
                let words = V::words(*numbers.add(point), *numbers.add(POINTS + point));
                words.store(to.add(point * layout.point + channel));
            }
        }
        channel += V::LANES;
    }
}

/// One vector of channels of a tile.
#[inline(always)]
unsafe fn transform_vector<V: Lanes, const S: usize, const WORDS: bool>(
    image: *const f32,
    channel: (usize, usize),
    tiling: Tiling,
    tile: Tile,
    places: Places<WORDS>,
) {
    // SAFETY: `square` gives pixels that can be read; the stores fill the vector's places.
    unsafe {
        let mut copy = [[V::zero(); S]; S];
        let before = if S == 6 { 1 } else { 0 };
        let from = square::<V, S>(image, channel, tiling, tile, before, &mut copy);
        if S == 6 {
            patch_rows::<V, 0, WORDS>(from, places);
            patch_rows::<V, 1, WORDS>(from, places);
            patch_rows::<V, 2, WORDS>(from, places);
        } else {
            output_gradient_rows::<V, 0, WORDS>(from, places);
            output_gradient_rows::<V, 1, WORDS>(from, places);
            output_gradient_rows::<V, 2, WORDS>(from, places);
        }
    }
}

#[inline(always)]
unsafe fn patch_rows<V: Lanes, const PAIR: usize, const WORDS: bool>(from: Square, places: Places<WORDS>) {
    // SAFETY: as in `transform_vector`.
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
            put_row(places, row, [zero, one, two, three, four, five]);
        }
    }
}

#[inline(always)]
unsafe fn output_gradient_rows<V: Lanes, const PAIR: usize, const WORDS: bool>(
    from: Square,
    places: Places<WORDS>,
) {
    // SAFETY: as in `transform_vector`.
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
            put_row(places, row, [zero, one, two, three, four, five]);
        }
    }
}

/// Six of the 36 numbers.
#[inline(always)]
unsafe fn put_row<V: Lanes, const WORDS: bool>(places: Places<WORDS>, row: usize, numbers: [V; 6]) {
    for (column, numbers) in numbers.into_iter().enumerate() {
        // SAFETY: as in `transform_vector`.
        unsafe { places.put(row * 6 + column, numbers) };
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
