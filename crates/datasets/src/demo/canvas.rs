//! A small software canvas: shapes given by signed distances, painted in order with smooth edges.
//!
//! Scene coordinates run from 0 to 1 on both axes, x to the right and y down, whatever the size of
//! the picture, so that the same scene can be painted at 32 or at 512 pixels. Every pixel is
//! painted as 2 × 2 samples and every edge is softened over one sample.

use super::shapes::{Color, mix};

/// Samples along one side of a pixel.
const SUPERSAMPLING: usize = 2;

/// An axis-aligned part of the scene that a shape may touch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) right: f32,
    pub(super) bottom: f32,
}

impl Bounds {
    /// The whole picture.
    pub(super) const ALL: Self = Self {
        left: 0.0,
        top: 0.0,
        right: 1.0,
        bottom: 1.0,
    };

    /// The square around a centre.
    pub(super) fn around(center: [f32; 2], reach: f32) -> Self {
        Self {
            left: center[0] - reach,
            top: center[1] - reach,
            right: center[0] + reach,
            bottom: center[1] + reach,
        }
    }

    /// The box around some points, widened by `margin` on every side.
    pub(super) fn enclosing(points: &[[f32; 2]], margin: f32) -> Self {
        let mut bounds = Self {
            left: f32::INFINITY,
            top: f32::INFINITY,
            right: f32::NEG_INFINITY,
            bottom: f32::NEG_INFINITY,
        };
        for point in points {
            bounds.left = bounds.left.min(point[0] - margin);
            bounds.top = bounds.top.min(point[1] - margin);
            bounds.right = bounds.right.max(point[0] + margin);
            bounds.bottom = bounds.bottom.max(point[1] + margin);
        }
        bounds
    }
}

/// The picture being painted, at sample resolution.
pub(super) struct Canvas {
    side: usize,
    samples: Vec<Color>,
}

impl Canvas {
    /// A black canvas for a picture of `size` × `size` pixels.
    pub(super) fn new(size: u32) -> Self {
        let side = size as usize * SUPERSAMPLING;
        Self {
            side,
            samples: vec![[0.0; 3]; side * side],
        }
    }

    /// Width of one sample in scene units.
    pub(super) fn sample_width(&self) -> f32 {
        1.0 / self.side as f32
    }

    /// Replaces every sample within `bounds` by `change(x, y, colour underneath)`.
    pub(super) fn repaint(&mut self, bounds: Bounds, mut change: impl FnMut(f32, f32, Color) -> Color) {
        let side = self.side as f32;
        let first = |edge: f32| ((edge * side - 1.5).max(0.0) as usize).min(self.side);
        let last = |edge: f32| ((edge * side + 1.5).max(0.0) as usize).min(self.side);
        let (columns, rows) = (
            first(bounds.left)..last(bounds.right),
            first(bounds.top)..last(bounds.bottom),
        );
        for row in rows {
            let y = (row as f32 + 0.5) / side;
            for column in columns.clone() {
                let x = (column as f32 + 0.5) / side;
                let sample = &mut self.samples[row * self.side + column];
                *sample = change(x, y, *sample);
            }
        }
    }

    /// Paints the shape whose signed distance (negative inside, scene units) is `distance(x, y)`
    /// in the colour `shade(x, y, distance)`.
    pub(super) fn paint(
        &mut self,
        bounds: Bounds,
        distance: impl Fn(f32, f32) -> f32,
        shade: impl Fn(f32, f32, f32) -> Color,
    ) {
        let edge = 1.0 / self.sample_width();
        self.repaint(bounds, |x, y, under| {
            let d = distance(x, y);
            let coverage = (0.5 - d * edge).clamp(0.0, 1.0);
            if coverage > 0.0 {
                mix(under, shade(x, y, d), coverage)
            } else {
                under
            }
        });
    }

    /// Darkens the surroundings of a shape: full `strength` inside, fading to none over `softness`.
    pub(super) fn shadow(
        &mut self,
        bounds: Bounds,
        strength: f32,
        softness: f32,
        distance: impl Fn(f32, f32) -> f32,
    ) {
        self.repaint(bounds, |x, y, under| {
            let fade = (0.5 - distance(x, y) / softness).clamp(0.0, 1.0);
            let keep = 1.0 - strength * fade * fade * (3.0 - 2.0 * fade);
            under.map(|channel| channel * keep)
        });
    }

    /// Paints the whole picture as a height field (scene units): `shade(x, y, height, slope)` gets
    /// the rise per scene unit along x and y, taken over one sample.
    pub(super) fn raise(
        &mut self,
        height: impl Fn(f32, f32) -> f32,
        shade: impl Fn(f32, f32, f32, [f32; 2]) -> Color,
    ) {
        let grid = self.side + 1;
        let step = self.sample_width();
        let at = |index: usize| (index as f32 + 0.5) * step;
        let heights: Vec<f32> = (0..grid * grid)
            .map(|index| height(at(index % grid), at(index / grid)))
            .collect();
        for (index, sample) in self.samples.iter_mut().enumerate() {
            let (row, column) = (index / self.side, index % self.side);
            let here = heights[row * grid + column];
            let slope = [
                (heights[row * grid + column + 1] - here) / step,
                (heights[(row + 1) * grid + column] - here) / step,
            ];
            *sample = shade(at(column), at(row), here, slope);
        }
    }

    /// Averages the samples of every pixel: the noise-free picture, row by row.
    pub(super) fn into_pixels(self) -> Vec<Color> {
        let size = self.side / SUPERSAMPLING;
        let share = 1.0 / (SUPERSAMPLING * SUPERSAMPLING) as f32;
        let mut pixels = vec![[0.0f32; 3]; size * size];
        for (index, sample) in self.samples.iter().enumerate() {
            let (row, column) = (index / self.side, index % self.side);
            let pixel = &mut pixels[row / SUPERSAMPLING * size + column / SUPERSAMPLING];
            for (sum, channel) in pixel.iter_mut().zip(sample) {
                *sum += channel * share;
            }
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::super::shapes::disc;
    use super::*;

    #[test]
    fn a_painted_disc_covers_its_area() {
        let mut canvas = Canvas::new(64);
        canvas.paint(
            Bounds::around([0.5, 0.5], 0.3),
            |x, y| disc(x, y, [0.5, 0.5], 0.3),
            |_, _, _| [1.0; 3],
        );
        let pixels = canvas.into_pixels();
        let area = pixels.iter().map(|p| f64::from(p[0])).sum::<f64>() / pixels.len() as f64;
        assert!((area - std::f64::consts::PI * 0.09).abs() < 2e-3, "{area}");
        assert_eq!(pixels[0], [0.0; 3]);
        assert!((pixels[32 * 64 + 32][1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bounds_outside_the_picture_change_nothing() {
        let mut canvas = Canvas::new(32);
        canvas.repaint(Bounds::around([1.6, -0.7], 0.2), |_, _, _| [1.0; 3]);
        assert!(canvas.into_pixels().iter().all(|p| *p == [0.0; 3]));
    }
}
