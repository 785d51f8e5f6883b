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
    let down = blur_rows(&map.transposed(), &kernel).transposed();
    blur_rows(&down, &kernel)
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

/// Every row convolved with a symmetric kernel, given from its middle on.
fn blur_rows(map: &AnomalyMap, kernel: &[f32]) -> AnomalyMap {
    let (width, radius) = (map.width as usize, kernel.len() - 1);
    let mut scores = Vec::with_capacity(map.scores.len());
    let mut padded = vec![0.0; width + 2 * radius];
    for row in map.scores.chunks_exact(width) {
        for (place, value) in padded.iter_mut().enumerate() {
            *value = row[mirrored(place as i64 - radius as i64, width as i64)];
        }
        for x in 0..width {
            let mut sum = kernel[0] * padded[x + radius];
            for (distance, weight) in kernel.iter().enumerate().skip(1) {
                sum += weight * (padded[x + radius - distance] + padded[x + radius + distance]);
            }
            scores.push(sum);
        }
    }
    AnomalyMap { scores, ..*map }
}

/// A place beyond the border, mirrored as often as needed; the outermost number is repeated (d c b a | a b c d | d c b a).
fn mirrored(place: i64, length: i64) -> usize {
    let folded = place.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}
