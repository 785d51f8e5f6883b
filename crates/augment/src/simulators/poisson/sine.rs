//! Poisson's equation on a rectangle with known values on its border.

use std::f64::consts::PI;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::sine_matrix::{LONGEST, SineMatrix};

/// Solves `u[x-1] + u[x+1] + u[y-1] + u[y+1] - 4 u = f` on `columns` x `rows` unknowns with zeros around them.
///
/// A sine transform along the rows turns the equation into one tridiagonal system per frequency, which is
/// solved down the columns: the solution that a two-dimensional sine transform gives, for half of the work.
/// Short rows are transformed by a product of matrices, long ones by complex FFTs of two rows at once, in scalar
/// arithmetic, so that results do not depend on the processor's vector instructions.
pub(crate) struct Solver {
    matrix: SineMatrix,
    planner: FftPlannerScalar<f32>,
    transform: Option<(usize, Arc<dyn Fft<f32>>)>,
    buffer: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    // Factors of the elimination, one row of frequencies per row of unknowns.
    factors: Vec<f32>,
    diagonal: Vec<f64>,
    reciprocal: Vec<f64>,
}

impl Solver {
    pub(crate) fn new() -> Self {
        Self {
            matrix: SineMatrix::default(),
            planner: FftPlannerScalar::new(),
            transform: None,
            buffer: Vec::new(),
            scratch: Vec::new(),
            factors: Vec::new(),
            diagonal: Vec::new(),
            reciprocal: Vec::new(),
        }
    }

    /// Replaces right-hand sides by solutions: `planes` holds any number of row-major `columns` x `rows` problems.
    pub(crate) fn solve(&mut self, planes: &mut [f32], columns: usize, rows: usize) {
        if columns == 0 || rows == 0 {
            return;
        }
        // The transform is its own inverse but for the factor 2 / (columns + 1).
        self.sine_rows(planes, columns, 1.0);
        self.eliminate(columns, rows);
        for plane in planes.chunks_exact_mut(columns * rows) {
            self.substitute(plane, columns);
        }
        self.sine_rows(planes, columns, 2.0 / (columns + 1) as f32);
    }

    /// The sine transform of every row, `S[k] = scale * sum_j s[j] sin(pi (j + 1) (k + 1) / (columns + 1))`.
    fn sine_rows(&mut self, planes: &mut [f32], columns: usize, scale: f32) {
        if columns <= LONGEST {
            return self.matrix.transform(planes, columns, scale);
        }
        let length = 2 * (columns + 1);
        let fft = match &self.transform {
            Some((held, fft)) if *held == length => fft.clone(),
            _ => {
                let fft = self.planner.plan_fft_forward(length);
                self.transform = Some((length, fft.clone()));
                fft
            }
        };
        let zero = Complex::new(0.0, 0.0);
        self.buffer.resize(length, zero);
        self.scratch.resize(fft.get_inplace_scratch_len(), zero);
        let buffer = &mut self.buffer[..length];
        let half = 0.5 * scale;
        for pair in planes.chunks_mut(2 * columns) {
            let (first, second) = pair.split_at_mut(columns);
            // An odd sequence: its spectrum is -2i times the sine transform.
            buffer[0] = zero;
            buffer[columns + 1] = zero;
            let (front, back) = buffer.split_at_mut(columns + 1);
            for (k, (front, back)) in front[1..].iter_mut().zip(back.iter_mut().rev()).enumerate() {
                let value = Complex::new(first[k], second.get(k).copied().unwrap_or(0.0));
                *front = value;
                *back = -value;
            }
            fft.process_with_scratch(buffer, &mut self.scratch);
            for (value, spectrum) in first.iter_mut().zip(&buffer[1..]) {
                *value = -half * spectrum.im;
            }
            for (value, spectrum) in second.iter_mut().zip(&buffer[1..]) {
                *value = half * spectrum.re;
            }
        }
    }

    /// The reciprocal pivots of `v[y-1] + (2 cos(pi k / (columns + 1)) - 4) v[y] + v[y+1] = g[y]` for every
    /// frequency k. The lowest frequencies are nearly singular, hence the double precision.
    fn eliminate(&mut self, columns: usize, rows: usize) {
        let step = PI / (columns + 1) as f64;
        self.diagonal.clear();
        self.diagonal
            .extend((1..=columns).map(|k| 2.0 * (step * k as f64).cos() - 4.0));
        self.reciprocal.clear();
        self.reciprocal.resize(columns, 0.0);
        self.factors.clear();
        for _ in 0..rows {
            for (above, diagonal) in self.reciprocal.iter_mut().zip(&self.diagonal) {
                *above = 1.0 / (diagonal - *above);
                self.factors.push(*above as f32);
            }
        }
    }

    fn substitute(&self, plane: &mut [f32], columns: usize) {
        let mut above: Option<&mut [f32]> = None;
        for (row, factors) in plane
            .chunks_exact_mut(columns)
            .zip(self.factors.chunks_exact(columns))
        {
            match above {
                None => row.iter_mut().zip(factors).for_each(|(v, &f)| *v *= f),
                Some(above) => {
                    for ((v, &f), &a) in row.iter_mut().zip(factors).zip(above.iter()) {
                        *v = (*v - a) * f;
                    }
                }
            }
            above = Some(row);
        }
        let mut below: Option<&mut [f32]> = None;
        for (row, factors) in plane
            .chunks_exact_mut(columns)
            .zip(self.factors.chunks_exact(columns))
            .rev()
        {
            if let Some(below) = below {
                for ((v, &f), &b) in row.iter_mut().zip(factors).zip(below.iter()) {
                    *v -= f * b;
                }
            }
            below = Some(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laplacian_of_the_solution_is_the_right_hand_side() {
        let mut solver = Solver::new();
        for (columns, rows) in [(1, 1), (1, 7), (6, 1), (16, 11), (61, 40), (22, 97), (300, 40)] {
            let wanted: Vec<f32> = (0..3 * columns * rows)
                .map(|k| ((k * k * 37 + k * 11) % 201) as f32 - 100.0)
                .collect();
            let mut found = vec![0.0; wanted.len()];
            for (u, f) in wanted
                .chunks_exact(columns * rows)
                .zip(found.chunks_exact_mut(columns * rows))
            {
                let at = |x: isize, y: isize| {
                    let inside = (0..columns as isize).contains(&x) && (0..rows as isize).contains(&y);
                    if inside {
                        u[y as usize * columns + x as usize]
                    } else {
                        0.0
                    }
                };
                for y in 0..rows as isize {
                    for x in 0..columns as isize {
                        f[y as usize * columns + x as usize] =
                            at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1) - 4.0 * at(x, y);
                    }
                }
            }
            solver.solve(&mut found, columns, rows);
            let worst = found
                .iter()
                .zip(&wanted)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.01, "{columns}x{rows}: {worst}");
        }
    }
}
