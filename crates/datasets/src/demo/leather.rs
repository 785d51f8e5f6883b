//! `leather`: an irregular texture: cells of two sizes, wrinkles and pores under raking light.
//!
//! The surface is a height field; the light comes from the upper left. Good pieces are different
//! places of an endless hide, turned any way.

use rand::{Rng, RngCore};

use super::canvas::Canvas;
use super::lattice::{cell, layered, smooth};
use super::product::Product;
use super::shapes::{Color, Point, Pose, length, mix, nearest, polyline_length, scale, sin_cos, smoothstep};
use super::surface::Stain;

const TAN: Color = [0.50, 0.315, 0.20];

/// A piece of hide under the camera.
pub(super) struct Leather {
    pose: Pose,
    grain: u32,
    tone: f32,
}

/// One defect of the hide.
pub(super) enum Flaw {
    /// A slit with raised lips.
    Cut {
        points: Vec<Point>,
        width: f32,
        depth: f32,
    },
    /// A pressed line, wide and shallow, that flattens the grain.
    Crease {
        points: Vec<Point>,
        width: f32,
        depth: f32,
    },
    /// Holes left by an awl.
    Punctures {
        centers: Vec<Point>,
        radius: f32,
        depth: f32,
    },
    /// Dried glue or ink.
    Stain(Stain),
}

/// What a defect does at a point.
struct Damage {
    /// Change of height.
    height: f32,
    /// Share of the natural grain that is left.
    grain: f32,
    /// How much light does not come back.
    dark: f32,
}

impl Leather {
    /// Height of the undamaged grain.
    fn relief(&self, x: f32, y: f32) -> f32 {
        let p = self.pose.to_object(x, y);
        let drift = [
            p[0] + 0.018 * smooth(p[0] * 9.0, p[1] * 9.0, self.grain ^ 1),
            p[1] + 0.018 * smooth(p[0] * 9.0, p[1] * 9.0, self.grain ^ 2),
        ];
        let pebble = cell(drift[0] * 16.0, drift[1] * 16.0, self.grain);
        let plate = cell(drift[0] * 5.5, drift[1] * 7.0, self.grain ^ 3);
        let pebbles = smoothstep(0.0, 0.26, pebble.border) * (0.85 + 0.3 * pebble.value);
        let wrinkles = smoothstep(0.0, 0.10, plate.border);
        let pores = smooth(p[0] * 120.0, p[1] * 120.0, self.grain ^ 4);
        0.0115 * pebbles + 0.0100 * wrinkles + 0.0009 * pores
    }

    fn damage(flaw: Option<&Flaw>, x: f32, y: f32) -> Damage {
        let mut damage = Damage {
            height: 0.0,
            grain: 1.0,
            dark: 0.0,
        };
        match flaw {
            Some(Flaw::Cut { points, width, depth }) => {
                let near = nearest(points, x, y);
                if near.distance < 4.0 * width {
                    let whole = polyline_length(points);
                    // The blade enters and leaves gradually: the slit is widest in the middle.
                    let open = (smoothstep(-0.05 * whole, 0.35 * whole, near.along)
                        * smoothstep(1.05 * whole, 0.65 * whole, near.along))
                    .max(0.0);
                    let half = width * (0.25 + 0.75 * open);
                    let slit = 1.0 - smoothstep(0.4 * half, 1.1 * half, near.distance);
                    let lip = smoothstep(0.6 * half, 1.3 * half, near.distance)
                        * (1.0 - smoothstep(1.3 * half, 3.2 * half, near.distance));
                    damage.height = depth * open * (0.7 * lip - 0.5 * slit);
                    damage.dark = 0.85 * slit * (0.35 + 0.65 * open);
                }
            }
            Some(Flaw::Crease { points, width, depth }) => {
                let near = nearest(points, x, y);
                let whole = polyline_length(points);
                let ends =
                    smoothstep(0.0, 0.3 * whole, near.along) * smoothstep(whole, 0.7 * whole, near.along);
                let press = ends * (1.0 - smoothstep(0.0, *width, near.distance));
                damage.height = -depth * press;
                damage.grain = 1.0 - 0.75 * press;
                damage.dark = 0.10 * press * press;
            }
            Some(Flaw::Punctures {
                centers,
                radius,
                depth,
            }) => {
                for center in centers {
                    let away = length(x - center[0], y - center[1]);
                    let pit = 1.0 - smoothstep(0.45 * radius, 1.05 * radius, away);
                    let rim = smoothstep(0.8 * radius, 1.25 * radius, away)
                        * (1.0 - smoothstep(1.25 * radius, 2.3 * radius, away));
                    damage.height += depth * (0.8 * rim - pit);
                    damage.grain *= 1.0 - 0.8 * pit;
                    damage.dark = damage.dark.max(0.85 * pit);
                }
            }
            _ => {}
        }
        damage
    }

    /// A line of `pieces` pieces that turns by up to `wander` radians at every joint.
    fn line(start: Point, reach: f32, pieces: usize, wander: f32, rng: &mut dyn RngCore) -> Vec<Point> {
        let mut heading: f32 = rng.random_range(0.0..std::f32::consts::TAU);
        let (sine, cosine) = sin_cos(heading);
        // Centred on the start, so that the line stays in the picture.
        let mut points = vec![[start[0] - 0.5 * reach * cosine, start[1] - 0.5 * reach * sine]];
        for _ in 0..pieces {
            let (sine, cosine) = sin_cos(heading);
            let last = points[points.len() - 1];
            let step = reach / pieces as f32;
            points.push([last[0] + step * cosine, last[1] + step * sine]);
            heading += rng.random_range(-wander..wander);
        }
        points
    }
}

impl Product for Leather {
    const DEFECTS: &'static [&'static str] = &["crease", "cut", "puncture", "stain"];
    type Flaw = Flaw;

    fn draw(rng: &mut dyn RngCore) -> Self {
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        let size = rng.random_range(0.95..1.05);
        let far = [rng.random_range(-40.0..40.0), rng.random_range(-40.0..40.0)];
        Self {
            pose: Pose::new([0.5, 0.5], far, angle, size),
            grain: rng.next_u32(),
            tone: rng.random_range(0.94..1.06),
        }
    }

    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Flaw {
        let place = [rng.random_range(0.22..0.78), rng.random_range(0.22..0.78)];
        match defect {
            0 => Flaw::Crease {
                points: Self::line(place, 0.28 + 0.3 * strength, 6, 0.18, rng),
                width: 0.030 + 0.022 * strength,
                depth: 0.012 + 0.022 * strength,
            },
            1 => Flaw::Cut {
                points: Self::line(place, 0.14 + 0.26 * strength, 5, 0.22, rng),
                width: 0.010 + 0.010 * strength,
                depth: 0.015,
            },
            2 => Flaw::Punctures {
                centers: (0..rng.random_range(1..4usize))
                    .map(|_| {
                        [
                            place[0] + rng.random_range(-0.12..0.12),
                            place[1] + rng.random_range(-0.12..0.12),
                        ]
                    })
                    .collect(),
                radius: 0.018 + 0.018 * strength,
                depth: 0.016,
            },
            _ => {
                let tints = [[0.30, 0.28, 0.34], [0.55, 0.60, 0.75], [1.32, 1.38, 1.45]];
                let tint = tints[rng.random_range(0..tints.len())];
                let radius = (0.035 + 0.065 * strength) * rng.random_range(0.85..1.2);
                Flaw::Stain(Stain::draw(place, radius, tint, strength, rng))
            }
        }
    }

    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Flaw>) {
        canvas.raise(
            |x, y| {
                let damage = Self::damage(flaw, x, y);
                self.relief(x, y) * damage.grain + damage.height
            },
            |x, y, height, slope| {
                let p = self.pose.to_object(x, y);
                let patch = layered(p[0] * 3.0, p[1] * 3.0, 3, self.grain ^ 5);
                let lit = 1.0 + (0.55 * slope[0] + 0.65 * slope[1]).clamp(-0.45, 0.5);
                let open = 0.80 + 0.20 * smoothstep(0.0, 0.021, height);
                let hide = scale(TAN, self.tone * (1.0 + 0.06 * patch) * lit * open);
                mix(hide, [0.06, 0.045, 0.04], Self::damage(flaw, x, y).dark)
            },
        );
        if let Some(Flaw::Stain(stain)) = flaw {
            stain.paint(canvas, |_, _| true);
        }
    }
}
