//! A lattice of gradients and the noise between them.

use std::f64::consts::SQRT_2;

use flawforge_resample::multiversioned;

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

    pub(crate) fn reset(&mut self, row_exponent: u32, column_exponent: u32, mut angle: impl FnMut() -> f64) {
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
    pub(crate) fn noise_padded(&self, width: u32, height: u32, tables: &mut RowTables, noise: &mut Vec<f32>) {
        let (width, height) = (width as usize, height as usize);
        let stride = width + 2;
        noise.resize(stride * (height + 2), 0.0);
        noise[..stride].fill(0.0);
        noise[stride * (height + 1)..].fill(0.0);
        let cells = 1_usize << self.column_exponent;
        // A lattice finer than the pixels samples every other vertex and so on; a step keeps that rare case right.
        let columns = Axis::new(width, self.column_exponent);
        let rows = Axis::new(height, self.row_exponent);
        let step = columns.vertices_per_pixel;
        tables.fill(&columns);
        for y in 0..height {
            let (row, u) = rows.locate(y);
            let fade_u = fade(u);
            let top = &self.gradients[row * (cells + 1)..][..cells + 1];
            let bottom = &self.gradients[(row + 1) * (cells + 1)..][..cells + 1];
            // Interpolated along the rows, a vertex contributes a linear function of v: constant + slope * v.
            tables.vertices.clear();
            tables.vertices.extend(top.iter().zip(bottom).map(|(a, b)| {
                let (at, ab) = (a[0] * u, b[0] * (u - 1.0));
                (at + (ab - at) * fade_u, a[1] + (b[1] - a[1]) * fade_u)
            }));
            let line = &mut noise[(y + 1) * stride..][..stride];
            line[0] = 0.0;
            line[width + 1] = 0.0;
            noise_row(
                &mut line[1..=width],
                &tables.v,
                &tables.fade,
                &tables.vertices,
                step,
            );
        }
    }
}

multiversioned! {
    /// The noise of a row: `v` and `fade` are those of the pixels of a cell, one vertex stands before each cell.
    fn noise_row(out: &mut [f32], v: &[f32], fade: &[f32], vertices: &[(f32, f32)], step: usize) {
        // The finest lattices have so many cells that the loop over one must be unrolled.
        match v.len() {
            8 => noise_cells::<8>(out, v, fade, vertices, step),
            16 => noise_cells::<16>(out, v, fade, vertices, step),
            32 => noise_cells::<32>(out, v, fade, vertices, step),
            cell => {
                for (index, out) in out.chunks_mut(cell).enumerate() {
                    noise_cell(out, v, fade, vertices, index * step);
                }
            }
        }
    }
}

#[inline(always)]
fn noise_cells<const N: usize>(
    out: &mut [f32],
    v: &[f32],
    fade: &[f32],
    vertices: &[(f32, f32)],
    step: usize,
) {
    let (whole, rest) = out.as_chunks_mut::<N>();
    for (index, out) in whole.iter_mut().enumerate() {
        noise_cell(out, &v[..N], &fade[..N], vertices, index * step);
    }
    noise_cell(rest, v, fade, vertices, whole.len() * step);
}

/// The pixels between the vertex with an index and the next one.
#[inline(always)]
fn noise_cell(out: &mut [f32], v: &[f32], fade: &[f32], vertices: &[(f32, f32)], index: usize) {
    if let (Some(left), Some(right)) = (vertices.get(index), vertices.get(index + 1)) {
        for ((out, &v), &fade) in out.iter_mut().zip(v).zip(fade) {
            let a = left.0 + left.1 * v;
            let b = right.0 + right.1 * (v - 1.0);
            *out = a + (b - a) * fade;
        }
    }
}

/// Where the pixels of one axis lie in the lattice.
struct Axis {
    /// Pixels per cell, at least 1.
    cell: usize,
    /// Lattice vertices per pixel; 1 unless the lattice is finer than the pixels.
    vertices_per_pixel: usize,
}

impl Axis {
    fn new(pixels: usize, exponent: u32) -> Self {
        let (size, cells) = (pixels.next_power_of_two(), 1_usize << exponent);
        Self {
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

/// What the pixels of a row share: for every pixel of a cell its place and fade weight, for every vertex of the
/// row its part in the noise.
#[derive(Debug, Default)]
pub(crate) struct RowTables {
    v: Vec<f32>,
    fade: Vec<f32>,
    vertices: Vec<(f32, f32)>,
}

impl RowTables {
    fn fill(&mut self, columns: &Axis) {
        self.v.clear();
        self.v.extend((0..columns.cell).map(|x| columns.locate(x).1));
        self.fade.clear();
        self.fade.extend(self.v.iter().map(|&v| fade(v)));
    }
}

/// 6 t^5 - 15 t^4 + 10 t^3.
fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn cells_of_every_size_are_cut_off_alike() {
        // The noise of a cropped row is the beginning of the whole row, whichever loop computes it.
        for exponent in 0..=6 {
            let lattice = Lattice::new(2, exponent, {
                let mut angle = 0.0;
                move || {
                    angle += 0.9;
                    angle
                }
            });
            let (whole, cropped) = (lattice.noise(64, 16), lattice.noise(53, 16));
            for (whole, cropped) in whole.chunks(64).zip(cropped.chunks(53)) {
                assert_eq!(whole[..53], *cropped, "{exponent}");
            }
        }
    }

    #[test]
    fn a_lattice_finer_than_the_pixels_samples_its_vertices() {
        // Noise is zero at every vertex.
        let lattice = Lattice::new(4, 5, || 1.0);
        assert!(lattice.noise(8, 8).iter().all(|&value| value == 0.0));
    }
}
