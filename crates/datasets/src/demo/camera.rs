//! The demo camera: light, tint, focus and grain, drawn anew for every picture.

use rand::{Rng, RngCore};

use super::shapes::{Color, sin_cos};

/// How one picture is taken. All of it varies from picture to picture, as on a real line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    /// Exposure, one factor a channel.
    gain: Color,
    /// Change of brightness across the picture along x and y.
    slope: [f32; 2],
    /// Darkening of the corners.
    vignette: f32,
    /// Standard deviation of the defocus in scene units.
    blur: f32,
    /// Standard deviation of the grain on the [0, 1] scale.
    grain: f32,
}

impl Camera {
    /// Draws a camera.
    pub(super) fn draw(rng: &mut dyn RngCore) -> Self {
        let exposure = rng.random_range(0.95..1.05);
        let (sine, cosine) = sin_cos(rng.random_range(0.0..std::f32::consts::TAU));
        let tilt = rng.random_range(0.0..0.07);
        Self {
            gain: std::array::from_fn(|_| exposure * rng.random_range(0.99..1.01)),
            slope: [tilt * cosine, tilt * sine],
            vignette: rng.random_range(0.02..0.07),
            blur: rng.random_range(0.0020..0.0034),
            grain: rng.random_range(0.004..0.008),
        }
    }

    /// Applies focus and light to a noise-free picture of `size` × `size` pixels.
    pub(super) fn expose(&self, pixels: &[Color], size: u32) -> Vec<Color> {
        let size = size as usize;
        let mut picture = blurred(pixels, size, self.blur * size as f32);
        for (index, pixel) in picture.iter_mut().enumerate() {
            let x = ((index % size) as f32 + 0.5) / size as f32 - 0.5;
            let y = ((index / size) as f32 + 0.5) / size as f32 - 0.5;
            let light = 1.0 + self.slope[0] * x + self.slope[1] * y - self.vignette * 2.0 * (x * x + y * y);
            for (channel, gain) in pixel.iter_mut().zip(self.gain) {
                *channel = (*channel * light * gain).clamp(0.0, 1.0);
            }
        }
        picture
    }

    /// Adds the grain and rounds to bytes, red first, row by row.
    pub(super) fn develop(&self, picture: &[Color], rng: &mut dyn RngCore) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(picture.len() * 3);
        for pixel in picture {
            let common = bell(rng);
            for channel in pixel {
                let grain = self.grain * (0.8 * common + 0.6 * bell(rng));
                bytes.push(((channel + grain).clamp(0.0, 1.0) * 255.0 + 0.5) as u8);
            }
        }
        bytes
    }
}

/// A bell-shaped number of mean 0 and variance 1, never beyond 3.5: the sum of four even ones.
fn bell(rng: &mut dyn RngCore) -> f32 {
    let bits = rng.next_u64();
    let sum: u32 = (0..4).map(|part| (bits >> (16 * part)) as u32 & 0xffff).sum();
    (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
}

/// Gaussian blur of `sigma` pixels, edges repeated.
fn blurred(pixels: &[Color], size: usize, sigma: f32) -> Vec<Color> {
    let reach = (3.0 * sigma).ceil().max(1.0) as isize;
    let mut kernel: Vec<f32> = (-reach..=reach)
        .map(|k| libm::expf(-0.5 * (k as f32 / sigma) * (k as f32 / sigma)))
        .collect();
    let whole: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= whole);
    let pass = |source: &[Color], step_x: isize, step_y: isize| -> Vec<Color> {
        let last = size as isize - 1;
        (0..size * size)
            .map(|index| {
                let (x, y) = ((index % size) as isize, (index / size) as isize);
                let mut sum = [0.0; 3];
                for (weight, k) in kernel.iter().zip(-reach..) {
                    let (sx, sy) = (
                        (x + k * step_x).clamp(0, last) as usize,
                        (y + k * step_y).clamp(0, last) as usize,
                    );
                    for (total, channel) in sum.iter_mut().zip(source[sy * size + sx]) {
                        *total += weight * channel;
                    }
                }
                sum
            })
            .collect()
    };
    pass(&pass(pixels, 1, 0), 0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn grain_has_the_stated_spread() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 40_000;
        let (mut sum, mut squares) = (0.0f64, 0.0f64);
        for _ in 0..n {
            let value = f64::from(bell(&mut rng));
            assert!(value.abs() < 3.5);
            sum += value;
            squares += value * value;
        }
        assert!((sum / f64::from(n)).abs() < 0.02);
        assert!((squares / f64::from(n) - 1.0).abs() < 0.03);
    }

    #[test]
    fn blur_keeps_the_total_light() {
        let mut pixels = vec![[0.0; 3]; 32 * 32];
        pixels[16 * 32 + 16] = [1.0, 0.5, 0.25];
        let picture = blurred(&pixels, 32, 0.6);
        let total: f32 = picture.iter().map(|p| p[1]).sum();
        assert!((total - 0.5).abs() < 1e-4 && picture[16 * 32 + 16][0] < 0.6);
    }
}
