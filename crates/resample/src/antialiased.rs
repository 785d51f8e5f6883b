//! The triangle filter, as wide as the reduction: the numbers of `image::imageops::resize`, sooner.
//!
//! That function sums in f32, first along columns, then along rows, one pixel of the filter after the other, each rounded product
//! added to the rounded sum. So does this one, in the same order; it keeps a few rows in between instead of a whole image, and sums
//! many columns side by side.

use image::RgbImage;

/// Rows of the result that are filtered along rows together: their sums do not wait for each other.
const ROWS: usize = 4;
/// Values of a row that are summed side by side.
const VALUES: usize = 64;

/// The image at this width and height, its aspect ratio ignored. The same size gives a copy; an empty source or target gives a black
/// (or empty) image.
pub(crate) fn triangle(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let mut out = RgbImage::new(width, height);
    let (from_width, from_height) = image.dimensions();
    if from_width == 0 || from_height == 0 || width == 0 || height == 0 {
        return out;
    }
    if (width, height) == image.dimensions() {
        return image.clone();
    }
    let (columns, rows) = (filters(from_width, width), filters(from_height, height));
    let (pitch, out_pitch) = (3 * from_width as usize, 3 * width as usize);
    let mut sums = vec![0.0; ROWS * pitch];
    for (rows, out) in rows.chunks(ROWS).zip(out.chunks_mut(ROWS * out_pitch)) {
        for (row, sums) in rows.iter().zip(sums.chunks_exact_mut(pitch)) {
            down(&image.as_raw()[row.first * pitch..], pitch, &row.weights, sums);
        }
        across(&sums, pitch, &columns, out, out_pitch);
    }
    out
}

/// Where one place of the result begins to read, and what each number weighs.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

/// The filters along one axis; every step is rounded as `image` rounds it.
fn filters(source: u32, target: u32) -> Vec<Filter> {
    let ratio = source as f32 / target as f32;
    let reach = ratio.max(1.0);
    let last = i64::from(source) - 1;
    (0..target)
        .map(|place| {
            let center = (place as f32 + 0.5) * ratio;
            let first = ((center - reach).floor() as i64).clamp(0, last);
            let end = ((center + reach).ceil() as i64).clamp(first + 1, i64::from(source));
            let center = center - 0.5;
            let mut weights: Vec<f32> = (first..end)
                .map(|at| {
                    let distance = ((at as f32 - center) / reach).abs();
                    if distance < 1.0 { 1.0 - distance } else { 0.0 }
                })
                .collect();
            let mut sum = 0.0;
            for weight in &weights {
                sum += weight;
            }
            for weight in &mut weights {
                *weight /= sum;
            }
            Filter {
                first: first as usize,
                weights,
            }
        })
        .collect()
}

crate::multiversioned! {
    /// A row of sums of the rows that `source` begins with, `pitch` numbers each.
    fn down(source: &[u8], pitch: usize, weights: &[f32], sums: &mut [f32]) {
        let (parts, rest) = sums.as_chunks_mut::<VALUES>();
        for (part, sums) in parts.iter_mut().enumerate() {
            let mut found = [0f32; VALUES];
            for (row, &weight) in weights.iter().enumerate() {
                let values = &source[row * pitch + part * VALUES..][..VALUES];
                for (sum, &value) in found.iter_mut().zip(values) {
                    *sum += f32::from(value) * weight;
                }
            }
            *sums = found;
        }
        let begin = pitch - rest.len();
        rest.fill(0.0);
        for (row, &weight) in weights.iter().enumerate() {
            for (sum, &value) in rest.iter_mut().zip(&source[row * pitch + begin..]) {
                *sum += f32::from(value) * weight;
            }
        }
    }

    /// Rows of the result, at most [`ROWS`], from the rows of sums.
    fn across(sums: &[f32], pitch: usize, columns: &[Filter], out: &mut [u8], out_pitch: usize) {
        for (column, filter) in columns.iter().enumerate() {
            let mut found = [[0f32; 3]; ROWS];
            for (at, &weight) in (filter.first..).zip(&filter.weights) {
                for (row, found) in found.iter_mut().enumerate() {
                    let pixel = &sums[row * pitch + 3 * at..][..3];
                    for (sum, value) in found.iter_mut().zip(pixel) {
                        *sum += value * weight;
                    }
                }
            }
            for (row, found) in out.chunks_exact_mut(out_pitch).zip(found) {
                for (value, sum) in row[3 * column..][..3].iter_mut().zip(found) {
                    *value = sum.clamp(0.0, 255.0).round() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::imageops::{FilterType, resize};

    use super::*;

    #[test]
    fn every_number_is_that_of_the_image_crate() {
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let sides = [1, 2, 3, 5, 21, 22, 64, 100, 257, 613];
        let targets = [1, 2, 7, 32, 43, 64, 96, 256, 300];
        for (number, (width, height)) in sides
            .into_iter()
            .flat_map(|width| sides.map(|height| (width, height)))
            .enumerate()
        {
            let image = RgbImage::from_fn(width, height, |_, _| image::Rgb([noise(), noise(), noise()]));
            // Full black and white at the ends of the range, too.
            let image = if number % 3 == 0 {
                RgbImage::from_fn(width, height, |x, y| {
                    image::Rgb(image[(x, y)].0.map(|value| if value < 128 { 0 } else { 255 }))
                })
            } else {
                image
            };
            for pair in 0..3 {
                let to = |step: usize| targets[(number * step + 4 * pair) % targets.len()];
                let (wide, high) = (to(1), to(5));
                let expected = resize(&image, wide, high, FilterType::Triangle);
                let found = triangle(&image, wide, high);
                assert!(found == expected, "{width}x{height} to {wide}x{high}");
            }
        }
    }

    #[test]
    fn nothing_becomes_black() {
        let none = RgbImage::new(0, 0);
        assert_eq!(triangle(&none, 3, 2), RgbImage::new(3, 2));
        let image = RgbImage::from_pixel(4, 4, image::Rgb([9; 3]));
        assert_eq!(triangle(&image, 0, 5), RgbImage::new(0, 5));
    }
}
