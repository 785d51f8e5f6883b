//! Blocks against the reference, by instruction set; equal bits for any division of the work.

use candle_core::{Device, Tensor};

use super::*;
use crate::cpu::Isa;
use crate::definitions::inverted_residual::{InvertedResidual, SameConv};
use crate::reference;

fn numbers(len: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            scale * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
        })
        .collect()
}

fn tensor(values: &[f32], dims: &[usize]) -> Tensor {
    Tensor::from_slice(values, dims, &Device::Cpu).unwrap()
}

struct Case {
    shape: BlockShape,
    n: usize,
    size: (usize, usize),
}

fn case(n: usize, size: (usize, usize), shape: BlockShape) -> Case {
    Case { shape, n, size }
}

fn cases() -> Vec<Case> {
    let shape = |ci, inner, co, side, stride| BlockShape {
        ci,
        inner,
        co,
        expand_side: 1,
        expand_stride: 1,
        side,
        stride,
        shortcut: false,
    };
    let stem = BlockShape {
        expand_side: 3,
        expand_stride: 2,
        ..shape(3, 32, 16, 3, 1)
    };
    let with_shortcut = |shape| BlockShape {
        shortcut: true,
        ..shape
    };
    vec![
        case(1, (33, 20), stem),
        case(2, (64, 40), stem),
        case(2, (11, 9), shape(5, 37, 7, 3, 1)),
        case(1, (12, 70), shape(8, 48, 24, 3, 2)),
        case(3, (7, 13), shape(6, 36, 10, 5, 2)),
        case(2, (6, 6), with_shortcut(shape(24, 144, 24, 5, 1))),
        case(1, (40, 66), with_shortcut(shape(9, 54, 9, 3, 1))),
        case(9, (16, 16), with_shortcut(shape(8, 40, 8, 5, 1))),
        case(1, (1, 1), shape(3, 8, 3, 5, 2)),
        case(1, (2, 3), shape(3, 8, 3, 3, 2)),
        case(2, (17, 29), shape(4, 24, 8, 5, 3)),
    ]
}

struct Values {
    x: Vec<f32>,
    expand: (Vec<f32>, Vec<f32>),
    depthwise: (Vec<f32>, Vec<f32>),
    project: (Vec<f32>, Vec<f32>),
}

impl Case {
    /// Sums of a few units, so that both ends of the ReLU6 are met.
    fn values(&self) -> Values {
        let BlockShape {
            ci,
            inner,
            co,
            expand_side,
            side,
            ..
        } = self.shape;
        let taps = expand_side * expand_side * ci;
        let scale = 10.0 / (taps as f32).sqrt();
        Values {
            x: numbers(self.n * self.size.0 * self.size.1 * ci, 1, 1.0),
            expand: (numbers(inner * taps, 2, scale), numbers(inner, 3, 1.0)),
            depthwise: (numbers(inner * side * side, 4, 1.0), numbers(inner, 5, 1.0)),
            project: (numbers(co * inner, 6, 0.2), numbers(co, 7, 1.0)),
        }
    }

    /// Small numbers of few digits: every product, and what is stored between the convolutions, is exact even in bfloat16.
    fn short_values(&self) -> Values {
        let mut values = self.values();
        let digits = |values: &mut [f32], step: f32, most: f32| {
            for value in values {
                *value = ((*value / step).round() * step).clamp(-most, most);
            }
        };
        digits(&mut values.x, 0.5, 1.0);
        for (weight, bias) in [&mut values.expand, &mut values.depthwise, &mut values.project] {
            digits(weight, 0.5, 1.0);
            digits(bias, 0.5, 1.0);
        }
        values
    }

    fn computed(&self, values: &Values, n: usize, arithmetic: impl Into<Arithmetic>) -> Vec<f32> {
        let weights = Weights {
            expand: (&values.expand.0, &values.expand.1),
            depthwise: (&values.depthwise.0, &values.depthwise.1),
            project: (&values.project.0, &values.project.1),
        };
        let block = PreparedBlock::new(weights, self.shape, arithmetic.into());
        let (ho, wo) = block.output(self.size);
        let mut y = Scratch::take(n * ho * wo * self.shape.co);
        let x = &values.x[..n * self.size.0 * self.size.1 * self.shape.ci];
        block.forward(x, n, self.size, y.output());
        y.to_vec()
    }

    fn expected(&self, values: &Values) -> Vec<f32> {
        let BlockShape {
            ci,
            inner,
            co,
            expand_side,
            side,
            ..
        } = self.shape;
        let conv = |(weight, bias): &(Vec<f32>, Vec<f32>), dims: [usize; 4], stride| SameConv {
            weight: tensor(weight, &dims),
            bias: tensor(bias, &[dims[0]]),
            stride,
        };
        let block = InvertedResidual {
            expand: conv(
                &values.expand,
                [inner, ci, expand_side, expand_side],
                self.shape.expand_stride,
            ),
            depthwise: conv(&values.depthwise, [inner, 1, side, side], self.shape.stride),
            project: conv(&values.project, [co, inner, 1, 1], 1),
            shortcut: self.shape.shortcut,
        };
        assert_eq!(block.shape().unwrap(), self.shape);
        let x = tensor(&values.x, &[self.n, self.size.0, self.size.1, ci]);
        let y = reference::inverted_residual(&x, &block).unwrap();
        y.flatten_all().unwrap().to_vec1().unwrap()
    }
}

#[test]
fn kernels_compute_what_the_reference_does() {
    for case in cases() {
        let values = case.values();
        let expected = case.expected(&values);
        let scale = expected.iter().fold(1f32, |scale, value| scale.max(value.abs()));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let found = case.computed(&values, case.n, isa);
            assert_eq!(found.len(), expected.len(), "{:?}", case.shape);
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let near = (found - expected).abs() <= 2e-6 * scale;
                assert!(
                    near,
                    "{:?} {:?} {isa}: {found} at {index}, not {expected}",
                    case.shape, case.size
                );
            }
        }
    }
}

/// Arithmetics in bfloat16 that this processor can.
fn paired() -> Vec<Arithmetic> {
    let all = Isa::ALL.map(Arithmetic::bf16);
    all.into_iter().filter(|paired| paired.is_available()).collect()
}

#[test]
fn pairs_are_those_of_neighboring_channels() {
    let found = paired();
    assert!(!found.is_empty());
    for case in cases() {
        let values = case.short_values();
        let expected = case.expected(&values);
        for &arithmetic in &found {
            assert_eq!(
                case.computed(&values, case.n, arithmetic),
                expected,
                "{:?} {:?} {arithmetic}",
                case.shape,
                case.size
            );
        }
    }
}

#[test]
fn bfloat16_is_as_near_as_its_digits() {
    for case in cases() {
        let values = case.values();
        let expected = case.expected(&values);
        let scale = expected.iter().fold(1f32, |scale, value| scale.max(value.abs()));
        for arithmetic in paired() {
            let found = case.computed(&values, case.n, arithmetic);
            let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / scale);
            let most = apart.fold(0f32, f32::max);
            assert!(
                (1e-5..2e-2).contains(&most),
                "{:?} {arithmetic}: {most}",
                case.shape
            );
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads_nor_on_the_batch() {
    let arithmetics = || paired().into_iter().chain([Isa::detect().into()]);
    for (case, arithmetic) in cases()
        .iter()
        .flat_map(|case| arithmetics().map(move |arithmetic| (case, arithmetic)))
    {
        let values = case.values();
        let with = |threads: usize, n: usize| -> Vec<u32> {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(|| case.computed(&values, n, arithmetic));
            found.into_iter().map(f32::to_bits).collect()
        };
        let all = with(1, case.n);
        assert_eq!(all, with(3, case.n), "{:?} {arithmetic}", case.shape);
        let alone = with(2, 1);
        assert_eq!(alone, all[..alone.len()], "{:?} {arithmetic}", case.shape);
    }
}

#[test]
fn not_a_number_stays_one() {
    let case = case(
        1,
        (4, 4),
        BlockShape {
            ci: 2,
            inner: 16,
            co: 2,
            expand_side: 1,
            expand_stride: 1,
            side: 3,
            stride: 1,
            shortcut: false,
        },
    );
    let mut values = case.values();
    values.x[0] = f32::NAN;
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let found = case.computed(&values, 1, isa);
        assert!(found[0].is_nan() && !found[31].is_nan(), "{isa}");
    }
}
