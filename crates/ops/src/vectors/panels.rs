//! Vectors laid out for matrix products, and the products.

use std::ops::Range;

use rayon::prelude::*;

use crate::cpu::lanes::{Lanes, to_words, with_arithmetic};
use crate::cpu::product::{Finish, Product, Start};
use crate::cpu::{Arithmetic, Isa};

/// Steps of one pass over both operands: a panel's share of them, and a tile's, stay in the first-level cache.
const STEPS: usize = 256;
/// Rows of the other operand that are multiplied at once: their share of a pass stays in the second-level cache.
pub(super) const BLOCK: usize = 144;
/// Vectors that [`Panels::product`] multiplies by between two visits of the same rows.
const COLUMNS: usize = 128;

/// Vectors of one length, laid out in panels two registers wide: `panel[step][column]`, so that one step of a product
/// reads two registers that lie side by side. The last panel is filled up with zeros.
#[derive(Debug, Clone)]
pub struct Panels {
    isa: Isa,
    length: usize,
    count: usize,
    /// Vectors in a panel.
    width: usize,
    data: Vec<f32>,
}

impl Panels {
    /// Lays out `vectors`, one after the other, each of `length` numbers, for the present processor.
    ///
    /// # Panics
    /// When `length` is zero or does not divide the number of values.
    pub fn new(vectors: &[f32], length: usize) -> Self {
        Self::with_isa(vectors, length, Isa::detect())
    }

    /// As [`Self::new`], for a given instruction set.
    ///
    /// # Panics
    /// As [`Self::new`], and when the processor lacks `isa`.
    pub fn with_isa(vectors: &[f32], length: usize, isa: Isa) -> Self {
        assert!(
            length > 0 && vectors.len().is_multiple_of(length),
            "vectors of {length} numbers"
        );
        let (width, data) = laid_out(vectors, length, isa.into());
        Self {
            isa,
            length,
            count: vectors.len() / length,
            width,
            data,
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Numbers in each vector.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Vectors in a panel.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.count.div_ceil(self.width)
    }

    /// The instruction set that the layout is for.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// The numbers of one vector.
    ///
    /// # Panics
    /// When `index` is not below [`Self::len`].
    pub fn vector(&self, index: usize) -> impl Iterator<Item = f32> + '_ {
        assert!(index < self.count, "vector {index} of {}", self.count);
        let panel = &self.data[index / self.width * self.width * self.length..];
        let column = index % self.width;
        panel
            .iter()
            .skip(column)
            .step_by(self.width)
            .take(self.length)
            .copied()
    }

    /// All vectors, one after the other.
    pub fn to_vec(&self) -> Vec<f32> {
        (0..self.count).flat_map(|index| self.vector(index)).collect()
    }

    /// The product of every row of `rows` with every vector, `[row][vector]`, in parallel.
    ///
    /// # Panics
    /// When the rows have another length than the vectors.
    pub fn product(&self, rows: &[f32]) -> Vec<f32> {
        assert!(
            rows.len().is_multiple_of(self.length),
            "rows of {} numbers",
            self.length
        );
        let mut products = vec![0.0; rows.len() / self.length * self.count];
        if products.is_empty() {
            return products;
        }
        let group = (COLUMNS / self.width).max(1);
        products
            .par_chunks_mut(BLOCK * self.count)
            .zip(rows.par_chunks(BLOCK * self.length))
            .for_each(|(products, rows)| {
                let tiles = Tiles::new(rows, self.length, self.isa.into());
                let operand = self.operand();
                let mut dots = vec![0.0; tiles.padded_rows() * group * self.width];
                for first in (0..self.panels()).step_by(group) {
                    let panels = first..(first + group).min(self.panels());
                    let stride = panels.len() * self.width;
                    operand.dots(&tiles, panels, &mut dots);
                    let begin = first * self.width;
                    let columns = stride.min(self.count - begin);
                    for (products, dots) in products.chunks_exact_mut(self.count).zip(dots.chunks(stride)) {
                        products[begin..begin + columns].copy_from_slice(&dots[..columns]);
                    }
                }
            });
        products
    }

    /// What rows are multiplied by.
    pub(super) fn operand(&self) -> Operand<'_> {
        Operand::new(&self.data, self.length, self.width, self.isa.into())
    }
}

/// Vectors of `length` numbers in panels of words ([`Lanes::STEPS`]), `[panel][word][column]`, the last filled up with zeros;
/// and the columns of a panel.
pub(super) fn laid_out(vectors: &[f32], length: usize, arithmetic: Arithmetic) -> (usize, Vec<f32>) {
    with_arithmetic!(arithmetic, V => {
        let (words, width) = (length.div_ceil(V::STEPS), 2 * V::LANES);
        let mut data = vec![0.0; (vectors.len() / length).div_ceil(width) * width * words];
        data.par_chunks_mut(width * words)
            .zip(vectors.par_chunks(width * length))
            .for_each(|(panel, vectors)| {
                let mut row = vec![0.0; words];
                for (column, vector) in vectors.chunks_exact(length).enumerate() {
                    to_words::<V>(vector, &mut row);
                    for (word, &value) in row.iter().enumerate() {
                        panel[word * width + column] = value;
                    }
                }
            });
        (width, data)
    })
}

/// Vectors in panels of words, as the right side of products.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    data: &'a [f32],
    /// Words of a vector.
    words: usize,
    /// Vectors in a panel.
    width: usize,
    arithmetic: Arithmetic,
}

impl<'a> Operand<'a> {
    /// Vectors of `length` numbers that [`laid_out`] laid out.
    pub(super) fn new(data: &'a [f32], length: usize, width: usize, arithmetic: Arithmetic) -> Self {
        Self {
            data,
            words: with_arithmetic!(arithmetic, V => length.div_ceil(V::STEPS)),
            width,
            arithmetic,
        }
    }

    /// Vectors in a panel.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The instruction set that the products are computed with.
    pub(super) fn isa(&self) -> Isa {
        self.arithmetic.isa()
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.data.len() / (self.words * self.width)
    }

    /// `dots[row][column]` for the rows of `tiles` and the vectors of some panels: `panels.len() * width` columns.
    ///
    /// Each sum runs over the steps in order, whatever the other rows and columns are.
    pub(super) fn dots(&self, tiles: &Tiles, panels: Range<usize>, dots: &mut [f32]) {
        // Checked once: short sums are over before a check for each would have paid.
        with_arithmetic!(self.arithmetic, V => self.dots_in::<V>(tiles, panels, dots));
    }

    /// As [`dots`](Self::dots), on a processor that has `V`.
    fn dots_in<V: Lanes>(&self, tiles: &Tiles, panels: Range<usize>, dots: &mut [f32]) {
        let stride = panels.len() * self.width;
        assert!(tiles.words == self.words && panels.end <= self.panels());
        assert!(dots.len() >= tiles.padded_rows() * stride);
        for from in (0..self.words).step_by(STEPS) {
            let steps = STEPS.min(self.words - from);
            for (place, panel) in panels.clone().enumerate() {
                let b = &self.data[(panel * self.words + from) * self.width..][..steps * self.width];
                for tile in 0..tiles.count() {
                    let a = &tiles.data[(tile * self.words + from) * tiles.height..][..steps * tiles.height];
                    let c = &mut dots[tile * tiles.height * stride + place * self.width..];
                    let product = Product {
                        segments: 1,
                        steps,
                        a: a.as_ptr(),
                        a_row: 1,
                        a_step: tiles.height,
                        a_segment: 0,
                        b: b.as_ptr(),
                        b_step: self.width,
                        b_segment: 0,
                        c: c.as_mut_ptr(),
                        c_row: stride,
                        columns: self.width,
                        start: if from == 0 { Start::Zero } else { Start::Accumulate },
                        finish: Finish::Keep,
                    };
                    // SAFETY: a and b are whole passes of a tile and a panel, as sliced above; the assertions say that c
                    // has `height` rows of `stride` numbers from its tile on. The processor was checked by whoever chose `V`.
                    unsafe { product.run::<V>(tiles.height) };
                }
            }
        }
    }
}

/// Rows laid out in tiles as high as the register file allows: `tile[word][row]`, filled up with zeros.
pub(super) struct Tiles {
    words: usize,
    height: usize,
    data: Vec<f32>,
}

impl Tiles {
    pub(super) fn new(rows: &[f32], length: usize, arithmetic: Arithmetic) -> Self {
        with_arithmetic!(arithmetic, V => {
            let (words, height) = (length.div_ceil(V::STEPS), V::TILE_ROWS);
            let mut data = vec![0.0; (rows.len() / length).div_ceil(height) * height * words];
            let mut row_words = vec![0.0; words];
            for (tile, rows) in data
                .chunks_exact_mut(height * words)
                .zip(rows.chunks(height * length))
            {
                for (row, values) in rows.chunks_exact(length).enumerate() {
                    to_words::<V>(values, &mut row_words);
                    for (word, &value) in row_words.iter().enumerate() {
                        tile[word * height + row] = value;
                    }
                }
            }
            Self { words, height, data }
        })
    }

    fn count(&self) -> usize {
        self.data.len() / (self.height * self.words)
    }

    /// Rows, those that fill up the last tile included.
    pub(super) fn padded_rows(&self) -> usize {
        self.count() * self.height
    }
}
