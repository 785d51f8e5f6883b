//! How like one another normal images are, as they lie and turned: two images are laid over each other, shifted a little and
//! turned by every angle.

use rayon::prelude::*;

use super::plane::Plane;

/// Side of the pictures compared, in pixels (proposal).
pub(super) const SIDE: usize = 64;
/// Angles tried, evenly spaced over the full turn (proposal: every 10 degrees).
const ANGLES: usize = 36;
/// Largest shift tried, in pixels of [`SIDE`] (proposal: an eighth of the picture).
const SHIFT: i64 = 8;
/// Angles nearer to upright than this many steps count neither as upright nor as turned.
const NEAR: usize = 3;

/// How like one another images are. Each value is a correlation coefficient (zero-mean, normalised) of structure, that is of
/// brightness without slow changes of light, inside a disc, after the best shift of at most an eighth of the picture; over
/// pairs of images. 1 is alike, 0 is unrelated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    /// Mean, both images as they are.
    pub upright: f32,
    /// Mean over angles of at least 30 degrees, one image turned against the other.
    pub turned: f32,
    /// Median over the pairs, at each pair's best angle.
    pub best: f32,
    /// Pairs compared.
    pub pairs: usize,
}

impl Similarity {
    /// The share of the upright likeness that turning destroys, in [0, 1]: near 0 when orientation means nothing, because
    /// things lie in any pose or are symmetric. Means little where images are not alike in the first place.
    pub fn lost(&self) -> f32 {
        ((self.upright - self.turned) / self.upright.max(0.05)).clamp(0.0, 1.0)
    }
}

/// Compares images that do not follow each other, because neighbours are often near-duplicates. `planes` are at least two.
pub(super) fn similarity(planes: &[Plane]) -> Similarity {
    let n = planes.len();
    let (third, half) = ((n / 3).max(1), n / 2);
    let mut pairs: Vec<(usize, usize)> = (0..n).map(|i| (i, (i + third) % n)).collect();
    pairs.extend((0..half).map(|i| (i, i + half)));
    let curves: Vec<[f32; ANGLES]> = pairs
        .par_iter()
        .map(|&(a, b)| curve(&planes[a], &planes[b]))
        .collect();
    let mean = |values: &mut dyn Iterator<Item = f32>| {
        let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
        sum / count.max(1) as f32
    };
    let mut best: Vec<f32> = curves
        .iter()
        .map(|curve| curve.iter().copied().fold(f32::MIN, f32::max))
        .collect();
    best.sort_by(f32::total_cmp);
    Similarity {
        upright: mean(&mut curves.iter().map(|curve| curve[0])),
        turned: mean(
            &mut curves
                .iter()
                .flat_map(|curve| curve[NEAR..=ANGLES - NEAR].iter().copied()),
        ),
        best: best[best.len() / 2],
        pairs: pairs.len(),
    }
}

/// The correlation of two pictures at every angle, after the best shift.
fn curve(fixed: &Plane, moving: &Plane) -> [f32; ANGLES] {
    let disc = Disc::new(fixed);
    std::array::from_fn(|step| {
        let turned = moving.turned(step as f32 * 360.0 / ANGLES as f32);
        let mut best = -1.0_f32;
        for dy in -SHIFT..=SHIFT {
            for dx in -SHIFT..=SHIFT {
                // A round window of shifts keeps the disc inside the picture at every angle.
                if dx * dx + dy * dy <= SHIFT * SHIFT {
                    best = best.max(disc.correlation(&turned, dx, dy));
                }
            }
        }
        best
    })
}

/// The disc of a picture that is sought in others.
struct Disc {
    /// Begin of each row of the disc in the picture, and its values without their mean.
    rows: Vec<(usize, Vec<f32>)>,
    energy: f32,
    count: f32,
}

impl Disc {
    fn new(plane: &Plane) -> Self {
        let middle = (plane.side as f32 - 1.0) / 2.0;
        let radius = plane.side as f32 / 2.0 - 0.5 - SHIFT as f32;
        let mut rows = Vec::new();
        for y in 0..plane.side {
            let above = y as f32 - middle;
            let half = radius * radius - above * above;
            if half >= 0.0 {
                let first = (middle - half.sqrt()).ceil() as usize;
                let last = (middle + half.sqrt()).floor() as usize;
                let begin = y * plane.side + first;
                rows.push((begin, plane.values[begin..=begin + last - first].to_vec()));
            }
        }
        let count: usize = rows.iter().map(|(_, values)| values.len()).sum();
        let mean = rows.iter().flat_map(|(_, values)| values).sum::<f32>() / count as f32;
        let values = rows.iter_mut().flat_map(|(_, values)| values);
        let energy = values
            .map(|value| {
                *value -= mean;
                *value * *value
            })
            .sum();
        Self {
            rows,
            energy,
            count: count as f32,
        }
    }

    fn correlation(&self, other: &Plane, dx: i64, dy: i64) -> f32 {
        let offset = dy * other.side as i64 + dx;
        let (mut product, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (begin, values) in &self.rows {
            let there = &other.values[(*begin as i64 + offset) as usize..][..values.len()];
            for (a, b) in values.iter().zip(there) {
                product += a * b;
                sum += b;
                squares += b * b;
            }
        }
        let energy = self.energy * (squares - sum * sum / self.count);
        // A picture without structure is like none.
        if energy > 1e-6 * self.count * self.count {
            product / energy.sqrt()
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bar with a knob at one end, turned and shifted.
    fn bar(degrees: f32, dx: f32, dy: f32) -> Plane {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        let values = (0..SIDE * SIDE).map(|i| {
            let (x, y) = ((i % SIDE) as f32 - 31.5 - dx, (i / SIDE) as f32 - 31.5 - dy);
            let (u, v) = (cosine * x + sine * y, cosine * y - sine * x);
            let knob = (u - 12.0).powi(2) + v * v < 36.0;
            if knob || (u.abs() < 18.0 && v.abs() < 3.0) {
                100.0
            } else {
                0.0
            }
        });
        let plane = Plane {
            side: SIDE,
            values: values.collect(),
        };
        plane.band(0.7, 8.0)
    }

    #[test]
    fn a_fixed_pose_any_pose_and_symmetry_are_told_apart() {
        let fixed: Vec<Plane> = (0..6).map(|i| bar(0.0, i as f32 - 3.0, 2.0 - i as f32)).collect();
        let found = similarity(&fixed);
        assert!(
            found.best > 0.9 && found.upright > 0.9 && found.lost() > 0.5,
            "{found:?}"
        );
        let any: Vec<Plane> = (0..12).map(|i| bar(i as f32 * 130.0, 0.0, 0.0)).collect();
        let found = similarity(&any);
        assert!(found.best > 0.8 && found.lost() < 0.3, "{found:?}");
    }

    #[test]
    fn flat_pictures_are_alike_to_none() {
        let flat = Plane {
            side: SIDE,
            values: vec![7.0; SIDE * SIDE],
        };
        let found = similarity(&[flat.clone(), flat]);
        assert_eq!((found.upright, found.best), (0.0, 0.0));
    }
}
