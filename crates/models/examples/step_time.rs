//! Where the time of a DRAEM training step goes.
//!
//! `cargo run --release -p flawforge-models --example step_time -- [R WIDTH] [S WIDTH] [SIDE] [BATCH] [STEPS] [REPETITIONS] [PRECISION]`
//!
//! The first table times the parts of whole steps. The second times every operator of both networks alone, at its
//! shapes, and sums by class; what is left of the whole backward pass are sums of gradients and fresh memory.
//! Every time is the best of several, in milliseconds. Zero repetitions leave the second table out, for a profiler.

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
    let numbers = std::env::args().skip(1).take(6);
    let mut arguments = numbers.map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (r_width, s_width, side, batch, steps) = (next(32)?, next(16)?, next(128)?, next(8)?, next(5)?);
    let repetitions = next(steps)?;
    println!("R {r_width}, S {s_width}, {side} px, batch {batch}, {precision}, best of {steps}\n");
    let whole = whole_steps(r_width, s_width, side, batch, steps)?;
    println!("{:<14} {:>9}", "part", "ms");
    for (name, time) in &whole {
        println!("{name:<14} {time:>9.1}");
    }
    println!(
        "{:<14} {:>9.1}\n",
        "sum",
        whole.iter().map(|(_, time)| time).sum::<f64>()
    );

    if repetitions == 0 {
        return Ok(());
    }
    let classes = operators(r_width, s_width, side, batch, repetitions)?;
    println!("{:<14} {:>9} {:>9}", "class", "forward", "backward");
    let mut sums = [0.0; 2];
    for (class, [forward, backward]) in &classes {
        println!("{class:<14} {forward:>9.1} {backward:>9.1}");
        sums = [sums[0] + forward, sums[1] + backward];
    }
    println!("{:<14} {:>9.1} {:>9.1}", "sum", sums[0], sums[1]);
    Ok(())
}

fn whole_steps(
    r_width: usize,
    s_width: usize,
    side: usize,
    batch: usize,
    steps: usize,
) -> std::result::Result<Vec<(&'static str, f64)>, Fault> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let r = Reconstructive::new(r_width, &mut rng, &Device::Cpu)?;
    let s = Discriminative::new(s_width, &mut rng, &Device::Cpu)?;
    let mut vars = r.parameters().trainable();
    vars.extend(s.parameters().trainable());
    let mut adam = Adam::new(vars, AdamSettings::default())?;
    let normal = Tensor::rand(0f32, 1.0, (batch, side, side, 3), &Device::Cpu)?;
    let image = Tensor::rand(0f32, 1.0, (batch, side, side, 3), &Device::Cpu)?;
    let mask = Tensor::zeros((batch, side, side), candle_core::DType::F32, &Device::Cpu)?;
    let names = [
        "forward R",
        "forward S",
        "losses",
        "backward",
        "free the graph",
        "Adam",
    ];
    let mut best = [f64::INFINITY; 6];
    for step in 0..=steps {
        let mut clock = Clock::default();
        let mut times = [0.0; 6];
        let tape = Tape::record();
        let reconstruction = r.forward(&image, Mode::Train)?;
        times[0] = clock.lap();
        let logits = s.forward(&concat(&reconstruction, &image)?, Mode::Train)?;
        times[1] = clock.lap();
        let focal = focal_loss(&softmax(&logits)?, &mask, FocalSettings::default())?;
        let ssim = ssim_loss(&reconstruction, &normal, SsimRange::Unit)?;
        let l2 = mse_loss(&reconstruction, &normal)?;
        times[2] = clock.lap();
        let gradients = tape.backward(&[(&l2, 1.0), (&ssim, 1.0), (&focal, 1.0)])?;
        times[3] = clock.lap();
        drop((logits, reconstruction));
        times[4] = clock.lap();
        adam.step(&gradients, 1e-4)?;
        times[5] = clock.lap();
        // The first step pays for fresh memory.
        if step > 0 && times.iter().sum::<f64>() < best.iter().sum() {
            best = times;
        }
    }
    Ok(names.into_iter().zip(best).collect())
}

#[derive(Debug)]
struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Milliseconds since the last lap.
    fn lap(&mut self) -> f64 {
        let time = self.0.elapsed().as_secs_f64() * 1e3;
        self.0 = Instant::now();
        time
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
    r: usize,
    s: usize,
    side: usize,
    batch: usize,
    repetitions: usize,
) -> Result<BTreeMap<&'static str, [f64; 2]>> {
    let mut classes = BTreeMap::new();
    let mut known: BTreeMap<Call, [f64; 2]> = BTreeMap::new();
    for call in calls(r, s, side) {
        let time = match known.get(&call) {
            Some(time) => *time,
            None => time(call, batch, repetitions)?,
        };
        known.insert(call, time);
        let sum: &mut [f64; 2] = classes.entry(call.0).or_default();
        *sum = [sum[0] + time[0], sum[1] + time[1]];
    }
    Ok(classes)
}

fn time((class, side, inputs, outputs): Call, batch: usize, repetitions: usize) -> Result<[f64; 2]> {
    let var = |shape: &[usize]| Var::rand(0f32, 1.0, shape, &Device::Cpu);
    let x = var(&[batch, side, side, inputs])?;
    let other = var(&[batch, side, side, outputs])?;
    let weight = var(&[outputs, inputs, 3, 3])?;
    let bias = var(&[outputs])?;
    let norm = BatchNorm::new(bias.as_tensor().clone(), bias.as_tensor().clone())?;
    let (target, mask) = (
        other.as_detached_tensor(),
        Tensor::zeros((batch, side, side), candle_core::DType::F32, &Device::Cpu)?,
    );
    let mut best = [f64::INFINITY; 2];
    for _ in 0..=repetitions {
        let mut clock = Clock::default();
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
        let forward = clock.lap();
        let gradients = y.backward()?; // from ones
        best = [best[0].min(forward), best[1].min(clock.lap())];
        drop(gradients);
    }
    Ok(best)
}
