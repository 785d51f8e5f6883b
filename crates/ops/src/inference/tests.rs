//! The prepared operators against those of the graph.

use candle_core::{Device, Tensor, Var};

use super::*;
use crate::cpu::conv3x3::Algorithm;
use crate::cpu::{Arithmetic, Isa};
use crate::definitions::conv3x3::ConvShape;
use crate::{Mode, batch_norm, batch_norm_relu};

fn random(shape: &[usize], seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn activations(tensor: &Tensor) -> Activations {
    Activations::from_slice(&values(tensor), tensor.dims4().unwrap()).unwrap()
}

/// Scales of both signs, a mean and variances far from 0 and 1.
fn norm(channels: usize) -> BatchNorm {
    let mut norm = BatchNorm::new(random(&[channels], 5), random(&[channels], 6)).unwrap();
    norm.running_mean = Var::from_tensor(&random(&[channels], 7)).unwrap();
    let variance = ((random(&[channels], 8) + 1.1).unwrap() * 3.0).unwrap();
    norm.running_var = Var::from_tensor(&variance).unwrap();
    norm
}

#[test]
fn a_folded_convolution_is_the_convolution_and_its_norm() {
    for (n, h, w, ci, co) in [
        (1, 5, 7, 3, 2),
        (3, 16, 12, 24, 40),
        (2, 6, 6, 6, 17),
        (1, 3, 90, 130, 9),
        (2, 9, 8, 512, 33),
    ] {
        let (x, weight, bias) = (
            random(&[n, h, w, ci], 1),
            random(&[co, ci, 3, 3], 2),
            random(&[co], 3),
        );
        let norm = norm(co);
        let convolved = crate::conv3x3(&x, &weight, &bias).unwrap();
        let (weight, bias) = norm.fold(&values(&weight), &values(&bias)).unwrap();
        for relu in [false, true] {
            let expected = match relu {
                false => batch_norm(&convolved, &norm, Mode::Eval).unwrap(),
                true => batch_norm_relu(&convolved, &norm, Mode::Eval).unwrap(),
            };
            let expected = values(&expected);
            let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
            let arithmetics = (Isa::ALL.map(Arithmetic::from).into_iter())
                .chain([Isa::Portable, Isa::Avx512].map(Arithmetic::bf16))
                .filter(|arithmetic| arithmetic.is_available());
            for (algorithm, arithmetic) in arithmetics.flat_map(|arithmetic| {
                [Algorithm::Direct, Algorithm::Winograd, Algorithm::Auto]
                    .map(|algorithm| (algorithm, arithmetic))
            }) {
                let limit = if arithmetic.is_bf16() { 3e-2 } else { 2e-5 };
                let shape = ConvShape { n: 1, h, w, ci, co };
                let conv = cpu::conv3x3::PreparedConv::new(&weight, &bias, shape, algorithm, arithmetic);
                let conv = PreparedConv(Prepared::Memory(conv));
                let y = conv3x3(&activations(&x), &conv, relu).unwrap();
                assert_eq!(y.dims(), (n, h, w, co));
                for (found, expected) in y.values().unwrap().iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= limit * scale,
                        "{h}x{w} {ci} {co} {algorithm:?} {arithmetic}: {found} {expected}"
                    );
                }
                assert!(!relu || y.values().unwrap().iter().all(|&value| value >= 0.0));
                // Bit for bit the same alone as in the batch.
                for image in 0..n {
                    let alone = activations(&x.narrow(0, image, 1).unwrap());
                    let alone = conv3x3(&alone, &conv, relu).unwrap();
                    let y = y.values().unwrap();
                    let within = &y[image * h * w * co..][..h * w * co];
                    assert!(
                        alone
                            .values()
                            .unwrap()
                            .iter()
                            .zip(within)
                            .all(|(a, b)| a.to_bits() == b.to_bits())
                    );
                }
            }
        }
    }
}

#[test]
fn the_other_operators_are_those_of_the_graph() {
    let (a, b) = (random(&[2, 6, 4, 19], 1), random(&[2, 6, 4, 3], 2));
    let pairs = [
        (
            max_pool2(&activations(&a)).unwrap(),
            crate::max_pool2(&a).unwrap(),
        ),
        (
            upsample2(&activations(&a)).unwrap(),
            crate::upsample2(&a).unwrap(),
        ),
        (
            concat(&activations(&a), &activations(&b)).unwrap(),
            crate::concat(&a, &b).unwrap(),
        ),
    ];
    for (found, expected) in pairs {
        assert_eq!(found.dims(), expected.dims4().unwrap());
        assert_eq!(found.values().unwrap(), values(&expected));
    }
    let all = values(&crate::softmax(&b).unwrap());
    for channel in 0..3 {
        let expected: Vec<f32> = all[channel..].iter().copied().step_by(3).collect();
        assert_eq!(softmax_of(&activations(&b), channel).unwrap(), expected);
    }
}

#[test]
fn bytes_are_shares_of_255() {
    let images = [[0u8, 51, 102, 255, 1, 254], [7, 8, 9, 10, 11, 12]];
    let parts = images.each_ref().map(|image| &image[..]);
    let found = Activations::of_bytes(&Device::Cpu, &parts, (2, 1, 2, 3)).unwrap();
    let expected: Vec<f32> = images.iter().flatten().map(|&b| f32::from(b) / 255.0).collect();
    assert_eq!(found.values().unwrap(), expected);
    for wrong in [(1, 1, 2, 3), (2, 1, 1, 3), (2, 2, 2, 3)] {
        assert!(
            Activations::of_bytes(&Device::Cpu, &parts, wrong).is_err(),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = activations(&random(&[1, 3, 4, 2], 1));
    assert!(max_pool2(&x).is_err());
    assert!(concat(&x, &activations(&random(&[1, 4, 3, 2], 1))).is_err());
    let shape = ConvShape {
        n: 1,
        h: 3,
        w: 4,
        ci: 3,
        co: 1,
    };
    let conv = cpu::conv3x3::PreparedConv::new(&[0.0; 27], &[0.0], shape, Algorithm::Auto, Isa::detect());
    let conv = PreparedConv(Prepared::Memory(conv));
    assert!(conv3x3(&x, &conv, true).is_err());
    assert!(norm(3).fold(&[0.0; 18], &[0.0; 2]).is_err());
    assert!(softmax_of(&x, 2).is_err());
    assert!(Activations::from_slice(&[0.0; 5], (1, 2, 3, 1)).is_err());
}
