//! Random fields of the demo materials: hashed lattice values, their sums, and cells.
//!
//! Written for the demo pictures alone. The anomaly simulators use gradient noise from elsewhere;
//! nothing here is shared with them.

use super::shapes::Point;

/// A value in [0, 1) that depends on the lattice point and the seed alone.
pub(super) fn hash(column: i32, row: i32, seed: u32) -> f32 {
    // Integer finaliser after lowbias32 (a public-domain constant set).
    let mut h = (column as u32).wrapping_mul(0x9e37_79b1)
        ^ (row as u32).wrapping_mul(0x85eb_ca77)
        ^ seed.wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 16;
    h = h.wrapping_mul(0x7feb_352d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x846c_a68b);
    h ^= h >> 16;
    (h >> 8) as f32 / 16_777_216.0
}

/// Smooth noise in [-1, 1]: lattice values blended over unit cells.
pub(super) fn smooth(x: f32, y: f32, seed: u32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (fx, fy) = (ease(x - column), ease(y - row));
    let (i, j) = (column as i32, row as i32);
    let top = hash(i, j, seed) * (1.0 - fx) + hash(i + 1, j, seed) * fx;
    let bottom = hash(i, j + 1, seed) * (1.0 - fx) + hash(i + 1, j + 1, seed) * fx;
    2.0 * (top * (1.0 - fy) + bottom * fy) - 1.0
}

/// Sum of `octaves` smooth noises, each of twice the frequency and half the height; about [-1, 1].
pub(super) fn layered(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut height, mut frequency, mut whole) = (0.0, 1.0, 1.0, 0.0);
    for octave in 0..octaves {
        sum += height * smooth(x * frequency, y * frequency, seed.wrapping_add(octave * 101));
        whole += height;
        height *= 0.5;
        frequency *= 2.0;
    }
    sum / whole
}

/// Where a point lies among irregular cells of about unit size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Distance from the border with the neighbouring cell: 0 on it, about 0.5 in the middle.
    pub(super) border: f32,
    /// A value in [0, 1) that belongs to the cell.
    pub(super) value: f32,
}

/// Irregular cells around jittered lattice points (two nearest seeds).
pub(super) fn cell(x: f32, y: f32, seed: u32) -> Cell {
    let (column, row) = (x.floor() as i32, y.floor() as i32);
    let (mut first, mut second) = ((f32::INFINITY, [0.0; 2], 0.0), (f32::INFINITY, [0.0; 2]));
    for j in row - 1..=row + 1 {
        for i in column - 1..=column + 1 {
            let center: Point = [
                i as f32 + 0.1 + 0.8 * hash(i, j, seed),
                j as f32 + 0.1 + 0.8 * hash(i, j, seed ^ 0x5bd1),
            ];
            let (dx, dy) = (x - center[0], y - center[1]);
            let squared = dx * dx + dy * dy;
            if squared < first.0 {
                second = (first.0, first.1);
                first = (squared, center, hash(i, j, seed ^ 0x27d4));
            } else if squared < second.0 {
                second = (squared, center);
            }
        }
    }
    // Distance to the bisector of the two seeds.
    let (dx, dy) = (second.1[0] - first.1[0], second.1[1] - first.1[1]);
    let apart = (dx * dx + dy * dy).sqrt().max(1e-6);
    Cell {
        border: (second.0 - first.0) / (2.0 * apart),
        value: first.2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_bounded_smooth_and_centred() {
        let (mut sum, mut previous) = (0.0, smooth(0.0, 0.3, 7));
        for step in 1..4000 {
            let value = smooth(step as f32 * 0.01, 0.3 + step as f32 * 0.003, 7);
            assert!((-1.0..=1.0).contains(&value));
            assert!((value - previous).abs() < 0.08, "a jump at step {step}");
            previous = value;
            sum += value;
        }
        assert!((sum / 4000.0).abs() < 0.3);
    }

    #[test]
    fn cell_borders_start_at_zero() {
        let (mut least, mut most) = (f32::INFINITY, 0.0f32);
        for step in 0..10_000 {
            let c = cell((step % 100) as f32 * 0.07, (step / 100) as f32 * 0.07, 3);
            assert!(c.border >= 0.0 && (0.0..1.0).contains(&c.value));
            least = least.min(c.border);
            most = most.max(c.border);
        }
        assert!(least < 0.01 && most > 0.4, "{least} {most}");
    }
}
