//! Whole training steps on a tape.

use candle_core::{DType, Device, Result, Tensor, Var};
use flawforge_ops::runtime::BusyClock;
use flawforge_ops::{
    Adam, AdamSettings, BatchNorm, FocalSettings, Mode, Precision, SsimRange, Tape, batch_norm_relu, concat,
    conv3x3, focal_loss, max_pool2, mse_loss, softmax, ssim_loss, upload, upsample2,
};

use crate::support::{close, gpu, noise};

/// A convolution and what follows it.
struct Layer {
    weight: Var,
    bias: Var,
    norm: Option<Norm>,
}

/// A batch norm whose scale and shift are trained.
struct Norm {
    norm: BatchNorm,
    scale: Var,
    shift: Var,
}

impl Layer {
    fn new(seed: u64, [inputs, outputs]: [usize; 2], scale: f64, device: &Device) -> Result<Self> {
        let var = |seed, shape: &[usize], scale: f64| -> Result<Var> {
            let values = Tensor::from_vec(noise(seed, shape.iter().product()), shape, device)?;
            Var::from_tensor(&(values * scale)?)
        };
        Ok(Self {
            weight: var(seed, &[outputs, inputs, 3, 3], scale)?,
            bias: var(seed + 1, &[outputs], 0.1)?,
            norm: None,
        })
    }

    /// The same with a batch norm behind the convolution.
    fn normalized(self) -> Result<Self> {
        let (channels, device) = (self.bias.elem_count(), self.bias.device());
        let scale = Var::ones(channels, DType::F32, device)?;
        let shift = Var::zeros(channels, DType::F32, device)?;
        let norm = BatchNorm::new(scale.as_tensor().clone(), shift.as_tensor().clone())?;
        Ok(Self {
            norm: Some(Norm { norm, scale, shift }),
            ..self
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = conv3x3(x, &self.weight, &self.bias)?;
        match &self.norm {
            Some(Norm { norm, .. }) => batch_norm_relu(&y, norm, Mode::Train),
            None => Ok(y),
        }
    }

    fn variables(&self) -> Vec<&Var> {
        let of_norm = self.norm.iter().flat_map(|norm| [&norm.scale, &norm.shift]);
        [&self.weight, &self.bias].into_iter().chain(of_norm).collect()
    }

    /// The variables whose way training determines.
    ///
    /// A batch norm subtracts the mean and with it the bias of the convolution before it: that bias has gradient zero
    /// but for rounding, and Adam divides rounding by its own size. It wanders, on each device in another way, and no
    /// result depends on where to.
    fn determined(&self) -> Vec<&Var> {
        let wanders = self.norm.as_ref().map(|_| self.bias.id());
        let mut variables = self.variables();
        variables.retain(|variable| Some(variable.id()) != wanders);
        variables
    }
}

/// What some steps leave behind.
#[derive(PartialEq)]
struct Trained {
    /// Three a step.
    losses: Vec<f32>,
    /// Of all variables.
    values: Vec<f32>,
    /// Of those that are determined.
    determined: Vec<f32>,
}

/// Trains a network of every operator.
fn train(device: &Device, steps: u64) -> Result<Trained> {
    let first = Layer::new(1, [3, 16], 0.3, device)?.normalized()?;
    let second = Layer::new(3, [16, 3], 0.1, device)?;
    let third = Layer::new(5, [6, 2], 0.3, device)?;
    let layers = [&first, &second, &third];
    let variables = layers.iter().flat_map(|layer| layer.variables());
    let named = variables.enumerate().map(|(k, v)| (k.to_string(), v.clone()));
    let mut adam = Adam::new(named.collect(), AdamSettings::default())?;
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
        let x = upsample2(&max_pool2(&first.forward(&image)?)?)?;
        let reconstruction = second.forward(&x)?;
        let ssim = ssim_loss(&reconstruction, &image, SsimRange::FromPrediction)?;
        let l2 = mse_loss(&reconstruction, &image)?;
        let logits = third.forward(&concat(&reconstruction, &image)?)?;
        let focal = focal_loss(&softmax(&logits)?, &mask, FocalSettings::default())?;
        assert!(!tape.is_empty(), "the operators ran as kernels");
        adam.step(&tape.backward(&[(&ssim, 1.0), (&l2, 2.0), (&focal, 0.5)])?, 1e-2)?;
        clock.end()?;
        losses.push([ssim, l2, focal]);
    }
    let share = clock.share()?.unwrap_or(0.0);
    assert!(share > 0.0 && share <= 1.0 + 1e-3, "{share}");
    let read = |of: fn(&Layer) -> Vec<&Var>| -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for variable in layers.iter().flat_map(|layer| of(layer)) {
            values.extend(variable.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(values)
    };
    Ok(Trained {
        losses: (losses.iter().flatten())
            .map(|loss| loss.to_scalar())
            .collect::<Result<_>>()?,
        values: read(Layer::variables)?,
        determined: read(Layer::determined)?,
    })
}

/// Needs no GPU: the network has exactly one bias that a batch norm takes away.
#[test]
fn biases_in_front_of_batch_norms_are_left_out() {
    let trained = train(&Device::Cpu, 1).unwrap();
    assert_eq!(trained.values.len() - trained.determined.len(), 16);
}

#[test]
fn ten_steps_agree_with_the_processors() {
    let Some(gpu) = gpu(Precision::F32) else { return };
    let (expected, found) = (train(&Device::Cpu, 10).unwrap(), train(&gpu.device, 10).unwrap());
    close("losses", 1e-3, &expected.losses, &found.losses);
    close("variables", 5e-3, &expected.determined, &found.determined);
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
