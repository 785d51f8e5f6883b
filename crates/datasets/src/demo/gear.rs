//! `gear`: a turned steel gear on a pale belt, in any orientation, its geometry fixed.
//!
//! Good pieces differ by their angle, a small shift and the light, which stays with the camera
//! while the gear turns; every tooth and every hole is always there and in its place.

use rand::{Rng, RngCore};

use super::canvas::{Bounds, Canvas};
use super::lattice::{layered, smooth};
use super::product::Product;
use super::shapes::{Point, Pose, disc, length, mix, rounded_box, scale, sin_cos, smoothstep, turn};
use super::surface::Scratch;

const TEETH: usize = 18;
const ROOT: f32 = 0.335;
const TIP: f32 = 0.395;
const BORE: f32 = 0.085;
const HOLES: usize = 5;
const HOLE_CIRCLE: f32 = 0.21;
const HOLE: f32 = 0.050;
const CENTRE: Point = [0.5, 0.5];

/// A gear as it lies on the belt.
pub(super) struct Gear {
    pose: Pose,
    belt: u32,
    finish: u32,
}

/// One defect of a gear.
pub(super) enum Flaw {
    /// A tooth pushed over by `angle` radians about its foot.
    BentTooth { tooth: usize, angle: f32 },
    /// `count` teeth broken off at `height` of their length, along a slanting line.
    BrokenTooth {
        tooth: usize,
        count: usize,
        height: f32,
        slant: f32,
    },
    /// A hole of another place and size (size 0: not drilled).
    MisplacedHole { hole: usize, shift: Point, radius: f32 },
    /// A scratch across the face.
    Scratch(Scratch),
}

/// A tooth that points along +x from the centre; `slant` and `height` cut it.
fn tooth(p: Point, height: f32, slant: f32) -> f32 {
    let (x, y) = (p[0] - CENTRE[0], p[1] - CENTRE[1]);
    let half_width = 0.038 - 0.22 * (x - ROOT);
    let flank = (y.abs() - half_width) * 0.976;
    let top = x - (ROOT + (TIP - ROOT) * height) + slant * y;
    flank.max(top).max(ROOT - 0.05 - x)
}

impl Gear {
    /// Signed distance to the outline.
    fn outline(&self, p: Point, flaw: Option<&Flaw>) -> f32 {
        let (x, y) = (p[0] - CENTRE[0], p[1] - CENTRE[1]);
        let away = length(x, y);
        let body = away - ROOT;
        if !(ROOT - 0.05..TIP + 0.06).contains(&away) {
            return if away < ROOT { body } else { away - TIP };
        }
        let sector = std::f32::consts::TAU / TEETH as f32;
        let angle = libm::atan2f(y, x);
        let nearest = libm::roundf(angle / sector) as i32;
        let index = nearest.rem_euclid(TEETH as i32) as usize;
        let mut outline = body;
        match flaw {
            Some(Flaw::BentTooth {
                tooth: bent,
                angle: lean,
            }) => {
                if index != *bent {
                    outline = outline.min(tooth(turn(p, CENTRE, -nearest as f32 * sector), 1.0, 0.0));
                }
                // The bent one may reach over its neighbours' sectors.
                let straight = turn(p, CENTRE, -(*bent as f32) * sector);
                let foot = [CENTRE[0] + ROOT - 0.005, CENTRE[1]];
                outline.min(tooth(turn(straight, foot, -lean), 1.0, 0.0))
            }
            Some(Flaw::BrokenTooth {
                tooth: broken,
                count,
                height,
                slant,
            }) if (index + TEETH - broken) % TEETH < *count => {
                outline.min(tooth(turn(p, CENTRE, -nearest as f32 * sector), *height, *slant))
            }
            _ => outline.min(tooth(turn(p, CENTRE, -nearest as f32 * sector), 1.0, 0.0)),
        }
    }

    /// Signed distance to the nearest of the bore, the keyway and the holes (negative inside them).
    fn openings(p: Point, flaw: Option<&Flaw>) -> f32 {
        let bore = disc(p[0], p[1], CENTRE, BORE);
        let keyway = rounded_box(p[0], p[1], [CENTRE[0], CENTRE[1] - BORE], [0.022, 0.026], 0.003);
        let mut opening = bore.min(keyway);
        for hole in 0..HOLES {
            let (mut centre, mut radius) = (Self::hole_centre(hole), HOLE);
            if let Some(Flaw::MisplacedHole {
                hole: wrong,
                shift,
                radius: other,
            }) = flaw
                && *wrong == hole
            {
                centre = [centre[0] + shift[0], centre[1] + shift[1]];
                radius = *other;
                if radius <= 0.0 {
                    continue;
                }
            }
            opening = opening.min(disc(p[0], p[1], centre, radius));
        }
        opening
    }

    fn hole_centre(hole: usize) -> Point {
        let (sine, cosine) = sin_cos(std::f32::consts::TAU * (hole as f32 + 0.25) / HOLES as f32);
        [CENTRE[0] + HOLE_CIRCLE * cosine, CENTRE[1] + HOLE_CIRCLE * sine]
    }

    fn solid(&self, p: Point, flaw: Option<&Flaw>) -> f32 {
        let outline = self.outline(p, flaw);
        let away = length(p[0] - CENTRE[0], p[1] - CENTRE[1]);
        if away > HOLE_CIRCLE + HOLE + 0.06 {
            outline
        } else {
            outline.max(-Self::openings(p, flaw))
        }
    }
}

impl Product for Gear {
    const DEFECTS: &'static [&'static str] = &["bent_tooth", "broken_tooth", "misplaced_hole", "scratch"];
    type Flaw = Flaw;

    fn draw(rng: &mut dyn RngCore) -> Self {
        let shift = [rng.random_range(-0.02..0.02), rng.random_range(-0.02..0.02)];
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        Self {
            pose: Pose::new(CENTRE, shift, angle, 1.0),
            belt: rng.next_u32(),
            finish: rng.next_u32(),
        }
    }

    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Flaw {
        let way = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let tooth = rng.random_range(0..TEETH);
        match defect {
            0 => Flaw::BentTooth {
                tooth,
                angle: way * (0.22 + 0.55 * strength) * rng.random_range(0.9..1.1),
            },
            1 => Flaw::BrokenTooth {
                tooth,
                count: if strength > 0.75 { 2 } else { 1 },
                height: (0.65 - 0.75 * strength).max(0.0),
                slant: way * rng.random_range(0.1..0.6),
            },
            2 => {
                let hole = rng.random_range(0..HOLES);
                if rng.random_bool(0.3) {
                    return Flaw::MisplacedHole {
                        hole,
                        shift: [0.0; 2],
                        radius: 0.0,
                    };
                }
                let (sine, cosine) = sin_cos(rng.random_range(0.0..std::f32::consts::TAU));
                let far = 0.012 + 0.026 * strength;
                Flaw::MisplacedHole {
                    hole,
                    shift: [far * cosine, far * sine],
                    radius: HOLE * rng.random_range(0.9..1.12),
                }
            }
            _ => {
                let (sine, cosine) = sin_cos(rng.random_range(0.0..std::f32::consts::TAU));
                let from = rng.random_range(0.13..0.29);
                let start = self
                    .pose
                    .to_picture([CENTRE[0] + from * cosine, CENTRE[1] + from * sine]);
                Flaw::Scratch(Scratch::draw(
                    start,
                    rng.random_range(0.0..std::f32::consts::TAU),
                    0.14 + 0.22 * strength,
                    0.006 + 0.005 * strength,
                    0.2 + 0.8 * strength,
                    rng,
                ))
            }
        }
    }

    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Flaw>) {
        canvas.repaint(Bounds::ALL, |x, y, _| {
            let cloth = smooth(x * 70.0, y * 70.0, self.belt);
            let worn = layered(x * 3.0, y * 3.0, 3, self.belt ^ 1);
            scale([0.69, 0.70, 0.69], 1.0 + 0.018 * cloth + 0.05 * worn)
        });
        canvas.shadow(Bounds::ALL, 0.5, 0.05, |x, y| {
            self.solid(self.pose.to_object(x - 0.016, y - 0.020), flaw)
        });
        canvas.paint(
            Bounds::ALL,
            |x, y| self.solid(self.pose.to_object(x, y), flaw),
            |x, y, d| {
                let p = self.pose.to_object(x, y);
                let (ox, oy) = (p[0] - CENTRE[0], p[1] - CENTRE[1]);
                let away = length(ox, oy);
                let centre = self.pose.to_picture(CENTRE);
                let (dx, dy) = ((x - centre[0]) / away.max(0.02), (y - centre[1]) / away.max(0.02));
                // Turned metal: two fans of light that stay with the lamp (upper left), and rings.
                let fan = dx * 0.6 + dy * 0.8;
                let rings = smooth(away * 150.0, 0.5, 77) + 0.5 * smooth(away * 420.0, 0.5, 78);
                let spots = layered(p[0] * 9.0, p[1] * 9.0, 2, self.finish);
                let mut light = 0.42 + 0.20 * fan * fan + 0.035 * rings + 0.020 * spots;
                // The hub stands proud, the web is recessed.
                let hub = (away - 0.135).abs();
                light *= 1.0 - 0.22 * (1.0 - smoothstep(0.002, 0.010, hub));
                let rim = (away - 0.292).abs();
                light *= 1.0 - 0.25 * (1.0 - smoothstep(0.002, 0.010, rim));
                if away > 0.135 && away < 0.292 {
                    light *= 0.90;
                }
                // A chamfer at every edge: bright towards the lamp, dark away from it.
                let chamfer = smoothstep(-0.014, -0.004, d);
                let facing = if away > 0.292 { -(dx + dy) } else { dx + dy };
                light *= 1.0 + chamfer * (0.22 + 0.25 * facing.clamp(-1.0, 1.0));
                mix(scale([0.98, 1.0, 1.04], light), [0.95; 3], 0.10 * chamfer)
            },
        );
        if let Some(Flaw::Scratch(scratch)) = flaw {
            scratch.paint(canvas, |x, y| {
                self.solid(self.pose.to_object(x, y), None) < -0.002
            });
        }
    }
}
