//! Convolutions of NHWC images, written plainly: what cuDNN is asked for.

use rayon::prelude::*;

use crate::memory::Memory;
use crate::numbers::{Kind, read, write};

/// What is computed from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `y` from `x` and the filters.
    Forward,
    /// The gradient of `x` from that of `y`.
    Input,
    /// The gradient of the filters.
    Filters,
}

/// Images, height, width, channels.
pub(crate) type Dims = [usize; 4];

/// A convolution with its addresses: `x` and `y` NHWC, filters (out, height, width, in).
#[derive(Debug, Clone)]
pub(crate) struct Convolution {
    pub(crate) direction: Direction,
    pub(crate) x: (u64, Dims),
    pub(crate) y: (u64, Dims),
    pub(crate) filters: u64,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) kind: Kind,
    /// Tensor cores multiply; they round factors of f32.
    pub(crate) tensor_cores: bool,
    /// f32 numbers that are added to `y`.
    pub(crate) bias: Option<u64>,
    pub(crate) relu: bool,
    /// An engine that does not repeat its bits must never run: then the result is no number.
    pub(crate) spoilt: bool,
    /// Memory that the engine may use, and spoils.
    pub(crate) workspace: (u64, usize),
}

impl Convolution {
    /// What it might take on a GPU.
    pub(crate) fn milliseconds(&self) -> f64 {
        let products =
            self.y.1.iter().product::<usize>() * self.kernel.iter().product::<usize>() * self.x.1[3];
        products as f64 / if self.tensor_cores { 2e11 } else { 2e10 }
    }

    pub(crate) fn run(&self, memory: &Memory) -> Result<(), String> {
        let (workspace, bytes) = self.workspace;
        if bytes > 0 {
            let place = memory
                .pointer(workspace, bytes)
                .ok_or("a convolution without its workspace")?;
            // SAFETY: that many bytes lie there.
            unsafe { place.write_bytes(0xff, bytes) };
        }
        let [_, _, _, ci] = self.x.1;
        let [_, _, _, co] = self.y.1;
        let taps = self.kernel[0] * self.kernel[1];
        let sizes = (
            self.x.1.iter().product::<usize>(),
            co * taps * ci,
            self.y.1.iter().product::<usize>(),
        );
        let factor = |address, count| {
            let mut values = read(memory, address, count, self.kind)?;
            if self.tensor_cores && self.kind == Kind::F32 {
                values.iter_mut().for_each(|value| *value = tf32(*value));
            }
            Ok::<_, String>(values)
        };
        let (to, mut result) = match self.direction {
            Direction::Forward => {
                let (x, filters) = (factor(self.x.0, sizes.0)?, factor(self.filters, sizes.1)?);
                let mut y = self.forward(&x, &filters);
                if let Some(bias) = self.bias {
                    let bias = read(memory, bias, co, Kind::F32)?;
                    y.iter_mut()
                        .zip(bias.iter().cycle())
                        .for_each(|(y, bias)| *y += bias);
                }
                if self.relu {
                    y.iter_mut().for_each(|y| *y = if *y <= 0.0 { 0.0 } else { *y });
                }
                (self.y.0, y)
            }
            Direction::Input => {
                let (dy, filters) = (factor(self.y.0, sizes.2)?, factor(self.filters, sizes.1)?);
                (self.x.0, self.input(&dy, &filters))
            }
            Direction::Filters => {
                let (x, dy) = (factor(self.x.0, sizes.0)?, factor(self.y.0, sizes.2)?);
                (self.filters, self.gradient(&x, &dy))
            }
        };
        if self.spoilt {
            result.fill(f32::NAN);
        }
        write(memory, to, &result, self.kind)
    }

    /// Calls `f` with the tap and the pixel of `x` of every tap of a pixel of `y` that lies in the image.
    fn taps(&self, i: usize, j: usize, mut f: impl FnMut(usize, usize)) {
        let [_, h, w, _] = self.x.1;
        for u in 0..self.kernel[0] {
            for v in 0..self.kernel[1] {
                let row = (i * self.stride[0] + u).wrapping_sub(self.padding[0]);
                let column = (j * self.stride[1] + v).wrapping_sub(self.padding[1]);
                if row < h && column < w {
                    f(u * self.kernel[1] + v, row * w + column);
                }
            }
        }
    }

    fn forward(&self, x: &[f32], filters: &[f32]) -> Vec<f32> {
        let ([_, h, w, ci], [_, ho, wo, co]) = (self.x.1, self.y.1);
        let taps = self.kernel[0] * self.kernel[1];
        // (tap, in, out): neighbours are added at once.
        let mut turned = vec![0f32; filters.len()];
        for (at, &value) in filters.iter().enumerate() {
            let (o, rest) = (at / (taps * ci), at % (taps * ci));
            turned[rest * co + o] = value;
        }
        let mut y = vec![0f32; self.y.1.iter().product()];
        y.par_chunks_mut(wo * co).enumerate().for_each(|(row, y)| {
            let (image, i) = (row / ho, row % ho);
            let x = &x[image * h * w * ci..][..h * w * ci];
            for (j, y) in y.chunks_exact_mut(co).enumerate() {
                self.taps(i, j, |tap, pixel| {
                    for (c, &value) in x[pixel * ci..][..ci].iter().enumerate() {
                        add_scaled(y, value, &turned[(tap * ci + c) * co..][..co]);
                    }
                });
            }
        });
        y
    }

    fn input(&self, dy: &[f32], filters: &[f32]) -> Vec<f32> {
        let ([_, h, w, ci], [_, ho, wo, co]) = (self.x.1, self.y.1);
        let taps = self.kernel[0] * self.kernel[1];
        let mut dx = vec![0f32; self.x.1.iter().product()];
        dx.par_chunks_mut(h * w * ci).enumerate().for_each(|(image, dx)| {
            for i in 0..ho {
                for j in 0..wo {
                    let dy = &dy[((image * ho + i) * wo + j) * co..][..co];
                    self.taps(i, j, |tap, pixel| {
                        for (o, &value) in dy.iter().enumerate() {
                            let filter = &filters[(o * taps + tap) * ci..][..ci];
                            add_scaled(&mut dx[pixel * ci..][..ci], value, filter);
                        }
                    });
                }
            }
        });
        dx
    }

    fn gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let ([n, h, w, ci], [_, ho, wo, co]) = (self.x.1, self.y.1);
        let taps = self.kernel[0] * self.kernel[1];
        let mut result = vec![0f32; co * taps * ci];
        result
            .par_chunks_mut(taps * ci)
            .enumerate()
            .for_each(|(o, result)| {
                // Sums over all images are long.
                let mut sums = vec![0f64; taps * ci];
                for image in 0..n {
                    for (place, dy) in dy[image * ho * wo * co..][..ho * wo * co]
                        .chunks_exact(co)
                        .enumerate()
                    {
                        let value = f64::from(dy[o]);
                        self.taps(place / wo, place % wo, |tap, pixel| {
                            let x = &x[(image * h * w + pixel) * ci..][..ci];
                            let sums = &mut sums[tap * ci..][..ci];
                            for (sum, &x) in sums.iter_mut().zip(x) {
                                *sum += value * f64::from(x);
                            }
                        });
                    }
                }
                for (result, sum) in result.iter_mut().zip(sums) {
                    *result = sum as f32;
                }
            });
        result
    }
}

fn add_scaled(to: &mut [f32], factor: f32, values: &[f32]) {
    for (to, &value) in to.iter_mut().zip(values) {
        *to += factor * value;
    }
}

/// To ten bits behind the point.
fn tf32(value: f32) -> f32 {
    if !value.is_finite() {
        return value;
    }
    let bits = value.to_bits();
    f32::from_bits((bits + 0x0fff + (bits >> 13 & 1)) & !0x1fff)
}
