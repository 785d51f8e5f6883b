//! Where the time of a DRAEM training step goes.
//!
//! `cargo run --release -p flawforge-models --example step_time -- [R WIDTH] [S WIDTH] [SIDE] [BATCH] [STEPS] [REPETITIONS] [PRECISION] [DEVICE]`
//!
//! The first table times the parts of whole steps. The second times every operator of both networks alone, at its
//! shapes, and sums by class; what is left of the whole backward pass are sums of gradients and fresh memory.
//! Every time is the best of several, in milliseconds. Zero repetitions leave the second table out, for a profiler.
//!
//! DEVICE is `cpu`, or in a build with the feature `cuda` also `cuda`. On a GPU every part is waited for. A last line
//! gives the time of a step among many that are enqueued without waiting, which is how training runs, and how much of it
//! the processor was busy with enqueueing.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Result, Tensor, Var};
use flawforge_models::{Discriminative, Reconstructive};
use flawforge_ops::{
    Adam, AdamSettings, BatchNorm, FocalSettings, Mode, Precision, SsimRange, Tape, batch_norm_relu, concat,
    conv3x3, focal_loss, max_pool2, mse_loss, softmax, ssim_loss, upsample2,
};
use rand::SeedableRng;

type Fault = Box<dyn std::error::Error>;

fn main() -> std::result::Result<(), Fault> {
    flawforge_ops::runtime::keep_freed_memory();
    // SAFETY: there is only one thread yet.
    unsafe { flawforge_ops::runtime::one_thread_pool() };
    let precision: Precision = std::env::args().nth(7).as_deref().unwrap_or("f32").parse()?;
    let _scope = precision.scope();
    let device = device(std::env::args().nth(8).as_deref().unwrap_or("cpu"))?;
    let numbers = std::env::args().skip(1).take(6);
    let mut arguments = numbers.map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (r_width, s_width, side, batch, steps) = (next(32)?, next(16)?, next(128)?, next(8)?, next(5)?);
    let repetitions = next(steps)?;
    println!("R {r_width}, S {s_width}, {side} px, batch {batch}, {precision}, best of {steps}\n");
    let whole = whole_steps((r_width, s_width), (side, batch), steps, &device)?;
    println!("{:<14} {:>9}", "part", "ms");
    for (name, time) in &whole {
        println!("{name:<14} {time:>9.1}");
    }
    println!(
        "{:<14} {:>9.1}\n",
        "sum",
        whole.iter().map(|(_, time)| time).sum::<f64>()
    );

    if device.is_cuda() {
        let (step, enqueueing) = pipelined((r_width, s_width), (side, batch), 4 * steps, &device)?;
        println!("a step among many: {step:.2} ms, of which {enqueueing:.2} ms enqueueing\n");
    }
    if repetitions == 0 {
        return Ok(());
    }
    let classes = operators((r_width, s_width), (side, batch), repetitions, &device)?;
    println!("{:<14} {:>9} {:>9}", "class", "forward", "backward");
    let mut sums = [0.0; 2];
    for (class, [forward, backward]) in &classes {
        println!("{class:<14} {forward:>9.1} {backward:>9.1}");
        sums = [sums[0] + forward, sums[1] + backward];
    }
    println!("{:<14} {:>9.1} {:>9.1}", "sum", sums[0], sums[1]);
    Ok(())
}

fn device(name: &str) -> std::result::Result<Device, Fault> {
    match name {
        "cpu" => Ok(Device::Cpu),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(flawforge_ops::cuda::device(0)?),
        other => Err(format!("{other:?} is not a device of this build").into()),
    }
}

/// Both networks with a batch to train them on.
struct Training {
    reconstructive: Reconstructive,
    discriminative: Discriminative,
    adam: Adam,
    normal: Tensor,
    image: Tensor,
    mask: Tensor,
}

/// The parts of a step.
const PARTS: [&str; 6] = [
    "forward R",
    "forward S",
    "losses",
    "backward",
    "free the graph",
    "Adam",
];

impl Training {
    fn new(
        (r, s): (usize, usize),
        (side, batch): (usize, usize),
        device: &Device,
    ) -> std::result::Result<Self, Fault> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let reconstructive = Reconstructive::new(r, &mut rng, device)?;
        let discriminative = Discriminative::new(s, &mut rng, device)?;
        let mut vars = reconstructive.parameters().trainable();
        vars.extend(discriminative.parameters().trainable());
        Ok(Self {
            adam: Adam::new(vars, AdamSettings::default())?,
            reconstructive,
            discriminative,
            normal: Tensor::rand(0f32, 1.0, (batch, side, side, 3), device)?,
            image: Tensor::rand(0f32, 1.0, (batch, side, side, 3), device)?,
            mask: Tensor::zeros((batch, side, side), candle_core::DType::F32, device)?,
        })
    }

    /// A step, and what `lap` says after each of its parts.
    fn step<T>(&mut self, mut lap: impl FnMut() -> Result<T>) -> std::result::Result<[T; 6], Fault> {
        let tape = Tape::record();
        let reconstruction = self.reconstructive.forward(&self.image, Mode::Train)?;
        let forward_r = lap()?;
        let joined = concat(&reconstruction, &self.image)?;
        let logits = self.discriminative.forward(&joined, Mode::Train)?;
        let forward_s = lap()?;
        let focal = focal_loss(&softmax(&logits)?, &self.mask, FocalSettings::default())?;
        let ssim = ssim_loss(&reconstruction, &self.normal, SsimRange::Unit)?;
        let l2 = mse_loss(&reconstruction, &self.normal)?;
        let losses = lap()?;
        let gradients = tape.backward(&[(&l2, 1.0), (&ssim, 1.0), (&focal, 1.0)])?;
        let backward = lap()?;
        drop((logits, reconstruction));
        let free = lap()?;
        self.adam.step(&gradients, 1e-4)?;
        Ok([forward_r, forward_s, losses, backward, free, lap()?])
    }
}

fn whole_steps(
    widths: (usize, usize),
    size: (usize, usize),
    steps: usize,
    device: &Device,
) -> std::result::Result<Vec<(&'static str, f64)>, Fault> {
    let mut training = Training::new(widths, size, device)?;
    let mut best = [f64::INFINITY; 6];
    for step in 0..=steps {
        let mut clock = Clock::new(device);
        let times = training.step(|| clock.lap())?;
        // The first step pays for fresh memory.
        if step > 0 && times.iter().sum::<f64>() < best.iter().sum() {
            best = times;
        }
    }
    Ok(PARTS.into_iter().zip(best).collect())
}

/// Milliseconds of a step among many that nobody waits for, and those until they are enqueued.
fn pipelined(
    widths: (usize, usize),
    size: (usize, usize),
    steps: usize,
    device: &Device,
) -> std::result::Result<(f64, f64), Fault> {
    let mut training = Training::new(widths, size, device)?;
    training.step(|| Ok(()))?;
    let mut clock = Clock::new(device);
    clock.lap()?;
    for _ in 0..steps {
        training.step(|| Ok(()))?;
    }
    let enqueued = clock.so_far();
    Ok((clock.lap()? / steps as f64, enqueued / steps as f64))
}

struct Clock<'a> {
    began: Instant,
    device: &'a Device,
}

impl<'a> Clock<'a> {
    fn new(device: &'a Device) -> Self {
        Self {
            began: Instant::now(),
            device,
        }
    }

    /// Milliseconds since the last lap.
    fn so_far(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e3
    }

    /// The same, once the device has done all; the next lap begins.
    fn lap(&mut self) -> Result<f64> {
        self.device.synchronize()?;
        let time = self.so_far();
        self.began = Instant::now();
        Ok(time)
    }
}

/// One operator call: class, then side of the image and channels in and out.
type Call = (&'static str, usize, usize, usize);

/// The operator calls of both networks.
fn calls(r: usize, s: usize, side: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut conv = |side: usize, inputs: usize, outputs: usize| {
        calls.push(("convolution", side, inputs, outputs));
        calls.push(("norm and ReLU", side, outputs, outputs));
    };
    for (w, first, blocks) in [(r, 3, 5), (s, 6, 6)] {
        let mut channels = first;
        for i in 0..blocks {
            let outputs = w << i.min(3);
            conv(side >> i, channels, outputs);
            conv(side >> i, outputs, outputs);
            channels = outputs;
        }
    }
    for (i, [a, b]) in [[8, 4], [4, 2], [2, 1], [1, 1]].into_iter().enumerate() {
        conv(side >> (3 - i), a * r, a * r);
        conv(side >> (3 - i), a * r, a * r);
        conv(side >> (3 - i), a * r, b * r);
    }
    let stages = [
        [8, 8, 8, 8],
        [8, 4, 8, 4],
        [4, 2, 4, 2],
        [2, 1, 2, 1],
        [1, 1, 1, 1],
    ];
    for (i, [below, up, skip, out]) in stages.into_iter().enumerate() {
        conv(side >> (4 - i), below * s, up * s);
        conv(side >> (4 - i), (up + skip) * s, out * s);
        conv(side >> (4 - i), out * s, out * s);
    }
    for (i, factor) in [1, 2, 4, 8].into_iter().enumerate() {
        calls.push(("pooling", side >> i, factor * r, factor * r));
        calls.push(("pooling", side >> i, factor * s, factor * s));
    }
    calls.push(("pooling", side >> 4, 8 * s, 8 * s));
    for (i, factor) in [8, 4, 2, 1].into_iter().enumerate() {
        calls.push(("upsampling", side >> (4 - i), factor * r, factor * r));
    }
    for (i, [below, up, skip, _]) in stages.into_iter().enumerate() {
        calls.push(("upsampling", side >> (5 - i), below * s, below * s));
        calls.push(("concatenation", side >> (4 - i), up * s, skip * s));
    }
    calls.push(("concatenation", side, 3, 3));
    calls.push(("convolution", side, r, 3));
    calls.push(("convolution", side, s, 2));
    calls.extend([("SSIM", side, 3, 3), ("MSE", side, 3, 3), ("focal", side, 2, 2)]);
    calls
}

/// Forward and backward time of every class.
fn operators(
    (r, s): (usize, usize),
    (side, batch): (usize, usize),
    repetitions: usize,
    device: &Device,
) -> Result<BTreeMap<&'static str, [f64; 2]>> {
    let mut classes = BTreeMap::new();
    let mut known: BTreeMap<Call, [f64; 2]> = BTreeMap::new();
    for call in calls(r, s, side) {
        let time = match known.get(&call) {
            Some(time) => *time,
            None => time(call, batch, repetitions, device)?,
        };
        known.insert(call, time);
        let sum: &mut [f64; 2] = classes.entry(call.0).or_default();
        *sum = [sum[0] + time[0], sum[1] + time[1]];
    }
    Ok(classes)
}

fn time(
    (class, side, inputs, outputs): Call,
    batch: usize,
    repetitions: usize,
    device: &Device,
) -> Result<[f64; 2]> {
    let var = |shape: &[usize]| Var::rand(0f32, 1.0, shape, device);
    // On a GPU, activations of many channels are bfloat16 in that precision.
    let activation = |channels: usize| {
        let values = var(&[batch, side, side, channels])?;
        let half = device.is_cuda() && Precision::current() == Precision::Bf16 && channels.is_multiple_of(8);
        match half {
            true => Var::from_tensor(&values.to_dtype(candle_core::DType::BF16)?),
            false => Ok(values),
        }
    };
    let (x, other) = (activation(inputs)?, activation(outputs)?);
    let weight = var(&[outputs, inputs, 3, 3])?;
    let bias = var(&[outputs])?;
    let norm = BatchNorm::new(bias.as_tensor().clone(), bias.as_tensor().clone())?;
    let (target, mask) = (
        other.as_detached_tensor(),
        Tensor::zeros((batch, side, side), candle_core::DType::F32, device)?,
    );
    let mut best = [f64::INFINITY; 2];
    for _ in 0..=repetitions {
        let mut clock = Clock::new(device);
        let y = match class {
            "convolution" => conv3x3(&x, &weight, &bias)?,
            "norm and ReLU" => batch_norm_relu(&x, &norm, Mode::Train)?,
            "pooling" => max_pool2(&x)?,
            "upsampling" => upsample2(&x)?,
            "concatenation" => concat(&x, &other)?,
            "SSIM" => ssim_loss(&x, &target, SsimRange::Unit)?,
            "MSE" => mse_loss(&x, &target)?,
            _ => focal_loss(&softmax(&x)?, &mask, FocalSettings::default())?,
        };
        let forward = clock.lap()?;
        let gradients = y.backward()?; // from ones
        best = [best[0].min(forward), best[1].min(clock.lap()?)];
        drop(gradients);
    }
    Ok(best)
}
