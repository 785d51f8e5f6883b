//! Whole training steps on a tape.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::Precision;
use flawforge_ops::{
    Adam, AdamSettings, BatchNorm, BusyClock, FocalSettings, Mode, SsimRange, Tape, batch_norm_relu, concat,
    conv3x3, focal_loss, max_pool2, mse_loss, softmax, ssim_loss, upload, upsample2,
};

use crate::support::{close, gpu, noise};

/// A network of every operator; its losses by step and its variables after the last.
fn train(device: &Device, steps: u64) -> Result<(Vec<f32>, Vec<f32>)> {
    let var = |seed, shape: &[usize], scale: f64| -> Result<Var> {
        let values = Tensor::from_vec(noise(seed, shape.iter().product()), shape, device)?;
        Var::from_tensor(&(values * scale)?)
    };
    let (first, first_bias) = (var(1, &[16, 3, 3, 3], 0.3)?, var(2, &[16], 0.1)?);
    let (second, second_bias) = (var(3, &[3, 16, 3, 3], 0.1)?, var(4, &[3], 0.1)?);
    let (third, third_bias) = (var(5, &[2, 6, 3, 3], 0.3)?, var(6, &[2], 0.1)?);
    let (scale, shift) = (
        Var::ones(16, DType::F32, device)?,
        Var::zeros(16, DType::F32, device)?,
    );
    let norm = BatchNorm::new(scale.as_tensor().clone(), shift.as_tensor().clone())?;
    let variables: Vec<Var> = vec![
        first.clone(),
        first_bias.clone(),
        second.clone(),
        second_bias.clone(),
        third.clone(),
        third_bias.clone(),
        scale,
        shift,
    ];
    let named = variables
        .iter()
        .enumerate()
        .map(|(k, v)| (k.to_string(), v.clone()))
        .collect();
    let mut adam = Adam::new(named, AdamSettings::default())?;
    let mut clock = BusyClock::new(device)?;
    let mut losses = Vec::new();
    for step in 0..steps {
        clock.begin()?;
        let image = upload(noise(10 + step, 2 * 16 * 12 * 3), (2, 16, 12, 3), device)?;
        let mask = noise(20 + step, 2 * 16 * 12)
            .iter()
            .map(|&v| f32::from(v > 0.0))
            .collect();
        let mask = upload(mask, (2, 16, 12), device)?;
        let tape = Tape::record();
        let x = batch_norm_relu(&conv3x3(&image, &first, &first_bias)?, &norm, Mode::Train)?;
        let x = upsample2(&max_pool2(&x)?)?;
        let reconstruction = conv3x3(&x, &second, &second_bias)?;
        let ssim = ssim_loss(&reconstruction, &image, SsimRange::FromPrediction)?;
        let l2 = mse_loss(&reconstruction, &image)?;
        let logits = conv3x3(&concat(&reconstruction, &image)?, &third, &third_bias)?;
        let focal = focal_loss(&softmax(&logits)?, &mask, FocalSettings::default())?;
        assert!(!tape.is_empty(), "the operators ran as kernels");
        adam.step(&tape.backward(&[(&ssim, 1.0), (&l2, 2.0), (&focal, 0.5)])?, 1e-2)?;
        clock.end()?;
        losses.push([ssim, l2, focal]);
    }
    let share = clock.share()?.unwrap_or(0.0);
    assert!(share > 0.0 && share <= 1.0 + 1e-3, "{share}");
    let mut values = Vec::new();
    for loss in losses.iter().flatten() {
        values.push(loss.to_scalar::<f32>()?);
    }
    let mut last = Vec::new();
    for variable in &variables {
        last.extend(variable.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok((values, last))
}

#[test]
fn ten_steps_agree_with_the_processors() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (expected, found) = (train(&Device::Cpu, 10).unwrap(), train(&gpu.device, 10).unwrap());
    close("losses", 1e-3, &expected.0, &found.0);
    close("variables", 5e-3, &expected.1, &found.1);
}

#[test]
fn the_same_steps_give_the_same_bits() {
    let Some(gpu) = gpu(Precision::Tf32) else { return };
    assert!(train(&gpu.device, 5).unwrap() == train(&gpu.device, 5).unwrap());
}

#[test]
fn no_more_buffers_than_uploads_in_flight_are_mixed_up() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let tensors: Vec<Tensor> = (0..40)
        .map(|seed| upload(noise(seed, 5000), 5000, &gpu.device).unwrap())
        .collect();
    for (seed, tensor) in tensors.iter().enumerate() {
        assert!(
            tensor.to_vec1::<f32>().unwrap() == noise(seed as u64, 5000),
            "upload {seed}"
        );
    }
}
