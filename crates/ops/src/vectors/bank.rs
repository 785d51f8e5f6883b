//! Exact nearest neighbours among many vectors, by blocked matrix products.

use std::sync::Arc;

use candle_core::{Device, Result, bail};
use rayon::prelude::*;

use super::least::{GROUP, Values};
use super::narrow::Narrow;
use super::panels::{BLOCK, Operand, Panels, Tiles};
use super::rounded::{Prepared, Rounded};
use crate::cpu::scratch::Scratch;
use crate::cpu::{Arithmetic, Isa};
#[cfg(feature = "cuda")]
use crate::cuda::DeviceBank;

/// Numbers of a block of queries' products that are looked through together: they stay in the second-level cache.
const PRODUCTS: usize = 1 << 17;
/// Candidates a query that are kept, on average, before those that were overtaken are dropped.
const CANDIDATES: usize = 64;

/// A vector's nearest neighbour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbor {
    /// Which vector of the bank; the first of several that are equally near.
    pub index: usize,
    /// Squared Euclidean distance to it.
    pub squared: f32,
}

/// Some of the vectors of a bank ([`Bank::among`]).
#[derive(Debug, Clone)]
pub struct Among {
    /// `|m|²`, infinite for vectors that do not count, which are thereby never the nearest.
    squares: Vec<f32>,
    /// The same of the short vectors, where there are such.
    narrow: Option<Vec<f32>>,
}

impl Among {
    /// Whether a vector of the bank counts.
    ///
    /// # Panics
    /// When there is no such vector.
    pub fn has(&self, index: usize) -> bool {
        self.squares[index].is_finite()
    }
}

/// Vectors among which nearest neighbours are sought.
///
/// `|q - m|² = |q|² + |m|² - 2 q·m`, where the products are a blocked matrix product: in bfloat16 where the processor has
/// instructions for it, which are twice as fast, elsewhere in f32. Its rounding could choose wrongly between near-ties, so
/// every vector within the error bound of the best is measured again in f64, directly: the neighbour returned is the exact
/// one, and the same on every processor. Where the vectors differ mostly along few directions, as those of images do, products of
/// short vectors rule most of a bank out before anything is measured.
#[derive(Debug, Clone)]
pub struct Bank {
    vectors: Panels,
    /// `|m|²`; infinite for the columns that fill up the last panel, which are thereby never the nearest.
    squares: Vec<f32>,
    /// The largest `|m|`.
    longest: f64,
    /// The same vectors in bfloat16, where the processor multiplies such.
    rounded: Option<Rounded>,
    /// What few directions tell of them, where that is of use.
    narrow: Option<Arc<Narrow>>,
    /// A copy on a GPU, which then seeks the neighbours.
    #[cfg(feature = "cuda")]
    on_device: Option<DeviceBank>,
}

impl Bank {
    /// A bank of vectors that are already laid out.
    pub fn new(vectors: Panels) -> Self {
        let mut bank = Self::without_narrowing(vectors);
        bank.narrow();
        bank
    }

    /// As [`new`](Self::new), with products of whole vectors alone.
    pub(super) fn without_narrowing(vectors: Panels) -> Self {
        let mut bank = Self::without_rounding(vectors);
        let arithmetic = Arithmetic::bf16(bank.vectors.isa());
        if bank.vectors.isa() != Isa::Portable && arithmetic.is_available() {
            bank.round(arithmetic);
        }
        bank
    }

    /// Seeks with short vectors first from now on, where that is of use; they are multiplied as the whole ones are.
    pub(super) fn narrow(&mut self) {
        let arithmetic = self.rounded.as_ref().map(Rounded::arithmetic);
        let seek = |vectors| {
            let mut bank = Self::without_rounding(vectors);
            if let Some(arithmetic) = arithmetic {
                bank.round(arithmetic);
            }
            bank
        };
        let (length, isa) = (self.vectors.length(), self.vectors.isa());
        self.narrow = Narrow::new(self.vectors.to_vec(), length, isa, seek).map(Arc::new);
    }

    /// Seeks with products in bfloat16 from now on.
    pub(super) fn round(&mut self, arithmetic: Arithmetic) {
        let (vectors, length) = (self.vectors.to_vec(), self.vectors.length());
        self.rounded = Some(Rounded::new(&vectors, length, arithmetic));
    }

    #[cfg(test)]
    pub(super) fn narrowed(&self) -> Option<&Narrow> {
        self.narrow.as_deref()
    }

    /// As [`without_narrowing`](Self::without_narrowing), with products in f32.
    pub(super) fn without_rounding(vectors: Panels) -> Self {
        let squares: Vec<f64> = (0..vectors.len())
            .into_par_iter()
            .map(|index| vectors.vector(index).map(|value| f64::from(value).powi(2)).sum())
            .collect();
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let mut squares: Vec<f32> = squares.into_iter().map(|square| square as f32).collect();
        squares.resize(vectors.panels() * vectors.width(), f32::INFINITY);
        Self {
            vectors,
            squares,
            longest,
            rounded: None,
            narrow: None,
            #[cfg(feature = "cuda")]
            on_device: None,
        }
    }

    /// The same bank, whose neighbours a device seeks: a CUDA device in builds with the feature `cuda`, for any other the
    /// processor. The neighbours are the same, bit for bit.
    ///
    /// # Errors
    /// On a GPU, more numbers than it can index, or too little memory.
    pub fn on(self, device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let on_device = if device.is_cuda() && !self.vectors.is_empty() {
            let (vectors, length) = (self.vectors.to_vec(), self.vectors.length());
            let squares = &self.squares[..self.vectors.len()];
            Some(DeviceBank::new(device, &vectors, length, squares)?)
        } else {
            None
        };
        let _ = device;
        Ok(Self {
            #[cfg(feature = "cuda")]
            on_device,
            ..self
        })
    }

    /// The vectors.
    pub fn vectors(&self) -> &Panels {
        &self.vectors
    }

    /// The nearest vector of each query, in parallel; beyond the bank this takes the memory of one block a thread.
    ///
    /// # Errors
    /// When the bank is empty or the queries have another length than its vectors; where a GPU fails.
    pub fn nearest(&self, queries: &[f32]) -> Result<Vec<Neighbor>> {
        self.check(queries)?;
        #[cfg(feature = "cuda")]
        if let Some(bank) = &self.on_device {
            let bounds: Vec<f32> = queries
                .par_chunks_exact(self.vectors.length())
                .map(|query| self.error_bound(query))
                .collect();
            return bank.nearest(queries, &bounds);
        }
        let narrow = self.narrow.as_ref().map(|narrow| (&**narrow, narrow.squares()));
        Ok(self.sought(queries, self.squares_sought(), narrow))
    }

    /// The vectors for which `counts` says yes; `None` if there are none. They cost the memory of one number for each vector of the
    /// bank, or of two.
    pub fn among(&self, counts: impl Fn(usize) -> bool) -> Option<Among> {
        let counted: Vec<bool> = (0..self.vectors.len()).map(counts).collect();
        let of = |squares: &[f32]| {
            let mut squares = squares.to_vec();
            for (square, counts) in squares.iter_mut().zip(&counted) {
                if !counts {
                    *square = f32::INFINITY;
                }
            }
            squares
        };
        counted.contains(&true).then(|| Among {
            squares: of(self.squares_sought()),
            narrow: self.narrow.as_ref().map(|narrow| of(narrow.squares())),
        })
    }

    /// As [`nearest`](Self::nearest), among some of the vectors: the others are passed over, as if they were not there. On the
    /// processor, whatever the device of the bank.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest); vectors of a bank of another size.
    pub fn nearest_among(&self, among: &Among, queries: &[f32]) -> Result<Vec<Neighbor>> {
        self.check_among(among, queries)?;
        let narrow = self.narrow.as_deref().zip(among.narrow.as_deref());
        Ok(self.sought(queries, &among.squares, narrow))
    }

    fn check(&self, queries: &[f32]) -> Result<()> {
        if self.vectors.is_empty() || !queries.len().is_multiple_of(self.vectors.length()) {
            bail!(
                "nearest: {} numbers are no queries of {}, or the bank of {} vectors is empty",
                queries.len(),
                self.vectors.length(),
                self.vectors.len()
            );
        }
        Ok(())
    }

    fn check_among(&self, among: &Among, queries: &[f32]) -> Result<()> {
        self.check(queries)?;
        let short = self.narrow.as_ref().map(|narrow| narrow.squares().len());
        if among.squares.len() != self.squares_sought().len() || among.narrow.as_ref().map(Vec::len) != short
        {
            bail!("nearest: some of the vectors of another bank");
        }
        Ok(())
    }

    /// The squares that belong to the products of [`search`](Self::search).
    pub(super) fn squares_sought(&self) -> &[f32] {
        self.rounded
            .as_ref()
            .map_or(&self.squares, |rounded| &rounded.squares)
    }

    /// The nearest of the vectors whose square is finite, by short vectors where there are such and they rule enough out.
    fn sought(&self, queries: &[f32], squares: &[f32], narrow: Option<(&Narrow, &[f32])>) -> Vec<Neighbor> {
        let Some((narrow, short)) = narrow else {
            return self.search(queries, squares);
        };
        let found = narrow.nearest(queries, short);
        let length = self.vectors.length();
        let others = queries.chunks_exact(length).zip(&found);
        let others: Vec<f32> = others
            .filter(|(_, found)| found.is_none())
            .flat_map(|(query, _)| query)
            .copied()
            .collect();
        let mut others = self.search(&others, squares).into_iter();
        found
            .into_iter()
            .filter_map(|found| found.or_else(|| others.next()))
            .collect()
    }

    /// The nearest of the vectors whose square is finite.
    fn search(&self, queries: &[f32], squares: &[f32]) -> Vec<Neighbor> {
        let length = self.vectors.length();
        // Every thread gets work, but a block stays as large as the caches like it where there are enough queries.
        let share = (queries.len() / length).div_ceil(rayon::current_num_threads());
        let block = share.div_ceil(share.div_ceil(BLOCK).max(1)).max(1);
        queries
            .par_chunks(block * length)
            .flat_map_iter(|queries| self.nearest_of_block(queries, squares))
            .collect()
    }

    fn nearest_of_block(&self, queries: &[f32], squares: &[f32]) -> Vec<Neighbor> {
        let (operand, Prepared { tiles, bounds, .. }) = self.prepare(queries);
        let (isa, width) = (operand.isa(), operand.width());
        let span = (PRODUCTS / tiles.padded_rows() / GROUP).max(1) * GROUP.div_ceil(width);
        let span = span.min(operand.panels());
        let mut dots = Scratch::take(tiles.padded_rows() * span * width);
        let mut of_groups = vec![0.0; (span * width).div_ceil(GROUP)];
        // Vectors with a greater value than this cannot be a query's nearest; infinite values never can.
        let mut limits = vec![f32::MAX; bounds.len()];
        let mut found = Vec::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        for first in (0..operand.panels()).step_by(span) {
            let panels = first..(first + span).min(operand.panels());
            let stride = panels.len() * width;
            operand.dots(&tiles, panels, &mut dots);
            let begin = first * width;
            let squares = &squares[begin..begin + stride];
            let queries = limits.iter_mut().zip(&bounds).zip(dots.chunks(stride));
            for (query, ((limit, bound), dots)) in queries.enumerate() {
                let values = Values { isa, dots, squares };
                let least = values.leasts(&mut of_groups);
                if !least.is_finite() {
                    continue;
                }
                *limit = limit.min(least + bound);
                found.clear();
                values.up_to(*limit, &of_groups, &mut found);
                candidates.extend(found.iter().map(|&(place, value)| Candidate {
                    query,
                    index: begin + place,
                    value,
                }));
            }
            if candidates.len() > CANDIDATES * limits.len() {
                candidates.retain(|candidate| candidate.value <= limits[candidate.query]);
            }
        }
        // Those of a query remain in the order of the bank.
        candidates.sort_by_key(|candidate| candidate.query);
        let mut candidates = candidates.as_slice();
        let queries = queries.chunks_exact(self.vectors.length()).zip(limits);
        queries
            .enumerate()
            .map(|(number, (query, limit))| {
                let of_others = candidates.partition_point(|candidate| candidate.query <= number);
                let (its, others) = candidates.split_at(of_others);
                candidates = others;
                self.decide(query, its.iter().filter(|candidate| candidate.value <= limit))
            })
            .collect()
    }

    /// What queries are multiplied by, and the queries.
    pub(super) fn prepare(&self, queries: &[f32]) -> (Operand<'_>, Prepared) {
        if let Some(rounded) = &self.rounded {
            return (rounded.operand(), rounded.prepare(queries));
        }
        let length = self.vectors.length();
        let prepared = Prepared {
            bounds: queries
                .chunks_exact(length)
                .map(|query| self.error_bound(query))
                .collect(),
            sizes: queries.chunks_exact(length).map(size).collect(),
            tiles: Tiles::new(queries, length, self.vectors.isa().into()),
        };
        (self.vectors.operand(), prepared)
    }

    /// How far two computed `|m|² - 2 q·m` may be off together: twice the bound of a sum of `length` products in f32
    /// (each rounds once, relative to the lengths of both vectors), and the roundings of the last steps.
    fn error_bound(&self, query: &[f32]) -> f32 {
        let length = size(query);
        let roundings = (query.len() + 4) as f64 * f64::from(f32::EPSILON);
        let bound = 2.0 * roundings * length * self.longest
            + 2.0 * f64::from(f32::EPSILON) * self.longest * (self.longest + 2.0 * length);
        bound as f32
    }

    /// The nearest of the candidates by direct measurement.
    fn decide<'a>(&self, query: &[f32], candidates: impl Iterator<Item = &'a Candidate>) -> Neighbor {
        let mut best = (f64::INFINITY, 0);
        for candidate in candidates {
            let squared = self.squared_distance(query, candidate.index);
            if squared < best.0 {
                best = (squared, candidate.index);
            }
        }
        Neighbor {
            index: best.1,
            squared: best.0 as f32,
        }
    }

    /// The squared distance between a query and one vector, in f64.
    ///
    /// # Panics
    /// When there is no such vector.
    pub fn squared_distance(&self, query: &[f32], index: usize) -> f64 {
        query
            .iter()
            .zip(self.vectors.vector(index))
            .map(|(&a, b)| (f64::from(a) - f64::from(b)).powi(2))
            .sum()
    }
}

/// The length of a vector.
fn size(vector: &[f32]) -> f64 {
    vector
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// A vector that may be the nearest of a query, and its computed `|m|² - 2 q·m`.
struct Candidate {
    query: usize,
    index: usize,
    value: f32,
}
