//! From scores of patches to an anomaly map.

use crate::AnomalyMap;

/// Standard deviations after which a Gaussian is cut off (scipy's default).
const TRUNCATE: f64 = 4.0;

/// Gaussian smoothing with standard deviation `sigma` in pixels, as scipy's `gaussian_filter` does it: cut off after four
/// of them (radius 16 for the official 4), the image mirrored at its border. Zero changes nothing.
pub fn gaussian_blur(map: &AnomalyMap, sigma: f64) -> AnomalyMap {
    if sigma <= 0.0 || map.scores.is_empty() {
        return map.clone();
    }
    let kernel = blur_kernel(sigma);
    blur_rows(&blur_columns(map, &kernel), &kernel)
}

/// The weights of that smoothing from the middle on; of zero or less, the middle alone.
pub(crate) fn blur_kernel(sigma: f64) -> Vec<f32> {
    if sigma <= 0.0 {
        return vec![1.0];
    }
    let radius = (TRUNCATE * sigma + 0.5) as usize;
    let bell: Vec<f64> = (0..=radius)
        .map(|distance| (-0.5 * (distance as f64 / sigma).powi(2)).exp())
        .collect();
    let sum = bell[0] + 2.0 * bell[1..].iter().sum::<f64>();
    bell.iter().map(|value| (value / sum) as f32).collect()
}

/// Every column convolved with a symmetric kernel, given from its middle on.
fn blur_columns(map: &AnomalyMap, kernel: &[f32]) -> AnomalyMap {
    let (width, height) = (map.width as usize, i64::from(map.height));
    let row = |place: i64| &map.scores[mirrored(place, height) * width..][..width];
    let mut scores = vec![0.0; map.scores.len()];
    for (y, sums) in (0..).zip(scores.chunks_exact_mut(width)) {
        convolve(sums, kernel, |distance| row(y + distance));
    }
    AnomalyMap { scores, ..*map }
}

/// Every row convolved with it.
fn blur_rows(map: &AnomalyMap, kernel: &[f32]) -> AnomalyMap {
    let (width, radius) = (map.width as usize, kernel.len() as i64 - 1);
    let mut scores = vec![0.0; map.scores.len()];
    let mut padded = vec![0.0; width + 2 * radius as usize];
    for (sums, row) in scores.chunks_exact_mut(width).zip(map.scores.chunks_exact(width)) {
        for (place, value) in padded.iter_mut().enumerate() {
            *value = row[mirrored(place as i64 - radius, width as i64)];
        }
        convolve(sums, kernel, |distance| {
            &padded[(radius + distance) as usize..][..width]
        });
    }
    AnomalyMap { scores, ..*map }
}

/// Sums of numbers on both sides, `numbers(distance)` away, each pair times its weight: along whole rows, which vectorise.
fn convolve<'a>(sums: &mut [f32], kernel: &[f32], numbers: impl Fn(i64) -> &'a [f32]) {
    for (sum, value) in sums.iter_mut().zip(numbers(0)) {
        *sum = kernel[0] * value;
    }
    for (distance, weight) in (0..).zip(kernel).skip(1) {
        let pairs = numbers(-distance).iter().zip(numbers(distance));
        for (sum, (before, behind)) in sums.iter_mut().zip(pairs) {
            *sum += weight * (before + behind);
        }
    }
}

/// A place beyond the border, mirrored as often as needed; the outermost number is repeated (d c b a | a b c d | d c b a).
fn mirrored(place: i64, length: i64) -> usize {
    let folded = place.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}
