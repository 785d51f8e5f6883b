//! Fixed division of work, so that no result depends on the number of threads.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::pages;

/// Elements that one task of an elementwise kernel handles: 64 KiB of f32.
pub(crate) const CHUNK: usize = 16 * 1024;

/// Elements that inner loops should run over at least; narrow channel vectors are repeated up to this width.
const WIDTH: usize = 128;

/// Rows of `channels` numbers in one task.
pub(crate) fn rows_per_chunk(channels: usize) -> usize {
    let repeats = repeats(channels);
    (CHUNK / (channels * repeats)).max(1) * repeats
}

/// How often a vector over channels is repeated so that inner loops are long.
pub(crate) fn repeats(channels: usize) -> usize {
    WIDTH.div_ceil(channels)
}

/// `values` repeated [`repeats`] times.
pub(crate) fn widen(values: &[f32]) -> Vec<f32> {
    values.repeat(repeats(values.len()))
}

/// A vector of `len` numbers that `fill` writes, given pieces of `piece` numbers (the last may be shorter) with
/// their indices, in parallel.
///
/// # Safety
/// `fill` writes every number of the piece that it is given.
pub(crate) unsafe fn filled(
    len: usize,
    piece: usize,
    fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Send + Sync,
) -> Vec<f32> {
    let mut values = pages::vector(len);
    fill_pieces(&mut values.spare_capacity_mut()[..len], piece, fill);
    // SAFETY: the caller's promise.
    unsafe { values.set_len(len) };
    values
}

/// As [`filled`], into memory that is there.
pub(crate) fn fill_pieces(
    values: &mut [MaybeUninit<f32>],
    piece: usize,
    fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Send + Sync,
) {
    values
        .par_chunks_mut(piece)
        .enumerate()
        .for_each(|(index, piece)| fill(index, piece));
}

/// The values that `f` returns for the chunks `0..count`, in order.
pub(crate) fn per_chunk<T: Send>(count: usize, f: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    (0..count).into_par_iter().map(f).collect()
}
