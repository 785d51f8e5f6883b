//! The matrix product at the bottom of every convolution: a few rows of accumulators held in registers.
//!
//! `C[row, column] (+)= sum over segments and steps of A[row, step] * B[step, column]`, where a segment is a run of
//! steps (one row of the image, say) after which both operands jump. The columns of B are cut into panels two
//! vectors wide, the last of which may be narrower.
//!
//! Steps and strides count words of the operands, each of which may hold several steps of the sum
//! ([`Lanes::STEPS`]): f32 and bfloat16 operands have the same kernel.

use crate::cpu::lanes::{Kernel, Lanes};

/// What the accumulators hold at first.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    Zero,
    /// The same numbers in every row, read from here (whole vectors).
    Row(*const f32),
    /// What is in C.
    Accumulate,
    /// The same numbers in every row, read from `row`, plus each row's own: those of C's places in `other`.
    RowPlus {
        row: *const f32,
        other: *const f32,
        /// From a row of `other` to the next.
        other_row: usize,
    },
}

/// What becomes of the sums before they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing.
    Keep,
    /// Negative sums become zero: a ReLU.
    Positive,
    /// Negative sums become zero, those above 6 become 6: a ReLU6.
    UpTo6,
}

impl Finish {
    /// A ReLU, or nothing.
    pub(crate) fn positive_if(positive: bool) -> Self {
        if positive { Self::Positive } else { Self::Keep }
    }
}

/// The operands of one product: start addresses and strides, all in words of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) segments: usize,
    pub(crate) steps: usize,
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_step: usize,
    pub(crate) a_segment: usize,
    /// Whole vectors are read from each step.
    pub(crate) b: *const f32,
    pub(crate) b_step: usize,
    pub(crate) b_segment: usize,
    pub(crate) c: *mut f32,
    pub(crate) c_row: usize,
    /// Columns of C that are written: at most two vectors.
    pub(crate) columns: usize,
    pub(crate) start: Start,
    pub(crate) finish: Finish,
}

impl Product {
    /// Computes `rows` rows, in tiles of nearly equal height.
    ///
    /// # Safety
    /// All addresses that the strides reach are valid, and the processor has the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn run<V: Lanes>(self, rows: usize) {
        // SAFETY: the caller's promise.
        unsafe { V::enter(Rows(self, rows)) }
    }
}

/// All rows of a product, entered once: short sums are over before a call for each tile would have paid.
struct Rows(Product, usize);

impl Kernel for Rows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self(product, rows) = self;
        let mut row = 0;
        while row < rows {
            let tiles = (rows - row).div_ceil(V::TILE_ROWS);
            let height = (rows - row).div_ceil(tiles);
            let mut part = product;
            // SAFETY: the caller's promise; `row + height <= rows`.
            unsafe {
                part.a = product.a.add(row * product.a_row);
                part.c = product.c.add(row * product.c_row);
                if let Start::RowPlus { other, other_row, .. } = &mut part.start {
                    *other = other.add(row * *other_row);
                }
                if product.columns > V::LANES {
                    part.run_tile::<V, 2>(height);
                } else {
                    part.run_tile::<V, 1>(height);
                }
            }
            row += height;
        }
    }
}

impl Product {
    #[inline(always)]
    unsafe fn run_tile<V: Lanes, const W: usize>(self, height: usize) {
        macro_rules! by_height {
            ($($rows:literal)*) => {
                match height {
                    // SAFETY: the caller's promise. Taller tiles than the register file holds are never asked for.
                    $($rows if $rows <= V::TILE_ROWS => unsafe { Tile::<$rows, W>(self).run::<V>() },)*
                    _ => unreachable!("tile of {height} rows"),
                }
            };
        }
        by_height!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

/// A whole vector, or its first `count` lanes.
#[inline(always)]
unsafe fn load_last<V: Lanes>(from: *const f32, count: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if count == V::LANES {
            V::load(from)
        } else {
            V::load_first(from, count)
        }
    }
}

/// `R` rows by `W` vectors of accumulators.
struct Tile<const R: usize, const W: usize>(Product);

impl<const R: usize, const W: usize> Kernel for Tile<R, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let p = self.0;
        // SAFETY: the promise of `Product::run`.
        unsafe {
            let mut sums = [[V::zero(); W]; R];
            let last = p.columns - (W - 1) * V::LANES;
            match p.start {
                Start::Zero => {}
                Start::Row(row) => {
                    for j in 0..W {
                        let value = V::load(row.add(j * V::LANES));
                        for sums in &mut sums {
                            sums[j] = value;
                        }
                    }
                }
                Start::Accumulate => {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let c = p.c.add(i * p.c_row);
                        if W == 2 {
                            sums[0] = V::load(c);
                        }
                        let c = c.add((W - 1) * V::LANES);
                        sums[W - 1] = load_last(c, last);
                    }
                }
                Start::RowPlus {
                    row,
                    other,
                    other_row,
                } => {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let other = other.add(i * other_row);
                        if W == 2 {
                            sums[0] = V::load(row).add(V::load(other));
                        }
                        let at = (W - 1) * V::LANES;
                        sums[W - 1] = V::load(row.add(at)).add(load_last(other.add(at), last));
                    }
                }
            }
            let (mut a_start, mut b_start) = (p.a, p.b);
            for _ in 0..p.segments {
                let (mut a, mut b) = (a_start, b_start);
                for _ in 0..p.steps {
                    let mut columns = [V::zero(); W];
                    for (j, column) in columns.iter_mut().enumerate() {
                        *column = V::load(b.add(j * V::LANES));
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let factor = V::splat(*a.add(i * p.a_row));
                        for (sum, column) in sums.iter_mut().zip(columns) {
                            *sum = factor.dot(column, *sum);
                        }
                    }
                    a = a.wrapping_add(p.a_step);
                    b = b.wrapping_add(p.b_step);
                }
                a_start = a_start.wrapping_add(p.a_segment);
                b_start = b_start.wrapping_add(p.b_segment);
            }
            if p.finish != Finish::Keep {
                for sums in &mut sums {
                    for sum in sums {
                        *sum = sum.positive();
                    }
                }
            }
            if p.finish == Finish::UpTo6 {
                let six = V::splat(6.0);
                for sums in &mut sums {
                    for sum in sums {
                        *sum = sum.at_most(six);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                let c = p.c.add(i * p.c_row);
                if W == 2 {
                    sums[0].store(c);
                }
                let c = c.add((W - 1) * V::LANES);
                if last == V::LANES {
                    sums[W - 1].store(c);
                } else {
                    sums[W - 1].store_first(c, last);
                }
            }
        }
    }
}
