//! Small grey pictures, in which everything is measured.

use image::RgbImage;

/// A square of brightness values, row-major, levels of 255.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub(super) side: usize,
    pub(super) values: Vec<f32>,
}

impl Plane {
    /// The brightness (ITU-R BT.601) of an image, each value the mean of the area that it stands for; the aspect ratio is
    /// ignored, as where networks are fed. The image has pixels.
    pub(super) fn of(image: &RgbImage, side: usize) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let (across, down) = (areas(width, side), areas(height, side));
        let mut narrow = vec![0.0; side * height];
        for (line, out) in image
            .as_raw()
            .chunks_exact(3 * width)
            .zip(narrow.chunks_exact_mut(side))
        {
            for (out, (first, weights)) in out.iter_mut().zip(&across) {
                let pixels = line[3 * first..].chunks_exact(3);
                *out = pixels
                    .zip(weights)
                    .map(|(p, w)| {
                        w * (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
                    })
                    .sum();
            }
        }
        let mut values = vec![0.0; side * side];
        for (out, (first, weights)) in values.chunks_exact_mut(side).zip(&down) {
            for (line, weight) in narrow[first * side..].chunks_exact(side).zip(weights) {
                for (out, value) in out.iter_mut().zip(line) {
                    *out += weight * value;
                }
            }
        }
        Self { side, values }
    }

    /// Blurred by a Gaussian of `sigma` pixels; the outermost pixels go on for ever.
    pub(super) fn blurred(&self, sigma: f32) -> Self {
        let reach = (3.0 * sigma).ceil() as i64;
        let mut kernel: Vec<f32> = (-reach..=reach)
            .map(|d| (-(d * d) as f32 / (2.0 * sigma * sigma)).exp())
            .collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|weight| *weight /= sum);
        let side = self.side;
        let last = side as i64 - 1;
        let pass = |source: &[f32], along: usize, across: usize| -> Vec<f32> {
            let mut out = vec![0.0; side * side];
            for at in 0..side {
                // Taps of this position, the same for every line.
                for (d, weight) in (-reach..=reach).zip(&kernel) {
                    let from = (at as i64 + d).clamp(0, last) as usize;
                    for line in 0..side {
                        out[at * along + line * across] += weight * source[from * along + line * across];
                    }
                }
            }
            out
        };
        let rows = pass(&self.values, 1, side);
        Self {
            side,
            values: pass(&rows, side, 1),
        }
    }

    /// What is finer than `coarse` and coarser than `fine` (both sigmas, in pixels): light that falls unevenly and grain of
    /// the sensor are no structure.
    pub(super) fn band(&self, fine: f32, coarse: f32) -> Self {
        let mut band = self.blurred(fine);
        let light = self.blurred(coarse);
        for (value, light) in band.values.iter_mut().zip(&light.values) {
            *value -= light;
        }
        band
    }

    /// Bilinear value; the position lies inside.
    fn at(&self, x: f32, y: f32) -> f32 {
        let last = (self.side - 1) as f32;
        let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
        let (left, top) = ((x as usize).min(self.side - 2), (y as usize).min(self.side - 2));
        let (a, b) = (x - left as f32, y - top as f32);
        let at = top * self.side + left;
        let v = &self.values;
        let upper = v[at] + a * (v[at + 1] - v[at]);
        let lower = v[at + self.side] + a * (v[at + self.side + 1] - v[at + self.side]);
        upper + b * (lower - upper)
    }

    /// Turned about its centre by `degrees`.
    pub(super) fn turned(&self, degrees: f32) -> Self {
        if degrees == 0.0 {
            return self.clone();
        }
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let middle = (self.side - 1) as f32 / 2.0;
        let values = (0..self.side * self.side).map(|i| {
            let (x, y) = ((i % self.side) as f32 - middle, (i / self.side) as f32 - middle);
            self.at(middle + cosine * x + sine * y, middle - sine * x + cosine * y)
        });
        Self {
            side: self.side,
            values: values.collect(),
        }
    }
}

/// For every position of an axis of `to` pixels: the first of the `from` pixels that it covers, and the shares in which it
/// covers that and the following ones.
fn areas(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|index| {
            let (begin, end) = (index as f64 * step, (index + 1) as f64 * step);
            let first = (begin as usize).min(from - 1);
            let weights = (first..from)
                .map(|pixel| (end.min((pixel + 1) as f64) - begin.max(pixel as f64)) / step)
                .take_while(|&share| share > 1e-9)
                .map(|share| share as f32)
                .collect();
            (first, weights)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_value_is_the_mean_of_its_area() {
        let image = RgbImage::from_fn(50, 30, |x, y| Rgb([(x * 3 + y) as u8; 3]));
        for side in [8, 20, 64] {
            let plane = Plane::of(&image, side);
            let mean = plane.values.iter().sum::<f32>() / plane.values.len() as f32;
            assert!((mean - 88.0).abs() < 0.01, "{side}: {mean}");
        }
        let same = Plane::of(&RgbImage::from_fn(9, 9, |x, y| Rgb([(20 * x + y) as u8; 3])), 9);
        assert!((same.values[9 * 4 + 3] - 64.0).abs() < 0.01);
    }

    #[test]
    fn a_quarter_turn_moves_pixels_and_a_blur_keeps_the_light() {
        let mut plane = Plane {
            side: 17,
            values: vec![0.0; 289],
        };
        plane.values[8 * 17 + 12] = 1.0;
        let turned = plane.turned(90.0);
        // Clockwise on screen: from the right of the centre to below it.
        assert!((turned.values[12 * 17 + 8] - 1.0).abs() < 1e-4);
        let blurred = plane.blurred(1.0);
        assert!((blurred.values.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!(plane.band(0.8, 1.2).values.iter().sum::<f32>().abs() < 1e-3);
    }
}
