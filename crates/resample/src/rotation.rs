//! Rotation about the image centre with the sampling grid of OpenCV's `warpAffine`.

use std::ops::Range;

/// Maps the pixels of a rotated image of the same size back into the original, as fixed-point numbers with
/// five fractional bits: the quantisation that OpenCV applies before bilinear interpolation. DRAEM rotates
/// noise, textures and normal images this way (through imgaug).
///
/// The centre is ((width - 1) / 2, (height - 1) / 2); a positive angle turns the x axis towards the y axis,
/// that is clockwise on screen, like imgaug's `Affine(rotate=...)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotation {
    // Inverse map: source x = xx * x + xy * y + x0, source y = yx * x + yy * y + y0.
    xx: f64,
    xy: f64,
    x0: f64,
    yx: f64,
    yy: f64,
    y0: f64,
}

/// Number of sub-pixel positions per pixel: coordinates are in units of 1/32 pixel.
pub const SUBPIXELS: i32 = 32;

// OpenCV keeps 10 fractional bits while adding up a coordinate and then rounds to 5.
const SCALE: f64 = 1024.0;
const ROUND: i32 = 16;
const SHIFT: i32 = 5;

impl Rotation {
    /// The rotation of an image of `width` x `height` pixels by `degrees`.
    pub fn new(width: u32, height: u32, degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (cx, cy) = (f64::from(width) / 2.0 - 0.5, f64::from(height) / 2.0 - 0.5);
        Self {
            xx: cos,
            xy: sin,
            x0: cx - cos * cx - sin * cy,
            yx: -sin,
            yy: cos,
            y0: cy + sin * cx - cos * cy,
        }
    }

    /// Fills `columns` with the part of the source coordinates that depends on the column only, for a range of columns.
    pub fn columns(&self, columns: &mut Vec<[i32; 2]>, range: Range<u32>) {
        columns.clear();
        columns.extend(range.map(|x| {
            let x = f64::from(x);
            [fixed(self.xx * x), fixed(self.yx * x)]
        }));
    }

    /// The part of the source coordinates that depends on the row only.
    pub fn row(&self, y: u32) -> [i32; 2] {
        let y = f64::from(y);
        [
            fixed(self.xy * y + self.x0) + ROUND,
            fixed(self.yy * y + self.y0) + ROUND,
        ]
    }

    /// The source coordinates (x, y) in units of 1/32 pixel, from the parts of its row and column.
    #[inline]
    pub fn source(row: [i32; 2], column: [i32; 2]) -> [i32; 2] {
        [(row[0] + column[0]) >> SHIFT, (row[1] + column[1]) >> SHIFT]
    }
}

/// Rounded to the nearest, ties to even. Beside a number this large there is no room for a fraction, so that an
/// addition rounds; without SSE4.1 the standard function is a call.
fn fixed(value: f64) -> i32 {
    const LARGE: f64 = 1.5 * (1u64 << 52) as f64;
    (value * SCALE + LARGE).to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(rotation: &Rotation, x: u32, y: u32) -> [i32; 2] {
        let mut columns = Vec::new();
        rotation.columns(&mut columns, 0..64);
        Rotation::source(rotation.row(y), columns[x as usize])
    }

    #[test]
    fn no_angle_is_the_identity() {
        let rotation = Rotation::new(64, 48, 0.0);
        for (x, y) in [(0, 0), (63, 0), (5, 47), (31, 24)] {
            assert_eq!(
                source(&rotation, x, y),
                [x as i32 * SUBPIXELS, y as i32 * SUBPIXELS]
            );
        }
    }

    #[test]
    fn a_quarter_turn_is_clockwise() {
        // The top-left pixel of the result shows the bottom-left pixel of the original.
        let rotation = Rotation::new(64, 64, 90.0);
        assert_eq!(source(&rotation, 0, 0), [0, 63 * SUBPIXELS]);
        assert_eq!(source(&rotation, 63, 0), [0, 0]);
    }
}
