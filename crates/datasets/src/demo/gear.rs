//! `gear`: a coarse steel gear on a pale belt, in any orientation, its geometry fixed.
//!
//! Good pieces differ by their angle, a small shift and the light, which stays with the camera
//! while the gear turns; every tooth is always there, straight and of the same length.

use rand::{Rng, RngCore};

use super::canvas::{Bounds, Canvas};
use super::lattice::{layered, smooth};
use super::product::Product;
use super::shapes::{Point, Pose, disc, length, mix, scale, sin_cos, smoothstep, turn};
use super::surface::{Scratch, Stain};

const TEETH: usize = 6;
const ROOT: f32 = 0.285;
const TIP: f32 = 0.400;
const BORE: f32 = 0.105;
const HUB: f32 = 0.165;
const CENTER: Point = [0.5, 0.5];

/// Where the broad face ends and the teeth begin: a turned groove.
const GROOVE: f32 = 0.250;

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
    /// A tooth broken off at `height` of its length, along a slanting line.
    BrokenTooth { tooth: usize, height: f32, slant: f32 },
    /// Rust, in one to three drops that overlap.
    Rust(Vec<Stain>),
    /// A scratch across the face.
    Scratch(Scratch),
}

/// A tooth that points along +x from the centre; `slant` and `height` cut it.
fn tooth(p: Point, height: f32, slant: f32) -> f32 {
    let (x, y) = (p[0] - CENTER[0], p[1] - CENTER[1]);
    let half_width = 0.092 - 0.30 * (x - ROOT);
    let flank = (y.abs() - half_width) * 0.958;
    let top = x - (ROOT + (TIP - ROOT) * height) + slant * y;
    flank.max(top).max(ROOT - 0.05 - x)
}

impl Gear {
    /// Signed distance to the outline.
    fn outline(&self, p: Point, flaw: Option<&Flaw>) -> f32 {
        let (x, y) = (p[0] - CENTER[0], p[1] - CENTER[1]);
        let away = length(x, y);
        let body = away - ROOT;
        if !(ROOT - 0.05..TIP + 0.06).contains(&away) {
            return if away < ROOT { body } else { away - TIP };
        }
        let sector = std::f32::consts::TAU / TEETH as f32;
        let nearest = libm::roundf(libm::atan2f(y, x) / sector) as i32;
        let index = nearest.rem_euclid(TEETH as i32) as usize;
        let here = turn(p, CENTER, -nearest as f32 * sector);
        match flaw {
            Some(Flaw::BentTooth {
                tooth: bent,
                angle: lean,
            }) => {
                let straight = if index == *bent {
                    body
                } else {
                    body.min(tooth(here, 1.0, 0.0))
                };
                // The bent one may reach over its neighbours' sectors.
                let there = turn(p, CENTER, -(*bent as f32) * sector);
                let foot = [CENTER[0] + ROOT - 0.005, CENTER[1]];
                straight.min(tooth(turn(there, foot, -lean), 1.0, 0.0))
            }
            Some(Flaw::BrokenTooth {
                tooth: broken,
                height,
                slant,
            }) if index == *broken => body.min(tooth(here, *height, *slant)),
            _ => body.min(tooth(here, 1.0, 0.0)),
        }
    }

    /// Share of bare, bright metal that a defect leaves: the fracture of a tooth, the strained foot of another.
    fn bared(&self, p: Point, flaw: Option<&Flaw>) -> f32 {
        let sector = std::f32::consts::TAU / TEETH as f32;
        let along = |tooth: usize| turn(p, CENTER, -(tooth as f32) * sector);
        let rough = 0.80 + 0.20 * smooth(p[0] * 80.0, p[1] * 80.0, self.finish ^ 1);
        match flaw {
            Some(Flaw::BrokenTooth { tooth, height, slant }) => {
                let q = along(*tooth);
                let (x, y) = (q[0] - CENTER[0], q[1] - CENTER[1]);
                let depth = ROOT + (TIP - ROOT) * height - slant * y - x;
                let wide = 1.0 - smoothstep(0.085, 0.100, y.abs());
                let face = smoothstep(0.034, 0.022, depth) * wide;
                if x > 0.0 { 0.85 * rough * face } else { 0.0 }
            }
            Some(Flaw::BentTooth { tooth, .. }) => {
                let q = along(*tooth);
                let (x, y) = (q[0] - CENTER[0], q[1] - CENTER[1]);
                let crease = smoothstep(0.014, 0.005, (x - ROOT + 0.004).abs());
                0.25 * rough * crease * smoothstep(0.095, 0.075, y.abs())
            }
            _ => 0.0,
        }
    }

    fn solid(&self, p: Point, flaw: Option<&Flaw>) -> f32 {
        self.outline(p, flaw).max(-disc(p[0], p[1], CENTER, BORE))
    }
}

impl Product for Gear {
    const DEFECTS: &'static [&'static str] = &["bent_tooth", "broken_tooth", "rust", "scratch"];
    type Flaw = Flaw;

    fn draw(rng: &mut dyn RngCore) -> Self {
        let shift = [rng.random_range(-0.015..0.015), rng.random_range(-0.015..0.015)];
        let angle = rng.random_range(0.0..std::f32::consts::TAU);
        Self {
            pose: Pose::new(CENTER, shift, angle, 1.0),
            belt: rng.next_u32(),
            finish: rng.next_u32(),
        }
    }

    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Flaw {
        let way = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let tooth = rng.random_range(0..TEETH);
        let heading = rng.random_range(0.0..std::f32::consts::TAU);
        let (sine, cosine) = sin_cos(heading);
        match defect {
            0 => Flaw::BentTooth {
                tooth,
                angle: way * (0.26 + 0.36 * strength) * rng.random_range(0.9..1.1),
            },
            1 => Flaw::BrokenTooth {
                tooth,
                height: (0.62 - 0.75 * strength).max(0.0),
                slant: way * rng.random_range(0.1..0.6),
            },
            2 => {
                let from = rng.random_range(0.16..0.27);
                let at = [CENTER[0] + from * cosine, CENTER[1] + from * sine];
                let drops = (0..rng.random_range(1..4))
                    .map(|_| {
                        let radius = (0.030 + 0.045 * strength) * rng.random_range(0.8..1.2);
                        let near = [
                            at[0] + rng.random_range(-1.2..1.2) * radius,
                            at[1] + rng.random_range(-1.2..1.2) * radius,
                        ];
                        let place = self.pose.to_picture(near);
                        Stain::draw(place, radius, [1.12, 0.62, 0.36], strength, rng)
                    })
                    .collect();
                Flaw::Rust(drops)
            }
            _ => {
                let from = rng.random_range(0.13..0.27);
                let start = [CENTER[0] + from * cosine, CENTER[1] + from * sine];
                Flaw::Scratch(Scratch::draw(
                    self.pose.to_picture(start),
                    rng.random_range(0.0..std::f32::consts::TAU),
                    0.20 + 0.20 * strength,
                    0.009 + 0.006 * strength,
                    0.35 + 0.65 * strength,
                    rng,
                ))
            }
        }
    }

    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Flaw>) {
        canvas.repaint(Bounds::ALL, |x, y, _| {
            let cloth = smooth(x * 70.0, y * 70.0, self.belt);
            let worn = layered(x * 3.0, y * 3.0, 3, self.belt ^ 1);
            scale([0.70, 0.72, 0.70], 1.0 + 0.015 * cloth + 0.04 * worn)
        });
        canvas.shadow(Bounds::ALL, 0.45, 0.04, |x, y| {
            self.solid(self.pose.to_object(x - 0.012, y - 0.015), flaw)
        });
        let center = self.pose.to_picture(CENTER);
        canvas.paint(
            Bounds::ALL,
            |x, y| self.solid(self.pose.to_object(x, y), flaw),
            |x, y, d| {
                let p = self.pose.to_object(x, y);
                let away = length(p[0] - CENTER[0], p[1] - CENTER[1]);
                let towards = away.max(0.02);
                let (dx, dy) = ((x - center[0]) / towards, (y - center[1]) / towards);
                // Turned metal: two fans of light that stay with the lamp (upper left), and rings.
                let fan = dx * 0.6 + dy * 0.8;
                let rings = smooth(away * 150.0, 0.5, 77) + 0.5 * smooth(away * 420.0, 0.5, 78);
                let spots = layered(p[0] * 9.0, p[1] * 9.0, 2, self.finish);
                let mut light = 0.31 + 0.15 * fan * fan + 0.020 * rings + 0.012 * spots;
                for edge in [HUB, GROOVE] {
                    light *= 1.0 - 0.30 * (1.0 - smoothstep(0.003, 0.012, (away - edge).abs()));
                }
                // A chamfer at every edge: bright towards the lamp, dark away from it.
                let chamfer = smoothstep(-0.016, -0.005, d);
                let facing = if away > GROOVE { -(dx + dy) } else { dx + dy };
                light *= 1.0 + chamfer * (0.20 + 0.25 * facing.clamp(-1.0, 1.0));
                let steel = mix(scale([0.98, 1.0, 1.05], light), [0.95; 3], 0.08 * chamfer);
                mix(steel, [0.95, 0.94, 0.91], self.bared(p, flaw))
            },
        );
        let on_metal = |x: f32, y: f32| self.solid(self.pose.to_object(x, y), None) < -0.002;
        match flaw {
            Some(Flaw::Scratch(scratch)) => scratch.paint(canvas, on_metal),
            Some(Flaw::Rust(drops)) => {
                for drop in drops {
                    drop.paint(canvas, on_metal);
                }
            }
            _ => {}
        }
    }
}
