//! How fast this machine computes, measured now.

use std::collections::BTreeMap;
use std::thread;
use std::time::Instant;

use candle_core::{Device, Tensor};
use flawforge_masks::Stream;
use flawforge_models::patchcore::Coreset;
use flawforge_ops::conv3x3;
use rand::Rng;

use crate::device::default_device;
use crate::error::Result;

/// How often a short computation is timed (proposal).
const TIMED: usize = 12;
/// Steps that are timed after a first one.
pub(super) const TRIED: usize = 2;

/// How fast this machine is, each figure measured when it is first asked for.
#[derive(Clone, Debug, Default)]
pub struct Speeds {
    /// Multiplications a second in a convolution, by its channels.
    convolutions: BTreeMap<usize, f64>,
    /// Seconds for each pair of a patch and a choice, by the length of vectors.
    choices: BTreeMap<usize, f64>,
}

/// Share of the cores' time that a training uses where nothing else runs (proposal).
const BUSY: f64 = 0.85;
/// Below so many seconds of processor time, its clock is too coarse.
const COARSE: f64 = 0.1;

/// Seconds that something takes alone on this machine: the fastest of some tries, or what its processor time makes when shared
/// over all cores, whichever is less. Other programs lengthen the first much, the second where they share caches.
pub(super) fn timed(tries: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let before = processor_seconds();
    let mut fastest = f64::INFINITY;
    for _ in 0..tries {
        let began = Instant::now();
        work()?;
        fastest = fastest.min(began.elapsed().as_secs_f64());
    }
    let used = processor_seconds()
        .zip(before)
        .map(|(after, before)| after - before);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(
        match used.filter(|&used| used > COARSE && default_device().is_cpu()) {
            Some(used) => fastest.min(used / (tries as f64 * cores as f64 * BUSY)),
            None => fastest,
        },
    )
}

/// Processor time of this process, where the system (Linux) tells.
fn processor_seconds() -> Option<f64> {
    // The kernel tells hundredths of a second on every platform.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; user and system time are the 12th and 13th fields behind it.
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let mut time = || times.next()?.parse::<f64>().ok();
    Some((time()? + time()?) / TICKS)
}

impl Speeds {
    pub(super) fn convolution(&mut self, channels: usize) -> Result<f64> {
        if let Some(&known) = self.convolutions.get(&channels) {
            return Ok(known);
        }
        let speed = convolution(channels)?;
        self.convolutions.insert(channels, speed);
        Ok(speed)
    }

    pub(super) fn choice(&mut self, projection: usize) -> Result<f64> {
        if let Some(&known) = self.choices.get(&projection) {
            return Ok(known);
        }
        let seconds = choice_of_one(projection)?;
        self.choices.insert(projection, seconds);
        Ok(seconds)
    }
}

/// Multiplications a second in a 3×3 convolution of so many channels to as many.
fn convolution(channels: usize) -> Result<f64> {
    const SIDE: usize = 32;
    let device = default_device();
    let x = Tensor::zeros((4, SIDE, SIDE, channels), candle_core::DType::F32, &device)?;
    let weight = Tensor::zeros((channels, channels, 3, 3), candle_core::DType::F32, &device)?;
    let bias = Tensor::zeros(channels, candle_core::DType::F32, &device)?;
    let seconds = timed(TIMED, || {
        let y = conv3x3(&x, &weight, &bias)?;
        // A GPU is waited for.
        y.flatten_all()?.get(0)?.to_scalar::<f32>()?;
        Ok(())
    })?;
    Ok((4 * SIDE * SIDE * 9 * channels * channels) as f64 / seconds.max(1e-9))
}

/// Seconds that the choice of a coreset takes for each pair of a patch and a choice.
fn choice_of_one(projection: usize) -> Result<f64> {
    const PATCHES: usize = 8192;
    let length = projection.max(1);
    let mut random = Stream::default().rng("estimate coreset");
    let vectors: Vec<f32> = (0..PATCHES * length).map(|_| random.random()).collect();
    let coreset = Coreset {
        ratio: 0.02,
        projection: None,
        starts: 1,
    };
    let mut chosen = 1;
    let seconds = timed(TRIED, || {
        chosen = coreset.select(&vectors, length, &mut random, &Device::Cpu)?.len();
        Ok(())
    })?;
    Ok(seconds / (PATCHES * chosen.max(1)) as f64)
}
