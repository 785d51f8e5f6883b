//! One score for an image out of its anomaly map.

/// Side of the averaging window in pixels (DRAEM's evaluation code: 21 on maps of 256 pixels a side, stride 1).
pub const IMAGE_SCORE_WINDOW: usize = 21;

/// The same window on maps of another size: the odd number nearest to `21/256` of the shorter side, so that the score looks at
/// the same part of the image (proposal).
pub fn image_score_window(width: usize, height: usize) -> usize {
    scaled(IMAGE_SCORE_WINDOW, width, height)
}

/// The image score of DRAEM: the largest mean of the map over a window of `window`×`window`, in the unit of the map.
///
/// The map is padded with zeros, and the padding counts in the denominator: with a window of 21 the corner of a map of ones
/// gets 121/441. `scores` is row-major with `width * height` entries. An empty map scores 0, a map that
/// contains a NaN scores NaN.
///
/// # Panics
/// When `scores` does not have `width * height` entries, or the window's side is even.
pub fn image_score(scores: &[f32], width: usize, height: usize, window: usize) -> f32 {
    largest_mean(scores, width, height, window, false)
}

/// Side of the window of [`verdict_score`] on maps of 256 pixels a side (proposal; docs/method.md, section 21).
const VERDICT_WINDOW: usize = 5;

/// The image score that verdicts are made on (proposal): the largest mean of the map over a window of `5/256` of the shorter
/// side, of the pixels inside the image alone, in the unit of the map.
///
/// A flaw of a few pixels fills this window, and one in a corner counts as much as one in the middle; [`image_score`] gives
/// the first 25/441 and the second 121/441 of what the map says. Input as there.
///
/// # Panics
/// When `scores` does not have `width * height` entries.
pub fn verdict_score(scores: &[f32], width: usize, height: usize) -> f32 {
    windowed_score(scores, width, height, verdict_score_window(width, height))
}

/// Side in pixels of the window of [`verdict_score`] on maps of this size, an odd number.
pub fn verdict_score_window(width: usize, height: usize) -> usize {
    scaled(VERDICT_WINDOW, width, height)
}

/// The largest mean of a map over a window of `window`×`window`, of the pixels inside the image alone, in the unit of the map.
/// `scores` is row-major. An empty map scores 0, a map that contains a NaN scores NaN.
///
/// # Panics
/// When `scores` does not have `width * height` entries, or the window's side is even.
pub fn windowed_score(scores: &[f32], width: usize, height: usize, window: usize) -> f32 {
    largest_mean(scores, width, height, window, true)
}

/// The share of a map's pixels that [`high_pixel`] leaves at or above its value: one in a thousand (proposal).
pub const HIGH_PIXELS: f64 = 0.001;

/// The score that one pixel in a thousand of a map reaches, at least one pixel; 0 of an empty map. A threshold of pixels that
/// lies above it calls fewer of them anomalous. NaN where the map contains one.
pub fn high_pixel(scores: &[f32]) -> f32 {
    if scores.iter().any(|score| score.is_nan()) {
        return f32::NAN;
    }
    let count = (scores.len() as f64 * HIGH_PIXELS).ceil() as usize;
    let mut scores = scores.to_vec();
    match count.checked_sub(1) {
        Some(place) => *scores.select_nth_unstable_by(place, |a, b| b.total_cmp(a)).1,
        None => 0.0,
    }
}

/// The odd number nearest to `side/256` of the shorter side.
fn scaled(side: usize, width: usize, height: usize) -> usize {
    let wanted = (side * width.min(height)) as f64 / 256.0;
    2 * ((wanted - 1.0) / 2.0).round().max(0.0) as usize + 1
}

/// The largest mean over a window around each pixel; pixels beyond the border are 0, or are left out of the mean.
fn largest_mean(scores: &[f32], width: usize, height: usize, window: usize, inside_alone: bool) -> f32 {
    assert_eq!(scores.len(), width * height, "a map of {width}x{height}");
    assert_eq!(window % 2, 1, "the window has a middle");
    if scores.iter().any(|score| score.is_nan()) {
        return f32::NAN;
    }
    if scores.is_empty() {
        return 0.0;
    }
    let half = window / 2;
    // How many places of the window around `at` are inside.
    let inside = |at: usize, length: usize| (at + half).min(length - 1) - at.saturating_sub(half) + 1;
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
        let rows = inside(y, height);
        let mut sum: f64 = columns.iter().take(half).sum();
        for x in 0..width {
            if x + half < width {
                sum += columns[x + half];
            }
            if x > half {
                sum -= columns[x - half - 1];
            }
            let pixels = match inside_alone {
                true => rows * inside(x, width),
                false => window * window,
            };
            best = best.max(sum / pixels as f64);
        }
    }
    best as f32
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
        let image_score = |map: &[f32], width, height| image_score(map, width, height, 21);
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
        assert!(near(image_score(&map, 40, 40, 21), 121.0 / 441.0));
    }

    #[test]
    fn odd_cases() {
        assert_eq!(image_score(&[], 0, 0, 21), 0.0);
        assert!(image_score(&[0.1, f32::NAN], 2, 1, 21).is_nan());
        assert!(near(image_score(&[441.0], 1, 1, 21), 1.0));
        assert!(near(image_score(&[-441.0], 1, 1, 21), -1.0));
        assert_eq!(verdict_score(&[], 0, 0), 0.0);
        assert_eq!(verdict_score(&[0.5], 1, 1), 0.5);
    }

    #[test]
    fn one_pixel_in_a_thousand_is_high() {
        let map: Vec<f32> = (0..4500).map(|i| (i * 7 % 4500) as f32).collect();
        assert_eq!(high_pixel(&map), 4495.0);
        assert_eq!((high_pixel(&[0.25]), high_pixel(&[])), (0.25, 0.0));
        assert!(high_pixel(&[f32::NAN, 1.0]).is_nan());
    }

    #[test]
    fn windows_keep_their_share_of_the_image() {
        let sides = [16, 64, 128, 256, 512].map(|side| image_score_window(side, 2 * side));
        assert_eq!(sides, [1, 5, 11, 21, 43]);
    }

    #[test]
    fn a_verdict_sees_a_small_flaw_in_a_corner_as_in_the_middle() {
        let score = |left: usize, top: usize| {
            let mut map = vec![0.0; 256 * 256];
            for y in top..top + 5 {
                map[y * 256 + left..][..5].fill(0.9);
            }
            verdict_score(&map, 256, 256)
        };
        assert!(near(score(0, 0), 0.9) && near(score(120, 90), 0.9));
        // The window of a corner pixel has 9 pixels inside, all of which are marked.
        let mut corner = vec![0.0; 256 * 256];
        for y in 0..3 {
            corner[y * 256..][..3].fill(0.9);
        }
        assert!(near(verdict_score(&corner, 256, 256), 0.9));
    }
}
