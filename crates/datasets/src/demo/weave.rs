//! `weave`: a plain weave of pale warp and grey-blue weft, a regular texture.
//!
//! Good pieces differ by where the weave begins, by a few per cent of scale, by a degree or two of
//! skew, and by the fibres; every yarn passes over and under its neighbours in turn.

use rand::{Rng, RngCore};

use super::canvas::{Bounds, Canvas};
use super::lattice::{hash, smooth};
use super::product::Product;
use super::shapes::{Color, Point, Pose, length, mix, nearest, scale, sin_cos};
use super::surface::Stain;

/// Distance between neighbouring yarns.
const PERIOD: f32 = 1.0 / 10.0;
/// Half the width of a yarn in periods.
const HALF_WIDTH: f32 = 0.45;
/// How far a yarn rises and dips, against the roundness of its profile (1).
const LIFT: f32 = 0.9;

const WARP: Color = [0.74, 0.70, 0.60];
const WEFT: Color = [0.42, 0.48, 0.55];
const BACKING: Color = [0.085, 0.080, 0.080];

/// A piece of cloth under the camera.
pub(super) struct Weave {
    pose: Pose,
    phase: Point,
    fibers: u32,
}

/// One defect of the cloth.
pub(super) enum Flaw {
    /// Yarns torn away around a point; every yarn ends at its own distance.
    Hole {
        center: Point,
        radius: f32,
        ragged: u32,
        strands: Vec<[Point; 3]>,
    },
    /// A thread that lies on the cloth.
    LooseThread {
        points: Vec<Point>,
        color: Color,
        width: f32,
    },
    /// A yarn absent between two places.
    MissingYarn {
        warp: bool,
        index: i32,
        from: f32,
        to: f32,
    },
    /// A dried drop.
    Stain(Stain),
}

/// The visible yarn at a point.
struct Seen {
    height: f32,
    color: Color,
}

impl Weave {
    /// Weave coordinates: yarn number and place within the yarn, both in periods.
    fn in_periods(&self, x: f32, y: f32) -> Point {
        let p = self.pose.to_object(x, y);
        [p[0] / PERIOD + self.phase[0], p[1] / PERIOD + self.phase[1]]
    }

    /// One family of yarns at a point: `across` counts the yarns, `along` runs with them.
    fn yarn(&self, warp: bool, across: f32, along: f32) -> Option<Seen> {
        let (index, crossing) = (across.floor(), along.floor());
        let (offset, place) = (across - index - 0.5, along - crossing - 0.5);
        let inside = offset / HALF_WIDTH;
        if inside.abs() >= 1.0 {
            return None;
        }
        let over = ((index as i32 + crossing as i32) & 1 == 0) == warp;
        let rise = 1.0 - 4.0 * place * place;
        let height = 1.0 - inside * inside + LIFT * if over { rise } else { -rise };
        // Twisted fibres run obliquely along the yarn; no two yarns are dyed quite alike.
        let seed = self.fibers ^ (index as i32 as u32).wrapping_mul(2_654_435_769) ^ u32::from(warp);
        let twist = smooth(along * 1.3 + inside * 1.2, inside * 3.0 - along * 2.2, seed);
        let dye = hash(index as i32, 11, seed) - 0.5;
        let color = scale(if warp { WARP } else { WEFT }, 1.0 + 0.10 * twist + 0.07 * dye);
        Some(Seen { height, color })
    }

    /// Whether a yarn is there, given the defect.
    fn present(flaw: Option<&Flaw>, warp: bool, across: f32, along: f32) -> bool {
        match flaw {
            Some(Flaw::MissingYarn {
                warp: which,
                index,
                from,
                to,
            }) => *which != warp || across.floor() as i32 != *index || !(*from..*to).contains(&along),
            Some(Flaw::Hole {
                center,
                radius,
                ragged,
                ..
            }) => {
                let index = across.floor();
                let (a, b) = if warp {
                    (center[0], center[1])
                } else {
                    (center[1], center[0])
                };
                let side = if along < b { 1 } else { 2 };
                let reach = radius * (0.72 + 0.5 * hash(index as i32, side, *ragged));
                length(index + 0.5 - a, along - b) > reach
            }
            _ => true,
        }
    }

    fn shade(&self, x: f32, y: f32, flaw: Option<&Flaw>) -> Color {
        let p = self.in_periods(x, y);
        let warp = self
            .yarn(true, p[0], p[1])
            .filter(|_| Self::present(flaw, true, p[0], p[1]));
        let weft = self
            .yarn(false, p[1], p[0])
            .filter(|_| Self::present(flaw, false, p[1], p[0]));
        let seen = match (warp, weft) {
            (Some(a), Some(b)) => Some(if a.height > b.height { a } else { b }),
            (a, b) => a.or(b),
        };
        match seen {
            None => BACKING,
            Some(Seen { height, color }) => {
                // 1 + LIFT on the crown of a yarn, -LIFT deep under another.
                let open = ((height + LIFT) / (1.0 + 2.0 * LIFT)).clamp(0.0, 1.0);
                mix(BACKING, color, 0.30 + 0.78 * open)
            }
        }
    }

    fn paint_thread(&self, canvas: &mut Canvas, points: &[Point], color: Color, width: f32) {
        let bounds = Bounds::enclosing(points, 4.0 * width + 0.01);
        canvas.shadow(bounds, 0.45, 2.0 * width, |x, y| {
            nearest(points, x - 0.8 * width, y - 0.9 * width).distance - width
        });
        canvas.paint(
            bounds,
            |x, y| nearest(points, x, y).distance - width,
            |x, y, _| {
                let near = nearest(points, x, y);
                let across = near.side / width;
                let twist = smooth(near.along * 60.0 + across, across * 2.0, self.fibers ^ 9);
                scale(
                    color,
                    (0.62 + 0.42 * (1.0 - across * across).max(0.0)) * (1.0 + 0.1 * twist),
                )
            },
        );
    }
}

impl Product for Weave {
    const DEFECTS: &'static [&'static str] = &["hole", "loose_thread", "missing_yarn", "stain"];
    type Flaw = Flaw;

    fn draw(rng: &mut dyn RngCore) -> Self {
        let angle = rng.random_range(-0.015..0.015);
        let size = rng.random_range(0.98..1.02);
        Self {
            pose: Pose::new([0.5, 0.5], [0.0; 2], angle, size),
            // A whole number of pairs, so that counting yarns from 0 stays even.
            phase: [rng.random_range(20.0..22.0), rng.random_range(20.0..22.0)],
            fibers: rng.next_u32(),
        }
    }

    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Flaw {
        let place = [rng.random_range(0.2..0.8), rng.random_range(0.2..0.8)];
        match defect {
            0 => {
                let radius = 0.034 + 0.055 * strength;
                let strands = (0..rng.random_range(1..4))
                    .map(|_| {
                        let (sine, cosine) = sin_cos(rng.random_range(0.0..std::f32::consts::TAU));
                        let at = |r: f32, lean: f32| {
                            [
                                place[0] + r * cosine - lean * sine,
                                place[1] + r * sine + lean * cosine,
                            ]
                        };
                        let lean = rng.random_range(-0.6..0.6) * radius;
                        [
                            at(1.1 * radius, 0.0),
                            at(0.6 * radius, 0.4 * lean),
                            at(0.1 * radius, lean),
                        ]
                    })
                    .collect();
                Flaw::Hole {
                    center: self.in_periods(place[0], place[1]),
                    radius: radius / PERIOD,
                    ragged: rng.next_u32(),
                    strands,
                }
            }
            1 => {
                let pieces = 14;
                let reach = 0.18 + 0.40 * strength;
                let mut heading: f32 = rng.random_range(0.0..std::f32::consts::TAU);
                let mut curl: f32 = rng.random_range(-0.3..0.3);
                let mut points = vec![place];
                for _ in 0..pieces {
                    curl = (curl + rng.random_range(-0.25..0.25)).clamp(-0.55, 0.55);
                    heading += curl;
                    let (sine, cosine) = sin_cos(heading);
                    let last = points[points.len() - 1];
                    let step = reach / pieces as f32;
                    points.push([last[0] + step * cosine, last[1] + step * sine]);
                }
                let colors = [
                    [0.80, 0.77, 0.68],
                    [0.30, 0.34, 0.42],
                    [0.62, 0.24, 0.20],
                    [0.20, 0.18, 0.17],
                ];
                Flaw::LooseThread {
                    points,
                    color: colors[rng.random_range(0..colors.len())],
                    width: 0.010 + 0.007 * strength,
                }
            }
            2 => {
                let at = self.in_periods(place[0], place[1]);
                let warp = rng.random_bool(0.5);
                let (across, along) = if warp { (at[0], at[1]) } else { (at[1], at[0]) };
                let half = (0.08 + 0.22 * strength) / PERIOD;
                Flaw::MissingYarn {
                    warp,
                    index: across.floor() as i32,
                    from: along - half,
                    to: along + half,
                }
            }
            _ => {
                let tints = [[0.42, 0.36, 0.26], [0.30, 0.30, 0.30], [0.68, 0.42, 0.30]];
                let radius = (0.035 + 0.06 * strength) * rng.random_range(0.85..1.2);
                let tint = tints[rng.random_range(0..tints.len())];
                Flaw::Stain(Stain::draw(place, radius, tint, strength, rng))
            }
        }
    }

    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Flaw>) {
        canvas.repaint(Bounds::ALL, |x, y, _| {
            let worn = 1.0 + 0.03 * smooth(x * 3.0, y * 3.0, self.fibers ^ 3);
            scale(self.shade(x, y, flaw), worn)
        });
        match flaw {
            Some(Flaw::Hole { strands, .. }) => {
                for strand in strands {
                    self.paint_thread(canvas, strand, scale(WARP, 0.8), 0.005);
                }
            }
            Some(Flaw::LooseThread { points, color, width }) => {
                self.paint_thread(canvas, points, *color, *width);
            }
            Some(Flaw::Stain(stain)) => stain.paint(canvas, |_, _| true),
            _ => {}
        }
    }
}
