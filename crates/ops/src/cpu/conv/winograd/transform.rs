//! The linear maps of F(4x4, 3x3), one dimension at a time, on vectors of channels.
//!
//! With the interpolation points 0, 1, -1, 2, -2 and infinity: a patch `d` becomes `B^T d B`, a filter `g` becomes
//! `G g G^T`, and a tile of output is `A^T m A`. The gradient of the filter uses the transposed maps: the gradient
//! of a tile becomes `A y A^T` and the sums come back by `G^T m G`.

use super::{Layout, Tile, Tiling};
use crate::cpu::lanes::Lanes;

/// `B^T`: six numbers of a patch.
#[inline(always)]
unsafe fn patch<V: Lanes>(d: [V; 6]) -> [V; 6] {
    // SAFETY: the caller's promise of `Lanes`.
    unsafe {
        let (four, minus_four, minus_five) = (V::splat(4.0), V::splat(-4.0), V::splat(-5.0));
        let even = minus_four.mul_add(d[2], d[4]);
        let odd = minus_four.mul_add(d[1], d[3]);
        let even_2 = d[4].sub(d[2]);
        let odd_2 = d[3].sub(d[1]);
        let odd_2 = odd_2.add(odd_2);
        [
            four.mul_add(d[0], minus_five.mul_add(d[2], d[4])),
            even.add(odd),
            even.sub(odd),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            four.mul_add(d[1], minus_five.mul_add(d[3], d[5])),
        ]
    }
}

/// `A^T`: four pixels of output.
#[inline(always)]
unsafe fn output<V: Lanes>(m: [V; 6]) -> [V; 4] {
    // SAFETY: as in `patch`.
    unsafe {
        let (sum_1, difference_1) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_2, difference_2) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(sum_1).add(sum_2),
            V::splat(2.0).mul_add(difference_2, difference_1),
            V::splat(4.0).mul_add(sum_2, sum_1),
            V::splat(8.0).mul_add(difference_2, difference_1).add(m[5]),
        ]
    }
}

/// `A`: the gradient of four pixels of output.
#[inline(always)]
unsafe fn output_gradient<V: Lanes>(y: [V; 4]) -> [V; 6] {
    // SAFETY: as in `patch`.
    unsafe {
        let (even_1, odd_1) = (y[0].add(y[2]), y[1].add(y[3]));
        let even_2 = V::splat(4.0).mul_add(y[2], y[0]);
        let odd_2 = V::splat(4.0).mul_add(y[3], y[1]);
        let odd_2 = odd_2.add(odd_2);
        [
            y[0],
            even_1.add(odd_1),
            even_1.sub(odd_1),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            y[3],
        ]
    }
}

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

/// One row or column of a square of pixels, `S` long: its address, the floats from pixel to pixel, and which of
/// its pixels are inside the image.
#[inline(always)]
unsafe fn line<V: Lanes, const S: usize>(
    start: *const f32,
    step: usize,
    inside: (usize, usize),
    lanes: usize,
) -> [V; S] {
    // SAFETY: only pixels inside the image are read.
    unsafe {
        let mut line = [V::zero(); S];
        if inside == (0, S) && lanes == V::LANES {
            for (index, pixel) in line.iter_mut().enumerate() {
                *pixel = V::load(start.wrapping_add(index * step));
            }
        } else {
            for (index, pixel) in line.iter_mut().enumerate() {
                if index >= inside.0 && index < inside.1 {
                    *pixel = V::load_first(start.wrapping_add(index * step), lanes);
                }
            }
        }
        line
    }
}

/// Of `S` pixels that begin `before` ahead of `first`, those with an index inside `0..size`.
#[inline(always)]
fn inside<const S: usize>(first: usize, before: usize, size: usize) -> (usize, usize) {
    (before.saturating_sub(first), S.min(size + before - first))
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
    let rows = inside::<6>(tile.row, 1, tiling.h);
    let columns = inside::<6>(tile.column, 1, tiling.w);
    // The patch begins one pixel up and left of the tile, which may be outside: a mere number until it is read.
    let start = image.wrapping_add((tile.row * tiling.w + tile.column) * channels);
    let start = start.wrapping_sub((tiling.w + 1) * channels);
    let mut channel = 0;
    while channel < channels {
        let lanes = V::LANES.min(channels - channel);
        // SAFETY: `line` reads inside the image; the stores fill the tile's vectors of each point.
        unsafe {
            let mut half = [[V::zero(); 6]; 6];
            for column in 0..6 {
                if column >= columns.0 && column < columns.1 {
                    let from = start.wrapping_add(column * channels + channel);
                    let points = patch(line::<V, 6>(from, tiling.w * channels, rows, lanes));
                    for (half, point) in half.iter_mut().zip(points) {
                        half[column] = point;
                    }
                }
            }
            for (row, half) in half.into_iter().enumerate() {
                for (column, point) in patch(half).into_iter().enumerate() {
                    point.store(to.add((row * 6 + column) * layout.point + channel));
                }
            }
        }
        channel += V::LANES;
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
    let rows = inside::<4>(tile.row, 0, tiling.h);
    let columns = inside::<4>(tile.column, 0, tiling.w);
    let start = image.wrapping_add((tile.row * tiling.w + tile.column) * channels);
    let mut channel = 0;
    while channel < channels {
        let lanes = V::LANES.min(channels - channel);
        // SAFETY: as above.
        unsafe {
            let mut half = [[V::zero(); 4]; 6];
            for column in 0..columns.1 {
                let from = start.wrapping_add(column * channels + channel);
                let points = output_gradient(line::<V, 4>(from, tiling.w * channels, rows, lanes));
                for (half, point) in half.iter_mut().zip(points) {
                    half[column] = point;
                }
            }
            for (row, half) in half.into_iter().enumerate() {
                for (column, point) in output_gradient(half).into_iter().enumerate() {
                    point.store(to.add((row * 6 + column) * layout.point + channel));
                }
            }
        }
        channel += V::LANES;
    }
}

/// Takes 36 numbers to a tile of output, for a panel of channels, and adds the bias.
///
/// # Safety
/// `from` is the tile's place in a block of `layout`; `image` is the first channel of the panel in an output of
/// `[h, w, stride]`; `columns` channels are written; `bias` holds whole vectors of them.
#[inline(always)]
pub(super) unsafe fn transform_output<V: Lanes>(
    from: *const f32,
    layout: Layout,
    bias: *const f32,
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
            let bias = V::load(bias.add(channel));
            let mut half = [[V::zero(); 6]; 4];
            for column in 0..6 {
                let mut points = [V::zero(); 6];
                for (row, point) in points.iter_mut().enumerate() {
                    *point = V::load(from.add((row * 6 + column) * layout.point + channel));
                }
                for (half, pixel) in half.iter_mut().zip(output(points)) {
                    half[column] = pixel;
                }
            }
            for (row, half) in half.into_iter().enumerate() {
                if row < down {
                    let to = image.add(((tile.row + row) * tiling.w + tile.column) * stride + channel);
                    for (column, pixel) in output(half).into_iter().enumerate() {
                        if column < across {
                            let pixel = pixel.add(bias);
                            if lanes == V::LANES {
                                pixel.store(to.add(column * stride));
                            } else {
                                pixel.store_first(to.add(column * stride), lanes);
                            }
                        }
                    }
                }
            }
        }
        channel += V::LANES;
    }
}
