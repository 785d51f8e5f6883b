//! Plane geometry of the demo scenes: signed distances, polylines, poses, colours.
//!
//! Trigonometry comes from the `libm` crate and not from the platform, so that the demo pictures
//! are the same bytes on every machine.

/// Red, green, blue, each nominally 0 to 1.
pub(super) type Color = [f32; 3];

/// A point or vector of the scene.
pub(super) type Point = [f32; 2];

/// `from` at 0, `to` at 1.
pub(super) fn mix(from: Color, to: Color, amount: f32) -> Color {
    std::array::from_fn(|c| from[c] + (to[c] - from[c]) * amount)
}

/// A colour made brighter or darker.
pub(super) fn scale(color: Color, gain: f32) -> Color {
    color.map(|channel| channel * gain)
}

/// 0 below `start`, 1 above `end`, smooth between (`start` may exceed `end`).
pub(super) fn smoothstep(start: f32, end: f32, x: f32) -> f32 {
    let t = ((x - start) / (end - start)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// (sine, cosine) of an angle in radians.
pub(super) fn sin_cos(angle: f32) -> (f32, f32) {
    (libm::sinf(angle), libm::cosf(angle))
}

/// Length of a vector.
pub(super) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// `point` turned about `centre` by `angle` radians (clockwise on the screen, for y points down).
pub(super) fn turn(point: Point, center: Point, angle: f32) -> Point {
    let (sine, cosine) = sin_cos(angle);
    let (x, y) = (point[0] - center[0], point[1] - center[1]);
    [
        center[0] + cosine * x - sine * y,
        center[1] + sine * x + cosine * y,
    ]
}

/// Signed distance to a disc.
pub(super) fn disc(x: f32, y: f32, center: Point, radius: f32) -> f32 {
    length(x - center[0], y - center[1]) - radius
}

/// Signed distance to an axis-aligned box with rounded corners.
pub(super) fn rounded_box(x: f32, y: f32, center: Point, half: Point, corner: f32) -> f32 {
    let dx = (x - center[0]).abs() - half[0] + corner;
    let dy = (y - center[1]).abs() - half[1] + corner;
    length(dx.max(0.0), dy.max(0.0)) + dx.max(dy).min(0.0) - corner
}

/// Where a point lies relative to a polyline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nearest {
    /// Distance to the line, never negative.
    pub(super) distance: f32,
    /// The same with a sign: positive on the right of the direction of travel.
    pub(super) side: f32,
    /// Length travelled along the line to the nearest point.
    pub(super) along: f32,
}

/// Nearest point of an open polyline (at least one segment).
pub(super) fn nearest(points: &[Point], x: f32, y: f32) -> Nearest {
    let mut best = Nearest {
        distance: f32::INFINITY,
        side: f32::INFINITY,
        along: 0.0,
    };
    let mut travelled = 0.0;
    for pair in points.windows(2) {
        let (sx, sy) = (pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]);
        let (px, py) = (x - pair[0][0], y - pair[0][1]);
        let span = (sx * sx + sy * sy).max(1e-12);
        let t = ((px * sx + py * sy) / span).clamp(0.0, 1.0);
        let distance = length(px - sx * t, py - sy * t);
        let whole = span.sqrt();
        if distance < best.distance {
            let cross = sx * py - sy * px;
            best = Nearest {
                distance,
                side: if cross < 0.0 { -distance } else { distance },
                along: travelled + t * whole,
            };
        }
        travelled += whole;
    }
    best
}

/// Length of a polyline.
pub(super) fn polyline_length(points: &[Point]) -> f32 {
    points
        .windows(2)
        .map(|p| length(p[1][0] - p[0][0], p[1][1] - p[0][1]))
        .sum()
}

/// Where an object lies in the picture: turned about its own centre, then shifted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pose {
    center: Point,
    shift: Point,
    sine: f32,
    cosine: f32,
    scale: f32,
}

impl Pose {
    /// A pose about `centre` with an angle in radians and a size factor.
    pub(super) fn new(center: Point, shift: Point, angle: f32, scale: f32) -> Self {
        let (sine, cosine) = sin_cos(angle);
        Self {
            center,
            shift,
            sine,
            cosine,
            scale,
        }
    }

    /// From the picture to the object's own coordinates.
    pub(super) fn to_object(self, x: f32, y: f32) -> Point {
        let dx = (x - self.center[0] - self.shift[0]) / self.scale;
        let dy = (y - self.center[1] - self.shift[1]) / self.scale;
        [
            self.center[0] + self.cosine * dx + self.sine * dy,
            self.center[1] - self.sine * dx + self.cosine * dy,
        ]
    }

    /// From the object's own coordinates to the picture.
    pub(super) fn to_picture(self, point: Point) -> Point {
        let (dx, dy) = (
            (point[0] - self.center[0]) * self.scale,
            (point[1] - self.center[1]) * self.scale,
        );
        [
            self.center[0] + self.shift[0] + self.cosine * dx - self.sine * dy,
            self.center[1] + self.shift[1] + self.sine * dx + self.cosine * dy,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_exact_on_simple_cases() {
        assert!((disc(0.5, 0.1, [0.5, 0.5], 0.3) - 0.1).abs() < 1e-6);
        let half = [0.2, 0.1];
        assert!((rounded_box(0.5, 0.5, [0.5, 0.5], half, 0.02) + 0.1).abs() < 1e-6);
        assert!((rounded_box(0.8, 0.5, [0.5, 0.5], half, 0.02) - 0.1).abs() < 1e-6);
    }

    #[test]
    fn nearest_gives_side_and_travel() {
        let line = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]];
        let below = nearest(&line, 0.4, 0.2);
        assert!((below.distance - 0.2).abs() < 1e-6 && below.side > 0.0);
        assert!((below.along - 0.4).abs() < 1e-6);
        let later = nearest(&line, 1.3, 0.5);
        assert!((later.along - 1.5).abs() < 1e-6 && later.side < 0.0);
        assert!((polyline_length(&line) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_pose_is_undone_by_its_inverse() {
        let pose = Pose::new([0.5, 0.5], [0.03, -0.02], 1.1, 0.9);
        let there = pose.to_picture([0.2, 0.7]);
        let back = pose.to_object(there[0], there[1]);
        assert!((back[0] - 0.2).abs() < 1e-6 && (back[1] - 0.7).abs() < 1e-6);
    }
}
