//! Turning a noise field and thresholding it, in one pass.

use flawforge_resample::{Rotation, multiversioned};

use crate::Mask;

/// Thresholds a rotated field, with buffers that are used again.
///
/// Few pixels of a mask are set, so most of the work is to find out where they can be. A pixel of the rotated field
/// is a mixture of four neighbours and cannot exceed the threshold where none of them does. One bit for every
/// place says whether one of the four does; the mixture is computed only where the bit is set. The same is known
/// of whole blocks, so that most short runs of pixels cost one look.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    columns: Vec<[i32; 2]>,
    bytes: Vec<u8>,
    bits: Vec<u32>,
    blocks: Vec<u8>,
    near: Vec<u8>,
}

/// Side of a block, and the length of a run: the pixels of a run lie within half a block around its middle, hence
/// in the middle's block or its neighbours.
const BLOCK: usize = 16;
/// What rounding may add to a mixture of values in [-1, 1], and much more.
const SLACK: f32 = 1e-5;

/// A map of bits around a square field. The field may stick out at any angle without leaving the map.
#[derive(Clone, Copy)]
struct Map {
    /// Place of the field's frame: its top-left zero pixel.
    left: usize,
    top: usize,
    /// 32-bit words in a row, and rows.
    words: usize,
    rows: usize,
}

impl Map {
    fn around(side: usize) -> Self {
        // A rotated square reaches beyond itself by 0.21 of its side.
        let margin = side / 4 + 4;
        let left = margin.next_multiple_of(32);
        Self {
            left,
            top: margin,
            words: (left + side + 2 + margin).div_ceil(32),
            rows: (side + 2 + 2 * margin).next_multiple_of(BLOCK),
        }
    }
}

impl Turn {
    /// Sets the pixels of `mask`, which is clear, where the field, rotated by `degrees`, is greater than the
    /// threshold. The field is a square of `side` pixels with a frame of one zero pixel; the mask shows its middle.
    /// What comes from outside the field is zero.
    pub(crate) fn threshold(
        &mut self,
        noise: &[f32],
        side: u32,
        degrees: f64,
        threshold: f32,
        mask: &mut Mask,
    ) {
        let (width, height) = (mask.width(), mask.height());
        let rotation = Rotation::new(side, side, degrees);
        let (x0, y0) = ((side - width) / 2, (side - height) / 2);
        rotation.columns(&mut self.columns, x0..x0 + width);
        let map = Map::around(side as usize);
        self.mark(noise, side as usize, threshold - SLACK, map);
        self.find_blocks(map);
        let stride = side as usize + 2;
        let in_row = map.words * (32 / BLOCK);
        for (y, out) in mask.binary_mut().chunks_exact_mut(width as usize).enumerate() {
            let row = rotation.row(y0 + y as u32);
            for (out, columns) in out.chunks_mut(BLOCK).zip(self.columns.chunks(BLOCK)) {
                // A place in the map, from a source coordinate in 1/32 pixel; the frame adds one.
                let place = |column: [i32; 2]| {
                    let [x, y] = Rotation::source(row, column);
                    (
                        ((x >> 5) + 1 + map.left as i32) as usize,
                        ((y >> 5) + 1 + map.top as i32) as usize,
                    )
                };
                let (x, y) = place(columns[columns.len() / 2]);
                if self.near[y / BLOCK * in_row + x / BLOCK] == 0 {
                    continue;
                }
                for (out, &column) in out.iter_mut().zip(columns) {
                    let (x, y) = place(column);
                    if (self.bits[y * map.words + x / 32] >> (x % 32)) & 1 == 0 {
                        continue;
                    }
                    let (left, top) = (x.wrapping_sub(map.left), y.wrapping_sub(map.top));
                    let value = if left > side as usize || top > side as usize {
                        0.0
                    } else {
                        let [x, y] = Rotation::source(row, column);
                        let (a, b) = ((x & 31) as f32 * (1.0 / 32.0), (y & 31) as f32 * (1.0 / 32.0));
                        let at = top * stride + left;
                        let (upper, lower) = (&noise[at..at + 2], &noise[at + stride..at + stride + 2]);
                        let upper = upper[0] + (upper[1] - upper[0]) * a;
                        let lower = lower[0] + (lower[1] - lower[0]) * a;
                        upper + (lower - upper) * b
                    };
                    *out = u8::from(value > threshold);
                }
            }
        }
    }

    /// Sets the bits of the places where one of four neighbours is greater than `limit`.
    fn mark(&mut self, noise: &[f32], side: usize, limit: f32, map: Map) {
        // Zero, which is all around the field, may exceed the limit as well; then every place is looked at.
        let all = if 0.0 > limit { u32::MAX } else { 0 };
        self.bits.clear();
        self.bits.resize(map.words * map.rows, all);
        if all != 0 {
            return;
        }
        let stride = side + 2;
        self.bytes.clear();
        self.bytes.resize((side + 1).next_multiple_of(32), 0);
        for y in 0..=side {
            let (above, below) = noise[y * stride..][..2 * stride].split_at(stride);
            mark_row(&mut self.bytes[..=side], above, below, limit);
            let bits = &mut self.bits[(map.top + y) * map.words + map.left / 32..];
            for (word, bytes) in bits.iter_mut().zip(self.bytes.as_chunks::<32>().0) {
                *word = pack(bytes);
            }
        }
    }

    /// Finds the blocks in or beside which a bit is set.
    fn find_blocks(&mut self, map: Map) {
        let in_row = map.words * (32 / BLOCK);
        let rows = map.rows / BLOCK;
        self.blocks.clear();
        self.blocks.resize(rows * in_row, 0);
        for (band, blocks) in self
            .bits
            .chunks_exact(map.words * BLOCK)
            .zip(self.blocks.chunks_exact_mut(in_row))
        {
            for word in 0..map.words {
                let any = (0..BLOCK).fold(0, |any, y| any | band[y * map.words + word]);
                blocks[2 * word] = u8::from(any & 0xffff != 0);
                blocks[2 * word + 1] = u8::from(any >> 16 != 0);
            }
        }
        self.near.clear();
        self.near.resize(rows * in_row, 0);
        for y in 0..rows {
            for x in 0..in_row {
                if self.blocks[y * in_row + x] != 0 {
                    for v in y.saturating_sub(1)..(y + 2).min(rows) {
                        self.near[v * in_row + x.saturating_sub(1)..v * in_row + (x + 2).min(in_row)].fill(1);
                    }
                }
            }
        }
    }
}

multiversioned! {
    /// 1 where one of the pixels of two rows at a place or to its right is greater than `limit`, else 0.
    fn mark_row(out: &mut [u8], above: &[f32], below: &[f32], limit: f32) {
        let above = above.iter().zip(&above[1..]);
        let below = below.iter().zip(&below[1..]);
        for ((out, (&a, &b)), (&c, &d)) in out.iter_mut().zip(above).zip(below) {
            *out = u8::from((a > limit) | (b > limit) | (c > limit) | (d > limit));
        }
    }
}

/// Bytes that are 0 or 1 as bits, the first one lowest.
fn pack(bytes: &[u8; 32]) -> u32 {
    let (eights, _) = bytes.as_chunks::<8>();
    // The product moves the lowest bit of byte k to bit 56 + k.
    let pack =
        |eight: &[u8; 8]| (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32;
    (eights.iter().rev()).fold(0, |word, eight| word << 8 | pack(eight))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pixel by itself, as it is defined.
    fn slow(noise: &[f32], side: u32, degrees: f64, threshold: f32, width: u32, height: u32) -> Mask {
        let rotation = Rotation::new(side, side, degrees);
        let mut columns = Vec::new();
        rotation.columns(&mut columns, 0..side);
        let at = |x: i32, y: i32| {
            let inside = |v: i32| (0..side as i32).contains(&v);
            let index = (y + 1) * (side as i32 + 2) + x + 1;
            if inside(x) && inside(y) {
                noise[index as usize]
            } else {
                0.0
            }
        };
        Mask::from_fn(width, height, |x, y| {
            let (x, y) = (x + (side - width) / 2, y + (side - height) / 2);
            let [x, y] = Rotation::source(rotation.row(y), columns[x as usize]);
            let (a, b) = ((x & 31) as f32 / 32.0, (y & 31) as f32 / 32.0);
            let (x, y) = (x >> 5, y >> 5);
            let upper = at(x, y) + (at(x + 1, y) - at(x, y)) * a;
            let lower = at(x, y + 1) + (at(x + 1, y + 1) - at(x, y + 1)) * a;
            upper + (lower - upper) * b > threshold
        })
    }

    #[test]
    fn nothing_is_overlooked() {
        let mut turn = Turn::default();
        for (side, width, height) in [
            (1, 1, 1),
            (2, 2, 1),
            (64, 64, 40),
            (128, 128, 128),
            (256, 97, 256),
        ] {
            let stride = side + 2;
            for (case, degrees) in [0.0, 13.0, -45.0, 60.5, 90.0, -89.0].into_iter().enumerate() {
                let noise: Vec<f32> = (0..stride * stride)
                    .map(|k| {
                        let (x, y) = (k % stride, k / stride);
                        let frame = x == 0 || y == 0 || x == side + 1 || y == side + 1;
                        let wave = (x as f32 * 0.11 * (1.0 + case as f32)).sin() * (y as f32 * 0.07).cos();
                        if frame { 0.0 } else { wave }
                    })
                    .collect();
                for threshold in [0.5, 0.93, 0.0, -0.4] {
                    let mut mask = Mask::empty(width, height);
                    turn.threshold(&noise, side, degrees, threshold, &mut mask);
                    let expected = slow(&noise, side, degrees, threshold, width, height);
                    assert_eq!(mask, expected, "{side}: {degrees} degrees, {threshold}");
                }
            }
        }
    }
}
