//! Lower bounds of distances along few directions, which leave few vectors to be measured.

use rayon::prelude::*;

use super::bank::{Bank, Neighbor};
use super::directions::{directions, skew};
use super::least::{GROUP, Values};
use super::panels::Panels;
use super::rounded::{Prepared, moved};
use crate::cpu::Isa;
use crate::cpu::multiversion::multiversioned;
use crate::cpu::scratch::Scratch;

/// Directions that are looked along; with the length of what they do not see, whole registers.
const DIRECTIONS: usize = 47;
/// Fewer vectors, or shorter ones, are as quickly compared as they are.
const FEWEST: usize = 512;
const SHORTEST: usize = 3 * DIRECTIONS;
/// The least share of the vectors' spread that directions must hold to be of use.
const SHARE: f64 = 0.75;
/// Vectors that a query may leave to be measured; beyond, all products cost less.
const MANY: usize = 384;
/// Numbers of a block of queries' products, which stay in the second-level cache.
const PRODUCTS: usize = 1 << 17;

/// A bank's vectors as few directions show them, and the length of the rest.
///
/// For `q` and `m` with parts `p` along the directions and rests of length `r`, `|q - m|² ≥ |p - p'|² + (r - r')²`: the distance of
/// two short vectors, `p` and `r` behind it, bounds that of the long ones from below. Where the vectors differ mostly along few
/// directions, nearly all of a bank is farther than one that was measured, and only the rest has to be.
#[derive(Debug, Clone)]
pub(super) struct Narrow {
    isa: Isa,
    /// The mean of the vectors.
    center: Vec<f32>,
    directions: Panels,
    /// How far the directions are from being at right angles and of length 1.
    skew: f64,
    /// The short vectors.
    short: Bank,
    /// How far rounding moved one of them, at most.
    displaced: f64,
    /// The vectors, one after the other.
    rows: Vec<f32>,
}

/// Short vectors, one after the other, and how far rounding moved each at most.
struct Short {
    numbers: Vec<f32>,
    displaced: Vec<f64>,
}

impl Narrow {
    /// Of `vectors`, where that is of use; `seek` makes a bank of the short ones.
    pub(super) fn new(
        rows: Vec<f32>,
        length: usize,
        isa: Isa,
        seek: impl Fn(Panels) -> Bank,
    ) -> Option<Self> {
        let count = rows.len() / length;
        if count < FEWEST || length < SHORTEST {
            return None;
        }
        let mut sums = vec![0f64; length];
        for vector in rows.chunks_exact(length) {
            for (sum, &value) in sums.iter_mut().zip(vector) {
                *sum += f64::from(value);
            }
        }
        let center: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        let found = directions(&moved(&rows, &center), length, DIRECTIONS)?;
        if found.share < SHARE {
            return None;
        }
        let mut narrow = Self {
            isa,
            center,
            skew: skew(&found.rows, length),
            directions: Panels::with_isa(&found.rows, length, isa),
            short: seek(Panels::with_isa(&[], DIRECTIONS + 1, isa)),
            displaced: 0.0,
            rows: Vec::new(),
        };
        let short = narrow.shortened(&rows);
        narrow.displaced = short.displaced.iter().copied().fold(0.0, f64::max);
        narrow.short = seek(Panels::with_isa(&short.numbers, DIRECTIONS + 1, isa));
        narrow.rows = rows;
        narrow.displaced.is_finite().then_some(narrow)
    }

    /// The squares that belong to the products of the short vectors.
    pub(super) fn squares(&self) -> &[f32] {
        self.short.squares_sought()
    }

    /// The short vectors of vectors, and how far they may be from those that exact arithmetic would give: the rounding of the
    /// moves to the mean and of the products, and that of the rests, which are differences of squares.
    fn shortened(&self, vectors: &[f32]) -> Short {
        let length = self.center.len();
        let epsilon = f64::from(f32::EPSILON);
        let moved = moved(vectors, &self.center);
        let along = self.directions.product(&moved);
        let mut numbers = vec![0.0; along.len() / DIRECTIONS * (DIRECTIONS + 1)];
        let displaced = numbers
            .par_chunks_exact_mut(DIRECTIONS + 1)
            .zip(along.par_chunks_exact(DIRECTIONS))
            .zip(moved.par_chunks_exact(length))
            .map(|((short, along), whole)| {
                let [whole, seen] = [whole, along].map(|values| square(self.isa, values));
                let size = whole.sqrt();
                let products = (DIRECTIONS as f64).sqrt() * (length + 2) as f64 * epsilon;
                let along_off = (products + self.skew) * size;
                let rest = (whole - seen).max(0.0).sqrt();
                let squares_off = (2.0 * size + along_off) * along_off;
                // |a - b| is at most √|a² - b²|, and |a² - b²| / a.
                let rest_off = (squares_off / rest).min(squares_off.sqrt());
                short[..DIRECTIONS].copy_from_slice(along);
                short[DIRECTIONS] = rest as f32;
                along_off + rest_off + 2.0 * epsilon * size
            })
            .collect();
        Short { numbers, displaced }
    }

    /// The nearest vector of each query, of those whose square is finite; `None` for queries that leave too many to be measured.
    pub(super) fn nearest(&self, queries: &[f32], squares: &[f32]) -> Vec<Option<Neighbor>> {
        let length = self.center.len();
        let short = self.shortened(queries);
        let share = (queries.len() / length).div_ceil(rayon::current_num_threads());
        let block = (PRODUCTS / squares.len().max(1)).clamp(12, 144).min(share.max(1));
        queries
            .par_chunks(block * length)
            .zip(short.numbers.par_chunks(block * (DIRECTIONS + 1)))
            .zip(short.displaced.par_chunks(block))
            .flat_map_iter(|((queries, short), displaced)| {
                self.nearest_of_block(queries, short, displaced, squares)
            })
            .collect()
    }

    fn nearest_of_block(
        &self,
        queries: &[f32],
        short: &[f32],
        displaced: &[f64],
        squares: &[f32],
    ) -> Vec<Option<Neighbor>> {
        let (operand, Prepared { tiles, bounds, sizes }) = self.short.prepare(short);
        let columns = operand.panels() * operand.width();
        let mut dots = Scratch::take(tiles.padded_rows() * columns);
        let mut of_groups = vec![0.0; columns.div_ceil(GROUP)];
        operand.dots(&tiles, 0..operand.panels(), &mut dots);
        let mut left = Vec::new();
        let queries = queries.chunks_exact(self.center.len()).zip(dots.chunks(columns));
        queries
            .zip(displaced)
            .zip(bounds.iter().zip(&sizes))
            .map(|(((query, dots), displaced), (&bound, size))| {
                let values = Values {
                    isa: operand.isa(),
                    dots,
                    squares,
                };
                let least = values.leasts(&mut of_groups);
                if !least.is_finite() {
                    return None;
                }
                let first = place_of(least, &of_groups, values)?;
                // No vector farther than this one can be the nearest.
                let near = f64::from(self.measured(query, first)) * self.measuring();
                let reach = near.sqrt() + displaced + self.displaced;
                let slack = 2.0 * f64::from(f32::EPSILON) * (reach * reach + size * size);
                // Infinite values are those of vectors that do not count.
                let limit = ((reach * reach - size * size + slack) as f32 + bound).min(f32::MAX);
                left.clear();
                values.up_to(limit, &of_groups, &mut left);
                (left.len() <= MANY).then(|| self.decide(query, &left)).flatten()
            })
            .collect()
    }

    fn row(&self, index: usize) -> &[f32] {
        let length = self.center.len();
        &self.rows[index * length..][..length]
    }

    fn measured(&self, query: &[f32], index: usize) -> f32 {
        squared_distance(self.isa, query, self.row(index))
    }

    /// How much larger a squared distance may be than it was measured in f32: no term of the sum is negative.
    fn measuring(&self) -> f64 {
        1.0 + (self.center.len() + 8) as f64 * f64::from(f32::EPSILON)
    }

    /// The nearest of these by direct measurement, the first of several that are equally near.
    fn decide(&self, query: &[f32], left: &[(usize, f32)]) -> Option<Neighbor> {
        let measured: Vec<f32> = left
            .iter()
            .map(|&(index, _)| self.measured(query, index))
            .collect();
        let least = measured.iter().copied().fold(f32::INFINITY, f32::min);
        let limit = f64::from(least) * self.measuring().powi(2);
        let mut best: Option<(f64, usize)> = None;
        for (&(index, _), &near) in left.iter().zip(&measured) {
            if f64::from(near) <= limit {
                let differences = query.iter().zip(self.row(index));
                let squared: f64 = differences
                    .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
                    .sum();
                if best.is_none_or(|(least, _)| squared < least) {
                    best = Some((squared, index));
                }
            }
        }
        best.map(|(squared, index)| Neighbor {
            index,
            squared: squared as f32,
        })
    }
}

/// The first place of that value.
fn place_of(value: f32, leasts: &[f32], values: Values<'_>) -> Option<usize> {
    let begin = leasts.iter().position(|&least| least == value)? * GROUP;
    let group = begin..values.dots.len().min(begin + GROUP);
    group.into_iter().find(|&place| values.value(place) == value)
}

multiversioned! {
    /// The squared length of a vector.
    fn square(vector: &[f32]) -> f64 {
        let mut sums = [0f64; 16];
        for part in vector.chunks(16) {
            for (sum, &value) in sums.iter_mut().zip(part) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        sums.iter().sum()
    }

    fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0f32; 32];
        let (firsts, a) = a.as_chunks::<32>();
        let (seconds, b) = b.as_chunks::<32>();
        for (a, b) in firsts.iter().zip(seconds) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += (a - b) * (a - b);
            }
        }
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
        sums.iter().sum()
    }
}
