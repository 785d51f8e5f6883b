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
    let begin = |place: i64| mirrored(place, height) * width;
    let mut scores = vec![0.0; map.scores.len()];
    let mut pairs = Vec::with_capacity(kernel.len());
    for (y, sums) in (0..).zip(scores.chunks_exact_mut(width)) {
        pairs.clear();
        pairs.extend((0..kernel.len() as i64).map(|distance| [begin(y - distance), begin(y + distance)]));
        convolve(sums, &map.scores, kernel, &pairs);
    }
    AnomalyMap { scores, ..*map }
}

/// Every row convolved with it.
fn blur_rows(map: &AnomalyMap, kernel: &[f32]) -> AnomalyMap {
    let (width, radius) = (map.width as usize, kernel.len() - 1);
    let mut scores = vec![0.0; map.scores.len()];
    let mut padded = vec![0.0; width + 2 * radius];
    let pairs: Vec<[usize; 2]> = (0..=radius)
        .map(|distance| [radius - distance, radius + distance])
        .collect();
    for (sums, row) in scores.chunks_exact_mut(width).zip(map.scores.chunks_exact(width)) {
        for (place, value) in padded[..radius].iter_mut().enumerate() {
            *value = row[mirrored(place as i64 - radius as i64, width as i64)];
        }
        padded[radius..][..width].copy_from_slice(row);
        for (place, value) in (width as i64..).zip(&mut padded[radius + width..]) {
            *value = row[mirrored(place, width as i64)];
        }
        convolve(sums, &padded, kernel, &pairs);
    }
    AnomalyMap { scores, ..*map }
}

flawforge_resample::multiversioned! {
    /// Sums of runs of `numbers`, as long as `sums`: those that begin at each pair of places, times the weight of the pair. The first
    /// pair is one run.
    fn convolve(sums: &mut [f32], numbers: &[f32], kernel: &[f32], pairs: &[[usize; 2]]) {
        const SIDE_BY_SIDE: usize = 32;
        let (parts, rest) = sums.as_chunks_mut::<SIDE_BY_SIDE>();
        let mut done = 0;
        for sums in parts {
            let mut found = [0f32; SIDE_BY_SIDE];
            for (sum, value) in found.iter_mut().zip(&numbers[pairs[0][0] + done..]) {
                *sum = kernel[0] * value;
            }
            for (weight, &[before, behind]) in kernel.iter().zip(pairs).skip(1) {
                let (before, behind) = (&numbers[before + done..][..SIDE_BY_SIDE], &numbers[behind + done..][..SIDE_BY_SIDE]);
                for ((sum, before), behind) in found.iter_mut().zip(before).zip(behind) {
                    *sum += weight * (before + behind);
                }
            }
            *sums = found;
            done += SIDE_BY_SIDE;
        }
        for (place, sum) in rest.iter_mut().enumerate() {
            let at = done + place;
            *sum = kernel[0] * numbers[pairs[0][0] + at];
            for (weight, [before, behind]) in kernel.iter().zip(pairs).skip(1) {
                *sum += weight * (numbers[before + at] + numbers[behind + at]);
            }
        }
    }
}

/// A place beyond the border, mirrored as often as needed; the outermost number is repeated (d c b a | a b c d | d c b a).
fn mirrored(place: i64, length: i64) -> usize {
    let folded = place.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}
