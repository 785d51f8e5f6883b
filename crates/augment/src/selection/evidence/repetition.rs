//! Whether structure repeats at a fixed distance: peaks of the autocorrelation.

use rayon::prelude::*;

use super::plane::Plane;

/// Side of the pictures, in pixels (proposal).
pub(super) const SIDE: usize = 128;
/// Largest distance that is tried, in pixels of [`SIDE`] (proposal).
const REACH: i64 = 40;
/// Smallest distance of a repetition, in pixels of [`SIDE`].
const NEAREST: i64 = 4;

/// The strongest peak of the autocorrelation of a picture beside the one at distance 0: 1 when all repeats exactly, at most
/// about 0.2 when nothing does. The median over the pictures. A ridge from distance 0 on, which a grain makes, is no
/// peak: on the way to a peak the autocorrelation falls to less than half of it.
pub(super) fn repetition(planes: &[Plane]) -> f32 {
    let mut peaks: Vec<f32> = planes.par_iter().map(peak).collect();
    peaks.sort_by(f32::total_cmp);
    peaks.get(peaks.len() / 2).copied().unwrap_or(0.0)
}

fn peak(plane: &Plane) -> f32 {
    let side = plane.side as i64;
    let mean = plane.values.iter().sum::<f32>() / plane.values.len() as f32;
    let values: Vec<f32> = plane.values.iter().map(|v| v - mean).collect();
    let columns = 2 * REACH + 1;
    // Half of the plane of distances; the other half is its mirror.
    let correlate = |dx: i64, dy: i64| -> f32 {
        let (first, last) = (0.max(-dx), side.min(side - dx));
        let (mut product, mut here, mut there) = (0.0, 0.0, 0.0);
        for y in 0..side - dy {
            let a = &values[(y * side + first) as usize..(y * side + last) as usize];
            let b = &values[((y + dy) * side + first + dx) as usize..][..a.len()];
            for (a, b) in a.iter().zip(b) {
                product += a * b;
                here += a * a;
                there += b * b;
            }
        }
        let energy = here * there;
        if energy > 1e-6 {
            product / energy.sqrt()
        } else {
            0.0
        }
    };
    let map: Vec<f32> = (0..=REACH)
        .flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy)))
        .map(|(dx, dy)| correlate(dx, dy))
        .collect();
    let at = |dx: i64, dy: i64| {
        let (dx, dy) = if dy < 0 { (-dx, -dy) } else { (dx, dy) };
        map[(dy * columns + dx + REACH) as usize]
    };
    let mut strongest = 0.0_f32;
    for dy in 0..REACH - 1 {
        for dx in 2 - REACH..REACH - 1 {
            let value = at(dx, dy);
            if value <= strongest || dx * dx + dy * dy < NEAREST * NEAREST {
                continue;
            }
            let top = (-2..=2).all(|v| (-2..=2).all(|u| at(dx + u, dy + v) <= value));
            let length = dx.abs().max(dy);
            let lowest = (0..=length)
                .map(|t| at(round(dx * t, length), round(dy * t, length)))
                .fold(f32::MAX, f32::min);
            if top && lowest < 0.5 * value {
                strongest = value;
            }
        }
    }
    strongest
}

/// `a / b`, rounded to the nearest, for positive `b`.
fn round(a: i64, b: i64) -> i64 {
    (2 * a + b).div_euclid(2 * b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stream;
    use rand::Rng;

    fn plane(f: impl FnMut(f32, f32) -> f32) -> Plane {
        let mut f = f;
        let values = (0..SIDE * SIDE).map(|i| f((i % SIDE) as f32, (i / SIDE) as f32));
        Plane {
            side: SIDE,
            values: values.collect(),
        }
    }

    #[test]
    fn tiles_repeat_noise_and_grain_do_not() {
        let tiles = plane(|x, y| (x * 0.5).sin() * (y * 0.4).sin());
        assert!(repetition(&[tiles]) > 0.9);
        let mut rng = Stream::default().rng("noise");
        let noise = plane(|_, _| rng.random::<f32>()).band(1.5, 8.0);
        assert!(repetition(&[noise]) < 0.25);
        let lines: Vec<f32> = (0..SIDE).map(|_| rng.random()).collect();
        let grain = plane(|x, _| lines[x as usize]).band(1.0, 8.0);
        assert!(repetition(&[grain]) < 0.35);
        assert_eq!(repetition(&[plane(|_, _| 3.0)]), 0.0);
    }
}
