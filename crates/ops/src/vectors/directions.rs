//! The few directions along which vectors differ most.

use super::panels::Panels;

/// Vectors that tell the directions, evenly spaced among all.
const SAMPLE: usize = 1024;
/// How often the directions are turned towards those of the largest spread.
const TURNS: usize = 4;

/// Directions of length 1, at right angles to each other, one after the other, and the share of the vectors' spread that lies
/// along them.
pub(super) struct Directions {
    pub(super) rows: Vec<f32>,
    pub(super) share: f64,
}

/// The `count` directions of the largest spread of `vectors`, which are relative to their mean, about: by subspace iteration.
/// `None` if there are fewer.
pub(super) fn directions(vectors: &[f32], length: usize, count: usize) -> Option<Directions> {
    let all = vectors.len() / length;
    let step = all.div_ceil(SAMPLE).max(1);
    let sample: Vec<f32> = vectors
        .chunks_exact(length)
        .step_by(step)
        .flatten()
        .copied()
        .collect();
    let some = sample.len() / length;
    if count > length || some < count {
        return None;
    }
    let begin: Vec<f32> = (0..count)
        .flat_map(|row| &sample[row * some / count * length..][..length])
        .copied()
        .collect();
    let mut rows = orthonormal(&begin, length)?;
    // One row for each number of a vector, so that both products are of rows.
    let across = Panels::new(&transposed(&sample, length), some);
    for _ in 0..TURNS {
        let along = Panels::new(&rows, length).product(&sample);
        let turned = across.product(&transposed(&along, count));
        rows = orthonormal(&turned, length)?;
    }
    let along = Panels::new(&rows, length).product(&sample);
    let [seen, whole] =
        [&along, &sample].map(|values| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>());
    let share = seen / whole;
    share.is_finite().then_some(Directions { rows, share })
}

/// Columns as rows.
fn transposed(values: &[f32], length: usize) -> Vec<f32> {
    let rows = values.len() / length;
    let mut turned = Vec::with_capacity(values.len());
    for column in 0..length {
        turned.extend((0..rows).map(|row| values[row * length + column]));
    }
    turned
}

/// Rows of length 1 and at right angles that span the same, by Gram and Schmidt's way, twice for each row; `None` if one depends on
/// those before it.
fn orthonormal(rows: &[f32], length: usize) -> Option<Vec<f32>> {
    let mut done: Vec<Vec<f64>> = Vec::with_capacity(rows.len() / length);
    for row in rows.chunks_exact(length) {
        let mut row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        let before = norm(&row);
        for _ in 0..2 {
            for other in &done {
                let dot: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                for (value, along) in row.iter_mut().zip(other) {
                    *value -= dot * along;
                }
            }
        }
        let left = norm(&row);
        // What f32 cannot tell from nothing.
        if left.is_nan() || left <= 1e-5 * before {
            return None;
        }
        for value in &mut row {
            *value /= left;
        }
        done.push(row);
    }
    Some(done.into_iter().flatten().map(|value| value as f32).collect())
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// How far directions are from being of length 1 and at right angles: no vector's part along them is longer than it is by more than
/// this share.
pub(super) fn skew(rows: &[f32], length: usize) -> f64 {
    let mut most = 0f64;
    for (place, a) in rows.chunks_exact(length).enumerate() {
        let mut sum = 0.0;
        for (other, b) in rows.chunks_exact(length).enumerate() {
            let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            sum += (dot - f64::from(u8::from(place == other))).abs();
        }
        most = most.max(sum);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::tests::numbers;

    #[test]
    fn the_directions_of_the_largest_spread_are_found() {
        let (length, count) = (60, 500);
        let mut vectors = numbers(count * length, 7);
        // The first numbers are ten times as large as the others.
        for vector in vectors.chunks_exact_mut(length) {
            for value in &mut vector[..5] {
                *value *= 10.0;
            }
        }
        let found = directions(&vectors, length, 5).unwrap();
        assert!(skew(&found.rows, length) < 1e-6);
        let expected = 500.0 / 555.0;
        assert!((found.share - expected).abs() < 0.02, "{}", found.share);
        for row in found.rows.chunks_exact(length) {
            let outside: f32 = row[5..].iter().map(|value| value * value).sum();
            assert!(outside < 0.01, "{outside}");
        }
    }

    #[test]
    fn fewer_directions_than_asked_for_are_none() {
        let flat: Vec<f32> = numbers(200, 8)
            .iter()
            .flat_map(|&value| [value, 2.0 * value, 0.0])
            .collect();
        assert!(directions(&flat, 3, 2).is_none());
        assert!(directions(&flat[..3], 3, 2).is_none());
        assert!(directions(&[0.0; 600], 3, 2).is_none());
    }
}
