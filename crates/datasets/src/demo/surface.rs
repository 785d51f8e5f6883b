//! Things that happen to any surface: a dried drop, a scratch.

use rand::{Rng, RngCore};

use super::canvas::{Bounds, Canvas};
use super::shapes::{Color, Point, length, mix, nearest, polyline_length, sin_cos, smoothstep};

/// A semi-transparent drop that has dried: an uneven outline, a darker rim, a paler middle.
#[derive(Clone, Debug)]
pub(super) struct Stain {
    center: Point,
    radius: f32,
    /// Unit vectors and depths of the bulges of the outline.
    bulges: [(Point, f32); 4],
    /// What the drop does to white light.
    tint: Color,
    /// Share of that effect in the middle of the drop.
    body: f32,
    /// Extra share at the rim.
    rim: f32,
}

impl Stain {
    /// A drop around `centre`, its outline up to twice as far away as `radius`.
    pub(super) fn draw(
        center: Point,
        radius: f32,
        tint: Color,
        strength: f32,
        rng: &mut dyn RngCore,
    ) -> Self {
        let bulges = std::array::from_fn(|_| {
            let (sine, cosine) = sin_cos(rng.random_range(0.0..std::f32::consts::TAU));
            ([cosine, sine], rng.random_range(-0.30..0.45))
        });
        Self {
            center,
            radius,
            bulges,
            tint,
            body: (0.25 + 0.5 * strength) * rng.random_range(0.85..1.15),
            rim: (0.15 + 0.25 * strength) * rng.random_range(0.7..1.3),
        }
    }

    /// Lets the drop tint what is already painted, where `keep(x, y)` holds.
    pub(super) fn paint(&self, canvas: &mut Canvas, keep: impl Fn(f32, f32) -> bool) {
        let bounds = Bounds::around(self.center, self.radius * 2.4);
        let soft = (0.07 * self.radius).max(canvas.sample_width());
        canvas.repaint(bounds, |x, y, under| {
            let (dx, dy) = (x - self.center[0], y - self.center[1]);
            let away = length(dx, dy).max(1e-6);
            let mut reach = self.radius;
            for (towards, depth) in self.bulges {
                let facing = ((dx * towards[0] + dy * towards[1]) / away).max(0.0);
                reach *= 1.0 + depth * facing * facing;
            }
            let inside = reach - away;
            let cover = smoothstep(-soft, soft, inside);
            if cover == 0.0 || !keep(x, y) {
                return under;
            }
            // The rim: pigment gathers where the drop dried last.
            let ring = 1.0 - smoothstep(0.06 * reach, 0.24 * reach, inside);
            let amount = (cover * (self.body + self.rim * ring)).min(1.0);
            let tinted = std::array::from_fn(|c| under[c] * self.tint[c]);
            mix(under, tinted, amount)
        });
    }
}

/// A scratch: a thin, slightly crooked line, bright on one side and dark on the other.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    points: Vec<Point>,
    width: f32,
    bright: f32,
    dark: f32,
}

impl Scratch {
    /// A scratch that starts at `start`, runs about `reach` in the direction `angle`, and wanders.
    pub(super) fn draw(
        start: Point,
        angle: f32,
        reach: f32,
        width: f32,
        strength: f32,
        rng: &mut dyn RngCore,
    ) -> Self {
        let pieces = rng.random_range(4..7usize);
        let bend = rng.random_range(-0.35..0.35) / pieces as f32;
        let mut heading = angle;
        let mut points = vec![start];
        for _ in 0..pieces {
            heading += bend + rng.random_range(-0.12..0.12);
            let (sine, cosine) = sin_cos(heading);
            let step = reach / pieces as f32 * rng.random_range(0.8..1.2);
            let last = points[points.len() - 1];
            points.push([last[0] + step * cosine, last[1] + step * sine]);
        }
        Self {
            points,
            width,
            bright: (0.16 + 0.44 * strength) * rng.random_range(0.85..1.1),
            dark: (0.25 + 0.40 * strength) * rng.random_range(0.85..1.1),
        }
    }

    /// Scratches what is already painted, where `keep(x, y)` holds.
    pub(super) fn paint(&self, canvas: &mut Canvas, keep: impl Fn(f32, f32) -> bool) {
        let whole = polyline_length(&self.points);
        let bounds = Bounds::enclosing(&self.points, 2.5 * self.width);
        canvas.repaint(bounds, |x, y, under| {
            let near = nearest(&self.points, x, y);
            if near.distance > 2.0 * self.width || !keep(x, y) {
                return under;
            }
            // The tool bites gradually and lifts off gradually.
            let ends = smoothstep(0.0, 0.2 * whole, near.along) * smoothstep(whole, 0.8 * whole, near.along);
            let ridge = 1.0 - smoothstep(0.2 * self.width, self.width, (near.side - 0.4 * self.width).abs());
            let groove = 1.0 - smoothstep(0.2 * self.width, self.width, (near.side + 0.6 * self.width).abs());
            let lit = mix(under, [1.0; 3], ridge * self.bright * ends);
            lit.map(|channel| channel * (1.0 - groove * self.dark * ends))
        });
    }
}
