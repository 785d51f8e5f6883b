//! The sine transform of short rows, as a product of matrices.

use std::f64::consts::PI;

use flawforge_resample::multiversioned;

/// Longest rows transformed this way. The work grows with the square of the length, but a product of matrices keeps
/// the processor's vector units busy, which fast transforms of such odd lengths do not.
pub(super) const LONGEST: usize = 256;

/// Rows transformed together, and columns of a matrix that one step of the product covers.
const ROWS: usize = 4;
const COLUMNS: usize = 16;

/// `S[k] = scale * sum_j s[j] sin(pi (j + 1) (k + 1) / (length + 1))`.
///
/// A row of the sine matrix is symmetric about its middle for even k and antisymmetric for odd k. Sums and
/// differences of mirrored values, each times a matrix of half the size, give the even and the odd outputs for half
/// of the work.
#[derive(Default)]
pub(super) struct SineMatrix {
    length: usize,
    sines: Vec<f32>,
    even: Vec<f32>,
    odd: Vec<f32>,
    sums: Vec<f32>,
    differences: Vec<f32>,
    products: Vec<f32>,
}

impl SineMatrix {
    /// Transforms every row of `length` values.
    pub(super) fn transform(&mut self, rows: &mut [f32], length: usize, scale: f32) {
        self.prepare(length);
        // The middle of an odd length belongs to the sums.
        let (half, low) = (length.div_ceil(2), length / 2);
        let pitch = half.next_multiple_of(COLUMNS);
        self.sums.resize(ROWS * half, 0.0);
        self.differences.resize(ROWS * half, 0.0);
        self.products.resize(2 * ROWS * pitch, 0.0);
        for block in rows.chunks_mut(ROWS * length) {
            for (r, row) in block.chunks_exact(length).enumerate() {
                let sums = &mut self.sums[r * half..][..half];
                let differences = &mut self.differences[r * half..][..half];
                for (k, (&a, &b)) in row.iter().zip(row.iter().rev()).take(low).enumerate() {
                    sums[k] = scale * (a + b);
                    differences[k] = scale * (a - b);
                }
                if half > low {
                    sums[low] = scale * row[low];
                    differences[low] = 0.0;
                }
            }
            let (even, odd) = self.products.split_at_mut(ROWS * pitch);
            multiply(even, &self.sums, &self.even, half, pitch);
            multiply(odd, &self.differences, &self.odd, half, pitch);
            for (r, row) in block.chunks_exact_mut(length).enumerate() {
                let (even, odd) = (&even[r * pitch..], &odd[r * pitch..]);
                for ((pair, &a), &b) in row.chunks_mut(2).zip(even).zip(odd) {
                    pair[0] = a;
                    if let Some(second) = pair.get_mut(1) {
                        *second = b;
                    }
                }
            }
        }
    }

    /// Fills the matrices, padded with zeros to whole steps of the product.
    fn prepare(&mut self, length: usize) {
        if self.length == length {
            return;
        }
        self.length = length;
        let turn = length + 1;
        self.sines.clear();
        self.sines.extend((0..2 * turn).map(|t| {
            // Each half period mirrors the other, exactly.
            let sine = (PI * (t % turn) as f64 / turn as f64).sin() as f32;
            if t < turn { sine } else { -sine }
        }));
        let half = length.div_ceil(2);
        let pitch = half.next_multiple_of(COLUMNS);
        for (matrix, first, count) in [(&mut self.even, 1, half), (&mut self.odd, 2, length / 2)] {
            matrix.clear();
            matrix.resize(half * pitch, 0.0);
            for (j, row) in matrix.chunks_exact_mut(pitch).enumerate() {
                let step = 2 * (j + 1);
                let mut place = first * (j + 1) % (2 * turn);
                for value in &mut row[..count] {
                    *value = self.sines[place];
                    place += step;
                    if place >= 2 * turn {
                        place -= 2 * turn;
                    }
                }
            }
        }
    }
}

multiversioned! {
    /// `out = input * matrix` for `ROWS` rows of `depth` values and a matrix of `depth` x `pitch`. Sums run in the
    /// order of the depth.
    fn multiply(out: &mut [f32], input: &[f32], matrix: &[f32], depth: usize, pitch: usize) {
        for first in (0..pitch).step_by(COLUMNS) {
            let mut sums = [[0.0_f32; COLUMNS]; ROWS];
            for (j, row) in matrix.chunks_exact(pitch).take(depth).enumerate() {
                let Some(factors) = row[first..].first_chunk::<COLUMNS>() else { break };
                for r in 0..ROWS {
                    let value = input[r * depth + j];
                    for c in 0..COLUMNS {
                        sums[r][c] += value * factors[c];
                    }
                }
            }
            for r in 0..ROWS {
                out[r * pitch + first..][..COLUMNS].copy_from_slice(&sums[r]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_definition() {
        let mut matrix = SineMatrix::default();
        for length in [1, 2, 3, 16, 31, 58, 33, 256] {
            let rows = 6;
            let values: Vec<f32> = (0..rows * length)
                .map(|k| ((k * k * 7 + k) % 41) as f32 - 20.0)
                .collect();
            let mut found = values.clone();
            matrix.transform(&mut found, length, 0.5);
            for (row, found) in values.chunks(length).zip(found.chunks(length)) {
                for (k, &found) in found.iter().enumerate() {
                    let angle = |j: usize| PI * ((j + 1) * (k + 1)) as f64 / (length + 1) as f64;
                    let sum: f64 = (row.iter().enumerate())
                        .map(|(j, &v)| f64::from(v) * angle(j).sin())
                        .sum();
                    let error = (f64::from(found) - 0.5 * sum).abs();
                    assert!(error < 1e-4 * length as f64, "{length}: {error}");
                }
            }
        }
    }
}
