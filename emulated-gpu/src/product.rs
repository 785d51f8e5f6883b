//! Products of matrices by columns, written plainly: what cuBLAS is asked for.

use crate::memory::Memory;
use crate::numbers::{Kind, read, write};

/// A factor: its address, whether it is transposed, the distance of its columns and of the matrices of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    pub(crate) address: u64,
    pub(crate) transposed: bool,
    pub(crate) column: usize,
    pub(crate) matrix: usize,
}

/// `alpha A B`, of (m, k) and (k, n).
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) size: [usize; 3],
    pub(crate) batch: usize,
    pub(crate) alpha: f32,
    pub(crate) a: Factor,
    pub(crate) b: Factor,
    pub(crate) c: Factor,
    pub(crate) kind: Kind,
}

impl Product {
    pub(crate) fn run(&self, memory: &Memory) -> Result<(), String> {
        let [m, n, k] = self.size;
        for number in 0..self.batch {
            let matrix = |factor: Factor, rows: usize, columns: usize| {
                let (rows, columns) = if factor.transposed {
                    (columns, rows)
                } else {
                    (rows, columns)
                };
                let size = match self.kind {
                    Kind::F32 => 4,
                    Kind::Bf16 => 2,
                };
                let address = factor.address + (number * factor.matrix * size) as u64;
                let count = (columns.max(1) - 1) * factor.column + rows;
                (address, count)
            };
            let values = |factor, rows, columns| {
                let (address, count) = matrix(factor, rows, columns);
                read(memory, address, count, self.kind)
            };
            let (a, b) = (values(self.a, m, k)?, values(self.b, k, n)?);
            let at = |factor: Factor, row: usize, column: usize| match factor.transposed {
                true => row * factor.column + column,
                false => column * factor.column + row,
            };
            let (to, count) = matrix(self.c, m, n);
            let mut c = if self.c.column == m {
                vec![0f32; count]
            } else {
                read(memory, to, count, self.kind)?
            };
            for column in 0..n {
                for row in 0..m {
                    let sum: f64 = (0..k)
                        .map(|i| f64::from(a[at(self.a, row, i)]) * f64::from(b[at(self.b, i, column)]))
                        .sum();
                    c[column * self.c.column + row] = self.alpha * sum as f32;
                }
            }
            write(memory, to, &c, self.kind)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_go_by_columns_and_batches() {
        let mut memory = Memory::default();
        // Two matrices (2, 3) by columns, and two (3, 2) that are given as their transposes.
        let a: Vec<f32> = (1..=12).map(|i| i as f32).collect();
        let b: Vec<f32> = (1..=12).map(|i| (i * i % 7) as f32).collect();
        let [at_a, at_b, at_c] = [12, 12, 8].map(|count| memory.take(4 * count).expect("room"));
        write(&memory, at_a, &a, Kind::F32).unwrap();
        write(&memory, at_b, &b, Kind::F32).unwrap();
        let factor = |address, transposed, matrix| Factor {
            address,
            transposed,
            column: 2,
            matrix,
        };
        let product = Product {
            size: [2, 2, 3],
            batch: 2,
            alpha: 2.0,
            a: factor(at_a, false, 6),
            b: factor(at_b, true, 6),
            c: factor(at_c, false, 4),
            kind: Kind::F32,
        };
        product.run(&memory).unwrap();
        let found = read(&memory, at_c, 8, Kind::F32).unwrap();
        for batch in 0..2 {
            for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let sum: f32 = (0..3)
                    .map(|i| a[batch * 6 + i * 2 + row] * b[batch * 6 + i * 2 + column])
                    .sum();
                assert_eq!(
                    found[batch * 4 + column * 2 + row],
                    2.0 * sum,
                    "{batch}: {row}, {column}"
                );
            }
        }
    }
}
