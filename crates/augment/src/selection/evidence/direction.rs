//! Whether texture runs in one direction, the same in every image: the directions of the brightness gradient.

use super::plane::Plane;

/// The direction in which brightness changes, over all images. The direction of a gradient is doubled (one direction, as
/// grain has) or quadrupled (two at right angles, as cloth has) and averaged with the energy of the gradient as its weight:
/// the length of the mean is 0 for no direction and 1 for one alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// Length of the mean over all images of the doubled direction: a grain common to all.
    pub grain: f32,
    /// Length of the mean over all images of the quadrupled direction: a grid common to all.
    pub grid: f32,
    /// Mean over the images of each one's own grain. Much larger than `grain`: every image has its own direction.
    pub own_grain: f32,
    /// Mean over the images of each one's own grid.
    pub own_grid: f32,
}

/// `planes` are at least one.
pub(super) fn direction(planes: &[Plane]) -> Direction {
    let each: Vec<[[f32; 2]; 2]> = planes.iter().map(harmonics).collect();
    let n = each.len() as f32;
    let common = |k: usize| {
        let sum = each
            .iter()
            .fold([0.0, 0.0], |s, v| [s[0] + v[k][0], s[1] + v[k][1]]);
        sum[0].hypot(sum[1]) / n
    };
    let own = |k: usize| each.iter().map(|v| v[k][0].hypot(v[k][1])).sum::<f32>() / n;
    Direction {
        grain: common(0),
        grid: common(1),
        own_grain: own(0),
        own_grid: own(1),
    }
}

/// The second and the fourth harmonic of the gradient's direction, inside a disc: a square would prefer its sides.
fn harmonics(plane: &Plane) -> [[f32; 2]; 2] {
    let side = plane.side;
    let middle = (side as f32 - 1.0) / 2.0;
    let radius = middle - 1.0;
    let (mut grain, mut grid, mut total) = ([0.0_f64; 2], [0.0_f64; 2], 0.0_f64);
    for y in 1..side - 1 {
        for x in 1..side - 1 {
            if (x as f32 - middle).powi(2) + (y as f32 - middle).powi(2) > radius * radius {
                continue;
            }
            let at = y * side + x;
            let v = &plane.values;
            let (gx, gy) = (
                f64::from(v[at + 1] - v[at - 1]),
                f64::from(v[at + side] - v[at - side]),
            );
            let energy = gx * gx + gy * gy;
            if energy > 0.0 {
                let double = [gx * gx - gy * gy, 2.0 * gx * gy];
                let quadruple = [
                    (double[0] * double[0] - double[1] * double[1]) / energy,
                    2.0 * double[0] * double[1] / energy,
                ];
                for k in 0..2 {
                    grain[k] += double[k];
                    grid[k] += quadruple[k];
                }
                total += energy;
            }
        }
    }
    let share = |sum: [f64; 2]| sum.map(|s| if total > 1e-9 { (s / total) as f32 } else { 0.0 });
    [share(grain), share(grid)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(degrees: f32, crossed: bool) -> Plane {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let values = (0..64 * 64).map(|i| {
            let (x, y) = ((i % 64) as f32, (i / 64) as f32);
            let (u, v) = (cosine * x + sine * y, cosine * y - sine * x);
            (u * 0.6).sin() + if crossed { (v * 0.6).sin() } else { 0.0 }
        });
        Plane {
            side: 64,
            values: values.collect(),
        }
    }

    #[test]
    fn grain_grid_and_none() {
        let grain = direction(&[waves(20.0, false), waves(22.0, false)]);
        assert!(grain.grain > 0.95, "{grain:?}");
        let grid = direction(&[waves(20.0, true), waves(22.0, true)]);
        assert!(grid.grain < 0.05 && grid.grid > 0.4, "{grid:?}");
        let any = direction(&[
            waves(0.0, false),
            waves(45.0, false),
            waves(90.0, false),
            waves(135.0, false),
        ]);
        assert!(any.grain < 0.05 && any.own_grain > 0.95, "{any:?}");
    }
}
