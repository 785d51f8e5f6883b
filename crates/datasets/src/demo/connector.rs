//! `connector`: a plug on a dark plate, always in the same pose, its inner layout fixed.
//!
//! Five coloured wires enter a pale housing from above, five gold pins leave it below. Good pieces
//! differ by a small shift, the grain of the plate and the light; the order of the wires, the
//! straightness of the pins and the outline of the housing never differ.

use rand::{Rng, RngCore};

use super::canvas::{Bounds, Canvas};
use super::lattice::{layered, smooth};
use super::product::Product;
use super::shapes::{Color, Point, Pose, disc, mix, nearest, rounded_box, scale, smoothstep, turn};

const WAYS: usize = 5;
const PITCH: f32 = 0.118;
const HOUSING: Point = [0.5, 0.43];
const HOUSING_HALF: Point = [0.325, 0.135];
const PIN_TOP: f32 = 0.55;
const PIN_LENGTH: f32 = 0.30;
const PIN_HALF_WIDTH: f32 = 0.0225;
const WIRE_HALF_WIDTH: f32 = 0.034;

const WIRES: [Color; WAYS] = [
    [0.74, 0.15, 0.12],
    [0.86, 0.68, 0.14],
    [0.16, 0.47, 0.24],
    [0.14, 0.28, 0.62],
    [0.80, 0.79, 0.76],
];
const PLASTIC: Color = [0.74, 0.73, 0.67];
const GOLD: Color = [0.84, 0.66, 0.33];

/// A plug as it lies under the camera.
pub(super) struct Connector {
    pose: Pose,
    /// How far each wire leans at the upper edge of the picture.
    lean: [f32; WAYS],
    plate: u32,
}

/// One defect of a plug.
pub(super) enum Flaw {
    /// A pin that bends by `angle` radians from `from` of its length on.
    BentPin { pin: usize, from: f32, angle: f32 },
    /// A pin of which only the share `left` remains.
    BrokenPin { pin: usize, left: f32, slant: f32 },
    /// Pieces out of the edge of the housing.
    ChippedHousing { bites: Vec<(Point, f32)> },
    /// Two wires in each other's place.
    SwappedWires { first: usize, second: usize },
}

fn way_x(way: usize) -> f32 {
    0.5 + (way as f32 - (WAYS as f32 - 1.0) / 2.0) * PITCH
}

fn housing(p: Point) -> f32 {
    let body = rounded_box(p[0], p[1], HOUSING, HOUSING_HALF, 0.022);
    // The key: a notch on the upper right that makes the plug fit one way round.
    let key = rounded_box(p[0], p[1], [0.80, 0.29], [0.035, 0.035], 0.008);
    body.max(-key)
}

impl Connector {
    fn paint_plate(&self, canvas: &mut Canvas) {
        canvas.repaint(Bounds::ALL, |x, y, _| {
            let brushed = smooth(x * 5.0, y * 110.0, self.plate);
            let uneven = layered(x * 3.0, y * 3.0, 2, self.plate ^ 1);
            scale([0.150, 0.158, 0.170], 1.0 + 0.10 * brushed + 0.10 * uneven)
        });
    }

    fn paint_wires(&self, canvas: &mut Canvas, order: &[usize; WAYS]) {
        for way in 0..WAYS {
            let x = way_x(way);
            let line = [
                self.pose.to_picture([x + self.lean[way], -0.12]),
                self.pose.to_picture([x, 0.22]),
                self.pose.to_picture([x, 0.34]),
            ];
            let bounds = Bounds::enclosing(&line, 0.06);
            canvas.shadow(bounds, 0.5, 0.03, |x, y| {
                nearest(&line, x - 0.012, y - 0.010).distance - WIRE_HALF_WIDTH
            });
            let color = WIRES[order[way]];
            canvas.paint(
                bounds,
                |x, y| nearest(&line, x, y).distance - WIRE_HALF_WIDTH,
                |x, y, _| {
                    // Travelling downwards, the right-hand side has negative x.
                    let across = -nearest(&line, x, y).side / WIRE_HALF_WIDTH;
                    let round = 0.45 + 0.6 * (1.0 - across * across).max(0.0).sqrt();
                    let gloss = 1.0 - smoothstep(0.0, 0.28, (across + 0.35).abs());
                    mix(scale(color, round), [1.0; 3], 0.35 * gloss)
                },
            );
        }
    }

    fn paint_pin(&self, canvas: &mut Canvas, pin: usize, flaw: Option<&Flaw>) {
        let top = [way_x(pin), PIN_TOP - 0.03];
        let mut length = PIN_LENGTH;
        let mut slant = 0.0;
        let mut bend = None;
        match flaw {
            Some(Flaw::BrokenPin {
                pin: broken,
                left,
                slant: s,
            }) if *broken == pin => {
                length *= left;
                slant = *s;
            }
            Some(Flaw::BentPin {
                pin: bent,
                from,
                angle,
            }) if *bent == pin => {
                bend = Some((*from, *angle));
            }
            _ => {}
        }
        let end = [top[0], PIN_TOP + length];
        let line = match bend {
            None => vec![top, end],
            Some((from, angle)) => {
                let knee = [top[0], PIN_TOP + from * length];
                // Two short turns make a rounded knee, not a corner.
                let middle = turn([knee[0], knee[1] + 0.03], knee, 0.5 * angle);
                let straight = [middle[0], middle[1] + (1.0 - from) * length - 0.03];
                vec![top, knee, middle, turn(straight, middle, angle)]
            }
        };
        let whole = super::shapes::polyline_length(&line);
        let broken = slant != 0.0;
        let distance = |p: Point| {
            let near = nearest(&line, p[0], p[1]);
            let left = whole - near.along;
            // Good pins end in a taper; a broken one ends where it broke.
            let width = if broken {
                PIN_HALF_WIDTH
            } else {
                PIN_HALF_WIDTH * (0.45 + 0.55 * smoothstep(0.0, 0.05, left))
            };
            let body = near.distance - width;
            if broken {
                body.max(p[1] - end[1] + slant * (p[0] - end[0]) + 0.012)
            } else {
                body
            }
        };
        let corners: Vec<Point> = line.iter().map(|p| self.pose.to_picture(*p)).collect();
        let bounds = Bounds::enclosing(&corners, 0.05);
        canvas.shadow(bounds, 0.55, 0.022, |x, y| {
            distance(self.pose.to_object(x - 0.012, y - 0.010))
        });
        canvas.paint(
            bounds,
            |x, y| distance(self.pose.to_object(x, y)),
            |x, y, _| {
                let p = self.pose.to_object(x, y);
                let near = nearest(&line, p[0], p[1]);
                let across = -near.side / PIN_HALF_WIDTH;
                let flat = 0.80 - 0.30 * across;
                let gloss = 1.0 - smoothstep(0.0, 0.4, (across + 0.2).abs());
                let tip = smoothstep(0.0, 0.05, whole - near.along);
                mix(
                    scale(GOLD, flat * (0.8 + 0.2 * tip)),
                    [1.0, 0.96, 0.84],
                    0.45 * gloss * tip,
                )
            },
        );
    }

    fn paint_housing(&self, canvas: &mut Canvas, bites: &[(Point, f32)]) {
        let whole = |p: Point| {
            let bitten = bites
                .iter()
                .map(|(center, radius)| -disc(p[0], p[1], *center, *radius))
                .fold(f32::NEG_INFINITY, f32::max);
            (housing(p).max(bitten), bitten)
        };
        canvas.shadow(Bounds::ALL, 0.6, 0.035, |x, y| {
            whole(self.pose.to_object(x - 0.016, y - 0.014)).0
        });
        canvas.paint(
            Bounds::ALL,
            |x, y| whole(self.pose.to_object(x, y)).0,
            |x, y, _| {
                let p = self.pose.to_object(x, y);
                let d = housing(p);
                let mut color = PLASTIC;
                // A bevel that catches the light from the upper left.
                let bevel = smoothstep(-0.022, -0.004, d);
                if bevel > 0.0 {
                    let step = 0.002;
                    let facing = (d - housing([p[0] + step, p[1]])) + (d - housing([p[0], p[1] + step]));
                    color = scale(color, 1.0 + 0.22 * bevel * (facing / step).clamp(-1.2, 1.2));
                }
                // A moulded groove, and the mark of the first way.
                let groove = 1.0 - smoothstep(0.003, 0.008, (p[1] - 0.505).abs());
                let mark = 1.0 - smoothstep(-0.002, 0.002, disc(p[0], p[1], [0.215, 0.335], 0.016));
                color = scale(color, (1.0 - 0.28 * groove) * (1.0 - 0.55 * mark));
                // Fresh fracture: rough and paler than the moulded skin.
                let bitten = whole(p).1;
                if bitten > -0.016 {
                    let rough = 0.92 + 0.16 * smooth(p[0] * 90.0, p[1] * 90.0, self.plate ^ 5);
                    let fracture = smoothstep(-0.016, -0.006, bitten);
                    color = mix(color, scale([0.90, 0.89, 0.86], rough), fracture);
                }
                color
            },
        );
        for way in 0..WAYS {
            let center = [way_x(way), 0.415];
            let here = self.pose.to_picture(center);
            let window = |p: Point| rounded_box(p[0], p[1], center, [0.029, 0.046], 0.006);
            canvas.paint(
                Bounds::around(here, 0.07),
                |x, y| {
                    let p = self.pose.to_object(x, y);
                    window(p).max(whole(p).1)
                },
                |x, y, d| {
                    let p = self.pose.to_object(x, y);
                    let contact = rounded_box(p[0], p[1], [center[0], 0.432], [0.013, 0.026], 0.004);
                    let shade = 0.55 + 0.45 * smoothstep(0.37, 0.42, p[1]);
                    let deep = scale([0.17, 0.16, 0.15], 0.7 + 10.0 * (-d).min(0.03));
                    let metal = scale(GOLD, 0.85 * shade);
                    mix(deep, metal, 1.0 - smoothstep(-0.002, 0.003, contact))
                },
            );
        }
    }
}

impl Product for Connector {
    const DEFECTS: &'static [&'static str] = &["bent_pin", "broken_pin", "chipped_housing", "swapped_wires"];
    type Flaw = Flaw;

    fn draw(rng: &mut dyn RngCore) -> Self {
        let shift = [rng.random_range(-0.012..0.012), rng.random_range(-0.012..0.012)];
        Self {
            pose: Pose::new([0.5, 0.5], shift, rng.random_range(-0.012..0.012), 1.0),
            lean: std::array::from_fn(|_| rng.random_range(-0.008..0.008)),
            plate: rng.next_u32(),
        }
    }

    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Flaw {
        let pin = rng.random_range(0..WAYS);
        match defect {
            0 => {
                let way = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
                Flaw::BentPin {
                    pin,
                    from: rng.random_range(0.08..0.45),
                    angle: way * (0.16 + 0.50 * strength) * rng.random_range(0.9..1.1),
                }
            }
            1 => Flaw::BrokenPin {
                pin,
                left: (0.86 - 0.86 * strength).max(0.0),
                slant: rng.random_range(0.2..0.6) * if rng.random_bool(0.5) { 1.0 } else { -1.0 },
            },
            2 => {
                let half = HOUSING_HALF;
                // Along the lower edge or a side; the key occupies the upper right.
                let (at, along): (Point, Point) = match rng.random_range(0..4u32) {
                    0 => (
                        [HOUSING[0] - half[0], HOUSING[1] + rng.random_range(-0.12..0.12)],
                        [0.0, 1.0],
                    ),
                    1 => (
                        [HOUSING[0] + half[0], HOUSING[1] + rng.random_range(-0.04..0.12)],
                        [0.0, 1.0],
                    ),
                    2 => (
                        [HOUSING[0] + rng.random_range(-0.3..0.2), HOUSING[1] - half[1]],
                        [1.0, 0.0],
                    ),
                    _ => (
                        [HOUSING[0] + rng.random_range(-0.3..0.3), HOUSING[1] + half[1]],
                        [1.0, 0.0],
                    ),
                };
                let size = 0.035 + 0.05 * strength;
                let bites = (0..3)
                    .map(|_| {
                        let aside = rng.random_range(-0.8..0.8) * size;
                        let center = [
                            at[0] + along[0] * aside + rng.random_range(-0.1..0.1) * size,
                            at[1] + along[1] * aside + rng.random_range(-0.1..0.1) * size,
                        ];
                        (center, size * rng.random_range(0.5..0.95))
                    })
                    .collect();
                Flaw::ChippedHousing { bites }
            }
            _ => Flaw::SwappedWires {
                first: pin,
                second: (pin + rng.random_range(1..WAYS)) % WAYS,
            },
        }
    }

    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Flaw>) {
        let mut order: [usize; WAYS] = std::array::from_fn(|way| way);
        if let Some(Flaw::SwappedWires { first, second }) = flaw {
            order.swap(*first, *second);
        }
        self.paint_plate(canvas);
        self.paint_wires(canvas, &order);
        for pin in 0..WAYS {
            self.paint_pin(canvas, pin, flaw);
        }
        let bites: &[(Point, f32)] = match flaw {
            Some(Flaw::ChippedHousing { bites }) => bites,
            _ => &[],
        };
        self.paint_housing(canvas, bites);
    }
}
