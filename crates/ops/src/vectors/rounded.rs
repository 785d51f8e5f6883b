//! A bank's vectors in bfloat16: products of half the time, from which few vectors are left to be measured.

use rayon::prelude::*;

use super::panels::{Operand, Tiles, laid_out};
use crate::cpu::multiversion::multiversioned;
use crate::cpu::{Arithmetic, Isa};

/// The vectors relative to their mean, where they are shorter and rounding costs less, rounded to bfloat16.
///
/// Distances stay what they are when queries and vectors move together. How far rounding moved a query, and the bank's
/// vectors at most, is measured, not estimated: a bound that holds.
#[derive(Debug, Clone)]
pub(super) struct Rounded {
    arithmetic: Arithmetic,
    length: usize,
    width: usize,
    /// The mean.
    center: Vec<f32>,
    /// Words `[panel][word][column]`.
    data: Vec<f32>,
    /// `|m|²` of the vectors relative to the mean; infinite for the columns that fill up the last panel.
    pub(super) squares: Vec<f32>,
    /// The largest `|m|`, and the largest `|m - rounded m|`.
    longest: f64,
    rest: f64,
}

/// Queries as they are multiplied, and for each how far two computed values may be off together, and its length.
pub(super) struct Prepared {
    pub(super) tiles: Tiles,
    pub(super) bounds: Vec<f32>,
    pub(super) sizes: Vec<f64>,
}

impl Rounded {
    /// Of `vectors`, one after the other.
    ///
    /// # Panics
    /// When the processor lacks `arithmetic`.
    pub(super) fn new(vectors: &[f32], length: usize, arithmetic: Arithmetic) -> Self {
        let count = vectors.len() / length;
        let mut sums = vec![0f64; length];
        for vector in vectors.chunks_exact(length) {
            for (sum, &value) in sums.iter_mut().zip(vector) {
                *sum += f64::from(value);
            }
        }
        let center: Vec<f32> = sums
            .iter()
            .map(|sum| (sum / count.max(1) as f64) as f32)
            .collect();
        let moved = moved(vectors, &center);
        let measured: Vec<Lengths> = moved
            .par_chunks_exact(length)
            .map(|vector| Lengths::of(arithmetic.isa(), vector))
            .collect();
        let (width, data) = laid_out(&moved, length, arithmetic);
        let mut squares: Vec<f32> = measured.iter().map(|found| found.whole.powi(2) as f32).collect();
        squares.resize(count.next_multiple_of(width), f32::INFINITY);
        let most = |of: fn(&Lengths) -> f64| measured.iter().map(of).fold(0.0, f64::max);
        Self {
            arithmetic,
            length,
            width,
            center,
            data,
            squares,
            longest: most(|found| found.whole),
            rest: most(|found| found.rest),
        }
    }

    pub(super) fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    pub(super) fn operand(&self) -> Operand<'_> {
        Operand::new(&self.data, self.length, self.width, self.arithmetic)
    }

    pub(super) fn prepare(&self, queries: &[f32]) -> Prepared {
        let moved = moved(queries, &self.center);
        let isa = self.arithmetic.isa();
        let measured: Vec<Lengths> = moved
            .chunks_exact(self.length)
            .map(|query| Lengths::of(isa, query))
            .collect();
        Prepared {
            bounds: measured.iter().map(|&found| self.error_bound(found)).collect(),
            sizes: measured.iter().map(|found| found.whole).collect(),
            tiles: Tiles::new(&moved, self.length, self.arithmetic),
        }
    }

    /// How far two computed `|m|² - 2 q·m` may be off together, as differences of squared distances.
    ///
    /// With `q = r + s` and `m = n + t`, rounded and rest: `q·m - r·n = s·n + q·t`. The products of `r` and `n` are exact in
    /// f32, their sum rounds once a step; the squares and the last step round, and so did the moves to the mean.
    fn error_bound(&self, query: Lengths) -> f32 {
        let epsilon = f64::from(f32::EPSILON);
        let (q, m) = (query.whole, self.longest);
        let rounded = query.rest * (m + self.rest) + q * self.rest;
        let summed = (self.length + 4) as f64 * epsilon * (q + query.rest) * (m + self.rest);
        let squared = epsilon * (m * m + 2.0 * q * m);
        let moved = 2.0 * epsilon * (q + m).powi(2);
        (2.0 * (2.0 * (rounded + summed) + squared + moved)) as f32
    }
}

/// Vectors, one after the other, relative to a center.
pub(super) fn moved(vectors: &[f32], center: &[f32]) -> Vec<f32> {
    let mut moved = vec![0.0; vectors.len()];
    let rows = moved.chunks_exact_mut(center.len());
    for (row, vector) in rows.zip(vectors.chunks_exact(center.len())) {
        for ((moved, value), center) in row.iter_mut().zip(vector).zip(center) {
            *moved = value - center;
        }
    }
    moved
}

/// A vector's length, and that of what rounding takes from it.
#[derive(Clone, Copy)]
struct Lengths {
    whole: f64,
    rest: f64,
}

impl Lengths {
    fn of(isa: Isa, vector: &[f32]) -> Self {
        let [whole, rest] = squares(isa, vector);
        Self {
            whole: whole.sqrt(),
            rest: rest.sqrt(),
        }
    }
}

multiversioned! {
    /// The squared lengths of a vector and of what rounding to bfloat16 takes from it.
    fn squares(vector: &[f32]) -> [f64; 2] {
        const LANES: usize = 16;
        let (mut whole, mut rest) = ([0f64; LANES], [0f64; LANES]);
        for part in vector.chunks(LANES) {
            for ((&value, whole), rest) in part.iter().zip(&mut whole).zip(&mut rest) {
                let bits = value.to_bits();
                // To the nearest, of two equally near ones to the even.
                let rounded = f32::from_bits(bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000);
                let (value, rounded) = (f64::from(value), f64::from(rounded));
                *whole += value * value;
                *rest += (value - rounded) * (value - rounded);
            }
        }
        [whole.iter().sum(), rest.iter().sum()]
    }
}
