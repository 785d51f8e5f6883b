//! Perlin noise, rotated and thresholded: DRAEM's mask.

use std::cell::RefCell;
use std::f64::consts::{SQRT_2, TAU};

use rand::{Rng, RngCore};

use crate::rotation::Rotation;
use crate::{Mask, MaskGenerator};

/// DRAEM's mask: one octave of Perlin noise on a random lattice, rotated, thresholded
/// (DRAEM sec. 3.3 and its published code; the defaults are those of the code).
///
/// Noise is generated on a square whose side is the next power of two of the longer side, where cells are whole
/// numbers of pixels, rotated about the centre of the square, and cropped in the middle to the size asked for. At
/// 256 x 256 nothing is cropped and the mask is DRAEM's; otherwise the image shows a part of the lattice, and empty
/// masks become more frequent. The mask may be empty (4.5 % at the defaults and 256 px).
///
/// Draws, in this order: the two exponents (rows, columns), one angle per lattice vertex row by row, the rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Perlin {
    /// The number of lattice cells along each axis is 2^e, e uniform in 0..=`max_exponent`; 5. Values beyond
    /// the image size in pixels are cut off.
    pub max_exponent: u32,
    /// A pixel is set where the noise, in [-1, 1], is greater than this; 0.5.
    pub threshold: f32,
    /// The noise is rotated by an angle uniform in both directions up to this, in degrees; 90. Corners that come from outside hold noise 0.
    pub max_rotation_degrees: f32,
}

impl Default for Perlin {
    fn default() -> Self {
        Self {
            max_exponent: 5,
            threshold: 0.5,
            max_rotation_degrees: 90.0,
        }
    }
}

impl MaskGenerator for Perlin {
    fn generate(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> Mask {
        if width == 0 || height == 0 {
            return Mask::empty(width, height);
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let side = width.max(height).next_power_of_two();
            let exponents = 0..=self.max_exponent.min(side.trailing_zeros());
            let row_exponent = rng.random_range(exponents.clone());
            let column_exponent = rng.random_range(exponents);
            scratch
                .lattice
                .reset(row_exponent, column_exponent, || TAU * rng.random::<f64>());
            scratch
                .lattice
                .noise_padded(side, side, &mut scratch.row, &mut scratch.noise);
            let limit = f64::from(self.max_rotation_degrees);
            let degrees = limit * (2.0 * rng.random::<f64>() - 1.0);
            let pixels = scratch.rotate(side, (width, height), degrees, self.threshold);
            Mask::from_binary(width, height, pixels)
        })
    }
}

/// The gradients of a Perlin lattice; the noise field that they define.
#[derive(Debug, Clone, Default)]
pub struct Lattice {
    row_exponent: u32,
    column_exponent: u32,
    /// (rows + 1) x (columns + 1) unit vectors times sqrt 2: (along rows, along columns).
    gradients: Vec<[f32; 2]>,
}

impl Lattice {
    /// A lattice of 2^`row_exponent` x 2^`column_exponent` cells. `angle` is called for every vertex, row by
    /// row, and gives its gradient's direction in radians from the row axis towards the column axis.
    pub fn new(row_exponent: u32, column_exponent: u32, angle: impl FnMut() -> f64) -> Self {
        let mut lattice = Self::default();
        lattice.reset(row_exponent, column_exponent, angle);
        lattice
    }

    fn reset(&mut self, row_exponent: u32, column_exponent: u32, mut angle: impl FnMut() -> f64) {
        self.row_exponent = row_exponent;
        self.column_exponent = column_exponent;
        self.gradients.clear();
        let vertices = ((1_usize << row_exponent) + 1) * ((1_usize << column_exponent) + 1);
        self.gradients.extend((0..vertices).map(|_| {
            let (sin, cos) = angle().sin_cos();
            [(SQRT_2 * cos) as f32, (SQRT_2 * sin) as f32]
        }));
    }

    /// The noise, row-major, in [-1, 1]. Generated on the next power of two of each side and cropped.
    pub fn noise(&self, width: u32, height: u32) -> Vec<f32> {
        let mut padded = Vec::new();
        self.noise_padded(width, height, &mut RowTables::default(), &mut padded);
        let stride = width as usize + 2;
        padded[stride..]
            .chunks_exact(stride)
            .take(height as usize)
            .flat_map(|row| row[1..stride - 1].iter().copied())
            .collect()
    }

    /// The noise with a frame of one zero pixel, so that bilinear interpolation needs no border rule.
    fn noise_padded(&self, width: u32, height: u32, tables: &mut RowTables, noise: &mut Vec<f32>) {
        let (width, height) = (width as usize, height as usize);
        let stride = width + 2;
        noise.clear();
        noise.resize(stride * (height + 2), 0.0);
        let cells = 1_usize << self.column_exponent;
        // A lattice finer than the pixels samples every other vertex and so on; a step keeps that rare case right.
        let columns = Axis::new(width, self.column_exponent);
        let rows = Axis::new(height, self.row_exponent);
        tables.fill(&columns);
        for y in 0..height {
            let (row, u) = rows.locate(y);
            let fade_u = fade(u);
            let top = &self.gradients[row * (cells + 1)..][..cells + 1];
            let bottom = &self.gradients[(row + 1) * (cells + 1)..][..cells + 1];
            // Interpolated along the rows, a vertex contributes a linear function of v: constant + slope * v.
            let vertex = |index: usize| {
                let (a, b) = (top[index], bottom[index]);
                let (at, ab) = (a[0] * u, b[0] * (u - 1.0));
                (at + (ab - at) * fade_u, a[1] + (b[1] - a[1]) * fade_u)
            };
            let out = &mut noise[(y + 1) * stride + 1..][..width];
            let step = columns.vertices_per_pixel;
            let mut left = vertex(0);
            let mut index = 0;
            for ((out, v), fade_v) in out
                .chunks_mut(columns.cell)
                .zip(tables.v.chunks(columns.cell))
                .zip(tables.fade.chunks(columns.cell))
            {
                let right = vertex(index + 1);
                for ((out, &v), &fade_v) in out.iter_mut().zip(v).zip(fade_v) {
                    let a = left.0 + left.1 * v;
                    let b = right.0 + right.1 * (v - 1.0);
                    *out = a + (b - a) * fade_v;
                }
                index += step;
                left = if step == 1 || index > cells {
                    right
                } else {
                    vertex(index)
                };
            }
        }
    }
}

/// Where the pixels of one axis lie in the lattice.
struct Axis {
    pixels: usize,
    /// Pixels per cell, at least 1.
    cell: usize,
    /// Lattice vertices per pixel; 1 unless the lattice is finer than the pixels.
    vertices_per_pixel: usize,
}

impl Axis {
    fn new(pixels: usize, exponent: u32) -> Self {
        let (size, cells) = (pixels.next_power_of_two(), 1_usize << exponent);
        Self {
            pixels,
            cell: (size / cells).max(1),
            vertices_per_pixel: (cells / size).max(1),
        }
    }

    /// The cell of a pixel and its place in it, in [0, 1): pixels sample cell corners, not centres.
    fn locate(&self, pixel: usize) -> (usize, f32) {
        let cell = pixel / self.cell * self.vertices_per_pixel;
        (cell, (pixel % self.cell) as f32 / self.cell as f32)
    }
}

/// Per-column place in the cell and its fade weight: the same for every row.
#[derive(Debug, Default)]
struct RowTables {
    v: Vec<f32>,
    fade: Vec<f32>,
}

impl RowTables {
    fn fill(&mut self, columns: &Axis) {
        self.v.clear();
        self.v.extend((0..columns.pixels).map(|x| columns.locate(x).1));
        self.fade.clear();
        self.fade.extend(self.v.iter().map(|&v| fade(v)));
    }
}

/// 6 t^5 - 15 t^4 + 10 t^3.
fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

/// Buffers that a thread reuses from mask to mask.
#[derive(Default)]
struct Scratch {
    lattice: Lattice,
    row: RowTables,
    noise: Vec<f32>,
    columns: Vec<[i32; 2]>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    /// Rotates the padded noise of a square, crops its middle and thresholds it, in one pass.
    fn rotate(&mut self, side: u32, (width, height): (u32, u32), degrees: f64, threshold: f32) -> Vec<u8> {
        let rotation = Rotation::new(side, side, degrees);
        let (x0, y0) = ((side - width) / 2, (side - height) / 2);
        rotation.columns(&mut self.columns, x0..x0 + width);
        let stride = side as usize + 2;
        let mut pixels = vec![0; width as usize * height as usize];
        // Outside, all four taps are the zero of the border.
        let outside = u8::from(0.0 > threshold);
        for (y, out) in pixels.chunks_exact_mut(width as usize).enumerate() {
            let row = rotation.row(y0 + y as u32);
            for (out, &column) in out.iter_mut().zip(&self.columns) {
                let [x, y] = Rotation::source(row, column);
                // One added for the frame; a coordinate below -1 wraps to a huge number.
                let (left, top) = (((x >> 5) + 1) as u32, ((y >> 5) + 1) as u32);
                if left > side || top > side {
                    *out = outside;
                    continue;
                }
                let at = top as usize * stride + left as usize;
                let (a, b) = ((x & 31) as f32 * (1.0 / 32.0), (y & 31) as f32 * (1.0 / 32.0));
                let upper = &self.noise[at..at + 2];
                let lower = &self.noise[at + stride..at + stride + 2];
                let upper = upper[0] + (upper[1] - upper[0]) * a;
                let lower = lower[0] + (lower[1] - lower[0]) * a;
                *out = u8::from(upper + (lower - upper) * b > threshold);
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;

    #[test]
    fn noise_has_the_golden_values() {
        // From an independent double-precision implementation of DRAEM's noise: 8 x 8 pixels, 2 x 2 cells,
        // angle 0.7 (3 i + j).
        let mut vertex = 0;
        let lattice = Lattice::new(1, 1, || {
            vertex += 1;
            0.7 * f64::from(vertex - 1)
        });
        let noise = lattice.noise(8, 8);
        for (row, column, expected) in [
            (0, 0, 0.0),
            (1, 2, 0.174272149),
            (2, 2, 0.547285474),
            (3, 5, 0.515316954),
            (5, 1, 0.066646517),
            (6, 6, -0.443032782),
            (7, 7, -0.231390883),
        ] {
            let value = f64::from(noise[row * 8 + column]);
            assert!(
                (value - expected).abs() < 1e-6,
                "({row}, {column}): {value}, not {expected}"
            );
        }
    }

    #[test]
    fn rotated_masks_equal_opencv() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../tests/golden/perlin.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let int = |name: &str| case[name].as_u64().unwrap() as u32;
            let (size, step) = (int("size"), case["angle_step"].as_f64().unwrap());
            let mut vertex = 0;
            let lattice = Lattice::new(int("row_exponent"), int("column_exponent"), || {
                vertex += 1;
                step * f64::from(vertex - 1)
            });
            let mut scratch = Scratch::default();
            lattice.noise_padded(size, size, &mut scratch.row, &mut scratch.noise);
            let pixels = scratch.rotate(size, (size, size), case["degrees"].as_f64().unwrap(), 0.5);
            let expected: String = case["mask"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row.as_str().unwrap())
                .collect();
            let found: String = pixels.iter().map(|&p| if p == 1 { '1' } else { '0' }).collect();
            assert!(expected.contains('1'));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn statistics_are_those_of_draem() {
        let draws = 2000;
        let mut empty = 0;
        let mut coverage = 0.0;
        let mut filled = Vec::new();
        for index in 0..draws {
            let mask = Perlin::default().generate(
                256,
                256,
                &mut Stream {
                    seed: 1,
                    epoch: 0,
                    index,
                }
                .rng(""),
            );
            empty += u32::from(mask.is_empty());
            coverage += mask.coverage() / draws as f64;
            if !mask.is_empty() {
                filled.push(mask.coverage());
            }
        }
        // Measured on 6000 draws of an independent implementation: 4.5 % empty, mean 4.86 %, and of those
        // that are not empty quantiles 5/50/95 %: 1.8/4.7/9.3 %. Bands of about four standard errors.
        let empty = f64::from(empty) / draws as f64;
        assert!((empty - 0.045).abs() < 0.019, "{empty}");
        assert!((coverage - 0.0486).abs() < 0.0025, "{coverage}");
        filled.sort_by(f64::total_cmp);
        let quantile = |q: f64| filled[(q * filled.len() as f64) as usize];
        assert!((quantile(0.05) - 0.018).abs() < 0.005, "{}", quantile(0.05));
        assert!((quantile(0.5) - 0.047).abs() < 0.0015, "{}", quantile(0.5));
        assert!((quantile(0.95) - 0.093).abs() < 0.015, "{}", quantile(0.95));
    }

    #[test]
    fn every_size_works() {
        for (width, height) in [
            (32, 32),
            (33, 47),
            (103, 222),
            (1024, 40),
            (1, 1),
            (2, 300),
            (0, 5),
            (5, 0),
        ] {
            let mut coverage = 0.0;
            for index in 0..100 {
                let mut rng = Stream {
                    seed: 2,
                    epoch: 0,
                    index,
                }
                .rng("");
                let mask = Perlin::default().generate(width, height, &mut rng);
                assert_eq!((mask.width(), mask.height()), (width, height));
                coverage += mask.coverage() / 100.0;
            }
            if width.min(height) >= 32 {
                assert!((0.02..0.08).contains(&coverage), "{width}x{height}: {coverage}");
            }
        }
    }

    #[test]
    fn a_lattice_finer_than_the_pixels_samples_its_vertices() {
        // Noise is zero at every vertex.
        let lattice = Lattice::new(4, 5, || 1.0);
        assert!(lattice.noise(8, 8).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn an_unrotated_mask_is_the_middle_of_the_thresholded_noise() {
        let perlin = Perlin {
            max_rotation_degrees: 0.0,
            threshold: 0.2,
            max_exponent: 3,
        };
        let mask = perlin.generate(50, 40, &mut Stream::default().rng(""));
        let mut rng = Stream::default().rng("");
        let (rows, columns) = (rng.random_range(0..=3), rng.random_range(0..=3));
        let noise = Lattice::new(rows, columns, || TAU * rng.random::<f64>()).noise(64, 64);
        assert_eq!(
            mask,
            Mask::from_fn(50, 40, |x, y| noise[((y + 12) * 64 + x + 7) as usize] > 0.2)
        );
    }
}
