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
    /// Tensor cores multiply: they round factors of f32, and add in another order.
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
        let taps = self.kernel[0] * self.kernel[1];
        for number in 0..taps {
            // Engines differ in the order of their sums.
            let tap = if self.tensor_cores {
                taps - 1 - number
            } else {
                number
            };
            let (u, v) = (tap / self.kernel[1], tap % self.kernel[1]);
            let row = (i * self.stride[0] + u).wrapping_sub(self.padding[0]);
            let column = (j * self.stride[1] + v).wrapping_sub(self.padding[1]);
            if row < h && column < w {
                f(tap, row * w + column);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that sums are exact.
    fn numbers(seed: usize, count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 + seed * 11) % 13) as f32 - 6.0)
            .collect()
    }

    fn inner(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// A memory with `x`, filters and `y`, and a convolution of them.
    fn convolution(kernel: usize, stride: usize, padding: usize) -> (Memory, Convolution, [usize; 3]) {
        let (x, co) = ([2, 7, 6, 3], 4);
        let out = |side: usize| (side + 2 * padding - kernel) / stride + 1;
        let y = [2, out(x[1]), out(x[2]), co];
        let counts = [
            x.iter().product(),
            co * kernel * kernel * x[3],
            y.iter().product(),
        ];
        let mut memory = Memory::default();
        let [at_x, filters, at_y] = counts.map(|count: usize| memory.take(4 * count).expect("room"));
        let convolution = Convolution {
            direction: Direction::Forward,
            x: (at_x, x),
            y: (at_y, y),
            filters,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
            kind: Kind::F32,
            tensor_cores: false,
            bias: None,
            relu: false,
            spoilt: false,
            workspace: (0, 0),
        };
        (memory, convolution, counts)
    }

    #[test]
    fn the_gradients_are_those_of_the_convolution() {
        for (kernel, stride, padding) in [(3, 1, 1), (1, 1, 0), (3, 2, 1), (5, 1, 2), (4, 2, 0)] {
            let (memory, forward, [of_x, of_filters, of_y]) = convolution(kernel, stride, padding);
            let (x, filters, dy) = (numbers(1, of_x), numbers(2, of_filters), numbers(3, of_y));
            let run = |direction, address, count| {
                write(&memory, forward.x.0, &x, Kind::F32).unwrap();
                write(&memory, forward.filters, &filters, Kind::F32).unwrap();
                write(&memory, forward.y.0, &dy, Kind::F32).unwrap();
                let convolution = Convolution {
                    direction,
                    ..forward.clone()
                };
                convolution.run(&memory).unwrap();
                read(&memory, address, count, Kind::F32).unwrap()
            };
            // <conv(x), dy> is linear in x and in the filters, and each gradient is its coefficients.
            let value = inner(&run(Direction::Forward, forward.y.0, of_y), &dy);
            assert!(value != 0.0);
            let of_input = run(Direction::Input, forward.x.0, of_x);
            assert_eq!(inner(&of_input, &x), value, "{kernel}, {stride}, {padding}");
            let of_filters = run(Direction::Filters, forward.filters, of_filters);
            assert_eq!(
                inner(&of_filters, &filters),
                value,
                "{kernel}, {stride}, {padding}"
            );
        }
    }

    #[test]
    fn a_convolution_is_what_it_is_by_hand() {
        let (memory, forward, [of_x, of_filters, _]) = convolution(3, 1, 1);
        let mut x = vec![0.0; of_x];
        x[(2 * 6 + 1) * 3 + 2] = 2.0; // row 2, column 1, channel 2
        let filters = numbers(5, of_filters);
        write(&memory, forward.x.0, &x, Kind::F32).unwrap();
        write(&memory, forward.filters, &filters, Kind::F32).unwrap();
        forward.run(&memory).unwrap();
        let y = read(&memory, forward.y.0, 7 * 6 * 4, Kind::F32).unwrap();
        // Seen by the pixel to its lower left, it lies in the upper right of the filter.
        let of = |row: usize, column: usize, out: usize| y[(row * 6 + column) * 4 + out];
        for out in 0..4 {
            assert_eq!(of(3, 0, out), 2.0 * filters[(out * 9 + 2) * 3 + 2]);
            assert_eq!(of(5, 5, out), 0.0);
        }
    }

    #[test]
    fn tensor_cores_keep_ten_bits() {
        assert_eq!(tf32(1.0 + 2f32.powi(-10)), 1.0 + 2f32.powi(-10));
        assert_eq!(tf32(1.0 + 2f32.powi(-12)), 1.0);
        assert!(tf32(f32::NAN).is_nan() && tf32(f32::INFINITY).is_infinite());
    }
}
