//! Prepared convolutions on a GPU: beside those in main memory, and an image alone beside the same in a batch.

use candle_core::{DType, Device, Result, Tensor};
use flawforge_ops::inference::{
    Activations, PreparedConv, concat, conv3x3, max_pool2, prepare_conv3x3, softmax_of, upsample2,
};
use flawforge_ops::{BatchNorm, Precision};

use crate::support::{close, gpu, noise};

const SIDE: usize = 16;

/// A small network with everything that DRAEM's networks have.
struct Network {
    first: PreparedConv,
    second: PreparedConv,
    third: PreparedConv,
    last: PreparedConv,
}

impl Network {
    fn new(device: &Device) -> Result<Self> {
        let tensor = |seed, shape: &[usize], scale: f64| -> Result<Tensor> {
            Tensor::from_vec(noise(seed, shape.iter().product()), shape, device)? * scale
        };
        let conv = |seed, ci: usize, co: usize, norm: bool| {
            let norm = match norm {
                true => {
                    let norm = BatchNorm::new(
                        (tensor(seed + 2, &[co], 0.2)? + 1.0)?,
                        tensor(seed + 3, &[co], 0.2)?,
                    )?;
                    norm.running_mean.set(&tensor(seed + 4, &[co], 0.5)?)?;
                    norm.running_var.set(&(tensor(seed + 5, &[co], 0.4)? + 1.0)?)?;
                    Some(norm)
                }
                false => None,
            };
            let (weight, bias) = (tensor(seed, &[co, ci, 3, 3], 0.3)?, tensor(seed + 1, &[co], 0.3)?);
            prepare_conv3x3(&weight, &bias, norm.as_ref(), (SIDE, SIDE))
        };
        Ok(Self {
            first: conv(10, 3, 32, true)?,
            second: conv(20, 32, 64, true)?,
            third: conv(30, 96, 32, true)?,
            last: conv(40, 32, 2, false)?,
        })
    }

    fn forward(&self, device: &Device, values: Vec<f32>) -> Result<Vec<f32>> {
        let images = values.len() / (SIDE * SIDE * 3);
        let x = Activations::on(device, values, (images, SIDE, SIDE, 3))?;
        let first = conv3x3(&x, &self.first, true)?;
        let second = conv3x3(&max_pool2(&first)?, &self.second, true)?;
        let third = conv3x3(&concat(&upsample2(&second)?, &first)?, &self.third, true)?;
        let last = conv3x3(&third, &self.last, false)?;
        assert_eq!(last.dims(), (images, SIDE, SIDE, 2));
        let mut found = last.values()?.into_owned();
        found.extend(softmax_of(&last, 0)?);
        found.extend(softmax_of(&last, 1)?);
        Ok(found)
    }
}

#[test]
fn prepared_networks_agree_in_every_precision() {
    for (precision, tolerance) in [
        (Precision::F32, 1e-4),
        (Precision::Tf32, 1e-2),
        (Precision::Bf16, 5e-2),
    ] {
        let Some(gpu) = gpu(precision) else { return };
        let images = noise(1, 3 * SIDE * SIDE * 3);
        let expected = {
            let _precision = Precision::F32.scope();
            Network::new(&Device::Cpu)
                .unwrap()
                .forward(&Device::Cpu, images.clone())
                .unwrap()
        };
        let found = Network::new(&gpu.device)
            .unwrap()
            .forward(&gpu.device, images)
            .unwrap();
        close(&format!("{precision}"), tolerance, &expected, &found);
    }
}

#[test]
fn an_image_gets_the_same_bits_alone_and_in_a_batch() {
    for precision in [Precision::Tf32, Precision::Bf16] {
        let Some(gpu) = gpu(precision) else { return };
        let network = Network::new(&gpu.device).unwrap();
        let images = noise(2, 8 * SIDE * SIDE * 3);
        let all = network.forward(&gpu.device, images.clone()).unwrap();
        let of_image = SIDE * SIDE * 2;
        for image in [0, 5] {
            let alone = images[image * SIDE * SIDE * 3..][..SIDE * SIDE * 3].to_vec();
            let alone = network.forward(&gpu.device, alone).unwrap();
            assert!(
                alone[..of_image] == all[image * of_image..][..of_image],
                "{precision}, image {image}"
            );
        }
    }
}

#[test]
fn weights_of_another_type_are_refused() {
    let Some(gpu) = gpu(Precision::Bf16) else { return };
    let weight = Tensor::ones((4, 3, 3, 3), DType::F64, &gpu.device).unwrap();
    let bias = Tensor::ones(4, DType::F64, &gpu.device).unwrap();
    assert!(prepare_conv3x3(&weight, &bias, None, (8, 8)).is_err());
}

#[test]
fn bytes_travel_as_bytes_and_have_the_processors_bits() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let images: Vec<Vec<u8>> = (0..3)
        .map(|image| (0..5 * 7 * 3).map(|i| (i * 89 + image * 31) as u8).collect())
        .collect();
    let parts: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let on = |device| {
        let maps = Activations::of_bytes(device, &parts, (3, 5, 7, 3)).unwrap();
        maps.values().unwrap().into_owned()
    };
    assert!(on(&Device::Cpu) == on(&gpu.device));
}
