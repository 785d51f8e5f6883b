//! Anomaly maps at other sizes, as graphs.

use flawforge_onnx::{Element, Graph, Value};

use crate::anomaly_map::taps;
use crate::patchcore::blur_kernel;

/// The two places that each target place lies between, i64, and the share of the second.
struct Taps {
    places: [Value; 2],
    share: Value,
}

/// [`AnomalyMap::resized`](crate::AnomalyMap::resized) as a graph, bit for bit: maps (N, h, w) at a size, (H, W) as i64 without
/// dimensions.
pub(crate) fn resized(graph: &mut Graph, maps: Value, to: (Value, Value)) -> Value {
    let (height, width) = (graph.length(maps, 1), graph.length(maps, 2));
    let rows = computed_taps(graph, height, to.0);
    let columns = computed_taps(graph, width, to.1);
    let lines = rows.places.map(|row| {
        let line = graph.gather(maps, row, 1);
        let ends = columns.places.map(|column| graph.gather(line, column, 2));
        between(graph, ends, columns.share)
    });
    let down = graph.unsqueeze(rows.share, &[1]);
    between(graph, lines, down)
}

fn between(graph: &mut Graph, [a, b]: [Value; 2], share: Value) -> Value {
    let step = graph.sub(b, a);
    let part = graph.mul(step, share);
    graph.add(a, part)
}

/// As [`taps`], of lengths that are computed.
fn computed_taps(graph: &mut Graph, source: Value, target: Value) -> Taps {
    let lengths = [source, target].map(|length| graph.cast(length, Element::F64));
    let scale = graph.div(lengths[0], lengths[1]);
    let (half, zero, step) = (graph.f64(0.5), graph.f64(0.0), graph.i64(1));
    let places = graph.range(target);
    let places = graph.cast(places, Element::F64);
    let centers = graph.add(places, half);
    let position = graph.mul(centers, scale);
    let position = graph.sub(position, half);
    let position = graph.larger(position, zero);
    let last = graph.sub(source, step);
    let first = graph.cast(position, Element::I64);
    let first = graph.smaller(first, last);
    let second = graph.add(first, step);
    let second = graph.smaller(second, last);
    let whole = graph.cast(first, Element::F64);
    let share = graph.sub(position, whole);
    Taps {
        places: [first, second],
        share: graph.cast(share, Element::F32),
    }
}

/// What brings a line of numbers to another, (rows, columns).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// Bilinear between centres, as [`AnomalyMap::resized`](crate::AnomalyMap::resized).
    pub(crate) fn interpolation(source: usize, target: usize) -> Self {
        let mut matrix = Self::zeros(target, source);
        for (row, (first, second, share)) in taps(source, target).into_iter().enumerate() {
            matrix.values[row * source + first] += f64::from(1.0 - share);
            matrix.values[row * source + second] += f64::from(share);
        }
        matrix
    }

    /// Smoothing, as [`gaussian_blur`](crate::patchcore::gaussian_blur).
    pub(crate) fn blur(length: usize, sigma: f64) -> Self {
        let mut matrix = Self::zeros(length, length);
        let kernel = blur_kernel(sigma);
        let radius = kernel.len() as i64 - 1;
        for row in 0..length {
            for offset in -radius..=radius {
                let folded = (row as i64 + offset).rem_euclid(2 * length as i64);
                let place = folded.min(2 * length as i64 - 1 - folded) as usize;
                matrix.values[row * length + place] += f64::from(kernel[offset.unsigned_abs() as usize]);
            }
        }
        matrix
    }

    /// First `other`, then this.
    pub(crate) fn after(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.rows, other.columns);
        for row in 0..self.rows {
            for (middle, &factor) in self.values[row * self.columns..][..self.columns]
                .iter()
                .enumerate()
                .filter(|(_, factor)| **factor != 0.0)
            {
                let from = &other.values[middle * other.columns..][..other.columns];
                let to = &mut product.values[row * other.columns..][..other.columns];
                to.iter_mut()
                    .zip(from)
                    .for_each(|(to, from)| *to += factor * from);
            }
        }
        product
    }

    fn zeros(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            values: vec![0.0; rows * columns],
        }
    }

    fn constant(&self, graph: &mut Graph, transposed: bool) -> Value {
        let (rows, columns) = (self.rows, self.columns);
        match transposed {
            false => {
                let values: Vec<f32> = self.values.iter().map(|&value| value as f32).collect();
                graph.f32s(&[rows, columns], &values)
            }
            true => {
                let mut values = Vec::with_capacity(rows * columns);
                for column in 0..columns {
                    values.extend((0..rows).map(|row| self.values[row * columns + column] as f32));
                }
                graph.f32s(&[columns, rows], &values)
            }
        }
    }
}

/// Maps (N, h, w), or (N, channels, h, w), each of whose columns is brought to another by the one matrix, each of whose rows by the other.
pub(crate) fn sandwiched(graph: &mut Graph, maps: Value, down: &Matrix, across: &Matrix) -> Value {
    let across = across.constant(graph, true);
    let wide = graph.matmul(maps, across);
    let down = down.constant(graph, false);
    graph.matmul(down, wide)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnomalyMap;
    use crate::patchcore::gaussian_blur;

    /// What the matrices say, computed here.
    fn applied(map: &AnomalyMap, down: &Matrix, across: &Matrix) -> Vec<f32> {
        let width = map.width as usize;
        let mut values = Vec::new();
        for row in 0..down.rows {
            for column in 0..across.rows {
                let mut sum = 0.0;
                for (place, &score) in map.scores.iter().enumerate() {
                    sum += down.values[row * down.columns + place / width]
                        * across.values[column * across.columns + place % width]
                        * f64::from(score);
                }
                values.push(sum as f32);
            }
        }
        values
    }

    #[test]
    fn matrices_resize_and_smooth_as_maps_are() {
        let map = AnomalyMap {
            width: 5,
            height: 4,
            scores: (0..20).map(|place| ((place * 7) % 11) as f32).collect(),
        };
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let (down, across) = (Matrix::interpolation(4, 9), Matrix::interpolation(5, 3));
        let resized = map.resized(3, 9);
        assert!(near(&applied(&map, &down, &across), &resized.scores));
        // A radius of ten on nine rows and three columns: mirrored more than once.
        let smooth = gaussian_blur(&resized, 2.5);
        let (down, across) = (
            Matrix::blur(9, 2.5).after(&down),
            Matrix::blur(3, 2.5).after(&across),
        );
        assert!(near(&applied(&map, &down, &across), &smooth.scores));
        assert_eq!(Matrix::blur(4, 0.0), Matrix::interpolation(4, 4));
    }
}
