//! Concatenation of channels.

use candle_core::{DType, Device, Tensor, Var};
use flawforge_ops::{Precision, concat};

use crate::support::{compare, gpu, random};

#[test]
fn concatenation_agrees() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    for (a, b) in [(1, 1), (3, 3), (64, 32), (5, 70)] {
        let inputs = [random(1, &[2, 9, 7, a]), random(2, &[2, 9, 7, b])];
        compare(&gpu, &format!("concat {a}+{b}"), 0.0, &inputs, &|v| {
            concat(&v[0], &v[1])
        });
    }
}

#[test]
fn one_side_may_be_bfloat16() {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    let (a, b) = (random(1, &[2, 3, 5, 4]), random(2, &[2, 3, 5, 8]));
    let run = |device: &Device, kinds: [DType; 2]| {
        let on = |(values, shape): &(Vec<f32>, Vec<usize>), kind| {
            // Numbers that both types hold.
            let values: Vec<f32> = values.iter().map(|value| (value * 64.0).round()).collect();
            let tensor = Tensor::from_vec(values, shape.as_slice(), device).unwrap();
            Var::from_tensor(&tensor.to_dtype(kind).unwrap()).unwrap()
        };
        let (a, b) = (on(&a, kinds[0]), on(&b, kinds[1]));
        let y = concat(&a, &b).unwrap();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        let mut found = vec![y];
        for side in [&a, &b] {
            let gradient = gradients.get(side).unwrap();
            assert_eq!(gradient.dtype(), side.dtype(), "a gradient has its tensor's type");
            found.push(gradient.clone());
        }
        let numbers = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        found.iter().map(numbers).collect::<Result<Vec<_>, _>>().unwrap()
    };
    let expected = run(&Device::Cpu, [DType::F32; 2]);
    for kinds in [[DType::F32, DType::BF16], [DType::BF16, DType::F32]] {
        assert_eq!(run(&gpu.device, kinds), expected, "{kinds:?}");
    }
}
