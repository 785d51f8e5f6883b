//! From scores of patches to an anomaly map.

use super::embedding::taps;

/// Deviations after which a Gaussian is cut off (scipy's default).
const TRUNCATE: f64 = 4.0;

/// Numbers on a grid, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// The numbers.
    pub values: Vec<f32>,
}

impl Plane {
    /// The numbers with rows and columns exchanged.
    fn transposed(&self) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for x in 0..self.width {
            values.extend((0..self.height).map(|y| self.values[y * self.width + x]));
        }
        Self {
            width: self.height,
            height: self.width,
            values,
        }
    }
}

/// A plane brought to another size bilinearly, with half-pixel centres (PyTorch's `align_corners = False`).
pub fn resize_bilinear(plane: &Plane, width: usize, height: usize) -> Plane {
    if (plane.width, plane.height) == (width, height) {
        return plane.clone();
    }
    let (columns, rows) = (taps(plane.width, width), taps(plane.height, height));
    let mut values = Vec::with_capacity(width * height);
    for &(top, bottom, down) in &rows {
        let (top, bottom) = (
            &plane.values[top * plane.width..],
            &plane.values[bottom * plane.width..],
        );
        for &(left, right, across) in &columns {
            let above = (1.0 - across) * top[left] + across * top[right];
            let below = (1.0 - across) * bottom[left] + across * bottom[right];
            values.push((1.0 - down) * above + down * below);
        }
    }
    Plane {
        width,
        height,
        values,
    }
}

/// Gaussian smoothing with deviation `sigma` in pixels, as scipy's `gaussian_filter` does it: cut off after four
/// deviations (radius 16 for the official 4), the image mirrored at its border. Zero leaves the plane as it is.
pub fn gaussian_blur(plane: &Plane, sigma: f64) -> Plane {
    if sigma <= 0.0 || plane.values.is_empty() {
        return plane.clone();
    }
    let radius = (TRUNCATE * sigma + 0.5) as usize;
    let bell: Vec<f64> = (0..=radius)
        .map(|distance| (-0.5 * (distance as f64 / sigma).powi(2)).exp())
        .collect();
    let sum = bell[0] + 2.0 * bell[1..].iter().sum::<f64>();
    let kernel: Vec<f32> = bell.iter().map(|value| (value / sum) as f32).collect();
    let down = blur_rows(&plane.transposed(), &kernel).transposed();
    blur_rows(&down, &kernel)
}

/// Every row convolved with a symmetric kernel, given from its middle on.
fn blur_rows(plane: &Plane, kernel: &[f32]) -> Plane {
    let (width, radius) = (plane.width, kernel.len() - 1);
    let mut values = Vec::with_capacity(plane.values.len());
    let mut padded = vec![0.0; width + 2 * radius];
    for row in plane.values.chunks_exact(width) {
        for (place, value) in padded.iter_mut().enumerate() {
            *value = row[mirrored(place as i64 - radius as i64, width as i64)];
        }
        for x in 0..width {
            let mut sum = kernel[0] * padded[x + radius];
            for (distance, weight) in kernel.iter().enumerate().skip(1) {
                sum += weight * (padded[x + radius - distance] + padded[x + radius + distance]);
            }
            values.push(sum);
        }
    }
    Plane {
        width,
        height: plane.height,
        values,
    }
}

/// A place beyond the border, mirrored as often as needed; the outermost number is repeated (d c b a | a b c d | d c b a).
fn mirrored(place: i64, length: i64) -> usize {
    let folded = place.rem_euclid(2 * length);
    folded.min(2 * length - 1 - folded) as usize
}
