//! One score for an image out of its anomaly map.

/// Side of the averaging window in pixels (DRAEM's evaluation code: 21, stride 1).
pub const IMAGE_SCORE_WINDOW: usize = 21;

/// The image score of DRAEM: the largest mean of the map over a 21×21 window, in the unit of the map.
///
/// The map is padded with zeros, and the padding counts in the denominator: the corner of a map of ones
/// gets 121/441. `scores` is row-major with `width * height` entries. An empty map scores 0, a map that
/// contains a NaN scores NaN.
///
/// # Panics
/// When `scores` does not have `width * height` entries.
pub fn image_score(scores: &[f32], width: usize, height: usize) -> f32 {
    assert_eq!(scores.len(), width * height, "a map of {width}x{height}");
    if scores.iter().any(|score| score.is_nan()) {
        return f32::NAN;
    }
    if scores.is_empty() {
        return 0.0;
    }
    let half = IMAGE_SCORE_WINDOW / 2;
    // Sums over the rows of the window, one for every column, moved down the image a row at a time.
    let mut columns = vec![0f64; width];
    for row in scores.chunks_exact(width).take(half) {
        add(&mut columns, row, 1.0);
    }
    let mut best = f64::NEG_INFINITY;
    for y in 0..height {
        if y + half < height {
            add(&mut columns, &scores[(y + half) * width..][..width], 1.0);
        }
        if y > half {
            add(&mut columns, &scores[(y - half - 1) * width..][..width], -1.0);
        }
        let mut sum: f64 = columns.iter().take(half).sum();
        for x in 0..width {
            if x + half < width {
                sum += columns[x + half];
            }
            if x > half {
                sum -= columns[x - half - 1];
            }
            best = best.max(sum);
        }
    }
    (best / (IMAGE_SCORE_WINDOW * IMAGE_SCORE_WINDOW) as f64) as f32
}

fn add(columns: &mut [f64], row: &[f32], sign: f64) {
    for (column, score) in columns.iter_mut().zip(row) {
        *column += sign * f64::from(*score);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() < 1e-6
    }

    #[test]
    fn padding_counts_in_the_denominator() {
        assert!(near(image_score(&[1.0; 64 * 40], 64, 40), 1.0));
        // An 11×11 map lies wholly inside the window of its centre, and is 121 of its 441 pixels.
        assert!(near(image_score(&[1.0; 121], 11, 11), 121.0 / 441.0));
        // One pixel in the corner is seen by the corner's window.
        let mut corner = vec![0.0; 30 * 30];
        corner[0] = 1.0;
        assert!(near(image_score(&corner, 30, 30), 1.0 / 441.0));
    }

    #[test]
    fn the_corner_of_a_map_of_ones_gets_121_of_441() {
        // Negative everywhere but in one corner quarter, so that the corner's own window wins.
        let mut map = vec![-1000.0; 40 * 40];
        for y in 0..11 {
            for x in 0..11 {
                map[y * 40 + x] = 1.0;
            }
        }
        assert!(near(image_score(&map, 40, 40), 121.0 / 441.0));
    }

    #[test]
    fn odd_cases() {
        assert_eq!(image_score(&[], 0, 0), 0.0);
        assert!(image_score(&[0.1, f32::NAN], 2, 1).is_nan());
        assert!(near(image_score(&[441.0], 1, 1), 1.0));
        assert!(near(image_score(&[-441.0], 1, 1), -1.0));
    }
}
