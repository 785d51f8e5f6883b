//! `cargo xtask compare torch`: training steps and inference of DRAEM's networks beside PyTorch and onnxruntime.
//!
//! Both sides begin with the same weights and the same images, which this command writes to files. What must agree:
//! the losses of the first step or steps (so gradients and Adam are compared too), or image scores and anomaly maps.

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use clap::{Args, ValueEnum};
use flawforge::masks::Stream;
use flawforge::models::{Discriminative, Reconstructive};
use flawforge::ops::{Mode, Precision, concat};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::alternate::{Settings, alternate};
use super::process::{Process, Started};
use super::rows::{self, Row};
use super::venv::{self, Venv};
use super::{Common, serve, torch_ours};

/// Arguments of `compare torch`.
#[derive(Args, Debug)]
pub struct TorchArgs {
    #[command(flatten)]
    common: Common,
    /// Compare with one baseline
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Threads of each side [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Precision of our convolutions, f32 or bf16 [default: the baseline's, if the processor has it]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    /// Where both sides compute: cpu, or cuda in a build with that feature
    #[arg(long, value_enum, default_value_t = Place::Cpu)]
    device: Place,
    /// A Python that already has PyTorch (for `--device cuda`: one built with CUDA), numpy and safetensors
    /// [default: an environment made under target/]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Be our side of a work: its kind, the precision, the device, and the files of weights and images
    #[arg(long, hide = true, num_args = 5)]
    serve: Option<Vec<String>>,
}

/// Where both sides compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Place {
    Cpu,
    Cuda,
}

impl Place {
    /// As both sides are told.
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    fn works(self) -> &'static [Work] {
        match self {
            Self::Cpu => &WORKS,
            Self::Cuda => &GPU_WORKS,
        }
    }
}

/// A work: which networks do what.
struct Work {
    name: &'static str,
    /// `step` or `inference`.
    kind: &'static str,
    r_width: usize,
    s_width: usize,
    side: usize,
    batch: usize,
    rounds: u32,
    /// Steps of training that must agree; the first iterations are not timed anyway.
    checked_steps: u32,
    /// Steps of a timed iteration; times are of one.
    steps: u32,
    /// Names after `torch ` and, for other programs, alone.
    peers: &'static [&'static str],
}

const STEP_PEERS: &[&str] = &["f32", "f32 channels-last", "bf16", "bf16 channels-last"];
const INFERENCE_PEERS: &[&str] = &[
    "f32",
    "f32 channels-last",
    "bf16",
    "bf16 channels-last",
    "compile",
    "onnxruntime",
];

const WORKS: [Work; 4] = [
    Work {
        name: "step-quick",
        kind: "step",
        r_width: 32,
        s_width: 16,
        side: 128,
        batch: 8,
        rounds: 7,
        checked_steps: 2,
        steps: 1,
        peers: STEP_PEERS,
    },
    Work {
        name: "inference-quick-8",
        kind: "inference",
        r_width: 32,
        s_width: 16,
        side: 128,
        batch: 8,
        rounds: 15,
        checked_steps: 0,
        steps: 1,
        peers: INFERENCE_PEERS,
    },
    Work {
        name: "inference-paper-1",
        kind: "inference",
        r_width: 128,
        s_width: 64,
        side: 256,
        batch: 1,
        rounds: 5,
        checked_steps: 0,
        steps: 1,
        peers: INFERENCE_PEERS,
    },
    // The checked step is the only one that is not timed: a step takes tens of seconds.
    Work {
        name: "step-paper",
        kind: "step",
        r_width: 128,
        s_width: 64,
        side: 256,
        batch: 8,
        rounds: 1,
        checked_steps: 1,
        steps: 1,
        peers: STEP_PEERS,
    },
];

const GPU_STEP_PEERS: &[&str] = &[
    "tf32 channels-last",
    "bf16 channels-last",
    "bf16 channels-last compile",
];
const GPU_INFERENCE_PEERS: &[&str] = &["bf16 channels-last"];

/// On a GPU steps follow each other without waiting, as in training.
const GPU_WORKS: [Work; 3] = [
    Work {
        name: "step-paper",
        kind: "step",
        r_width: 128,
        s_width: 64,
        side: 256,
        batch: 8,
        rounds: 5,
        checked_steps: 1,
        steps: 10,
        peers: GPU_STEP_PEERS,
    },
    Work {
        name: "inference-paper-1",
        kind: "inference",
        r_width: 128,
        s_width: 64,
        side: 256,
        batch: 1,
        rounds: 31,
        checked_steps: 0,
        steps: 1,
        peers: GPU_INFERENCE_PEERS,
    },
    Work {
        name: "inference-paper-8",
        kind: "inference",
        r_width: 128,
        s_width: 64,
        side: 256,
        batch: 8,
        rounds: 31,
        checked_steps: 0,
        steps: 1,
        peers: GPU_INFERENCE_PEERS,
    },
];

/// How far values may be apart, relative to the largest: single precision with other algorithms, and operands of eight bits.
const F32_TOLERANCE: f64 = 1e-3;
/// Losses after a step of Adam: its first one moves every weight by the whole rate, also where the gradient is hardly more
/// than rounding. Seen: 1.1e-3 from PyTorch's channels-last, less from its other layout.
const F32_STEP_TOLERANCE: f64 = 2e-3;
const BF16_TOLERANCE: f64 = 5e-2;

/// Runs the comparison.
///
/// # Errors
/// As [`compare::run`](super::run).
pub fn run(args: &TorchArgs) -> Result<()> {
    if let Some([kind, precision, device, weights, inputs]) = args.serve.as_deref() {
        let precision = precision.parse().map_err(anyhow::Error::msg)?;
        return torch_ours::work(kind, precision, device, Path::new(weights), Path::new(inputs));
    }
    let found = measure(args)?;
    println!("milliseconds an iteration");
    rows::print(&found);
    if let Some(path) = &args.common.json {
        rows::write(&found, path)?;
    }
    Ok(())
}

fn measure(args: &TorchArgs) -> Result<Vec<Row>> {
    let all = args.device.works();
    let works: Vec<&Work> = all
        .iter()
        .filter(|work| args.common.work.as_deref().is_none_or(|name| name == work.name))
        .collect();
    if works.is_empty() {
        let names: Vec<&str> = all.iter().map(|work| work.name).collect();
        bail!("no such work; there are {}", names.join(", "));
    }
    let mut peers: Vec<&str> = all.iter().flat_map(|work| work.peers).copied().collect();
    peers.sort_unstable();
    peers.dedup();
    if let Some(peer) = args.peer.as_deref().filter(|peer| !peers.contains(peer)) {
        bail!("no such baseline {peer:?}; there are {}", peers.join(", "));
    }
    let served = |precision: Precision| args.device == Place::Cuda || precision.is_served_here();
    if let Some(precision) = args.precision.filter(|&precision| !served(precision)) {
        bail!("--precision {precision}: this processor has no instructions for it");
    }
    let optional = ["onnx", "onnxscript", "onnxruntime"];
    let venv = match &args.python {
        Some(python) => Venv::installed_at(python, &optional)?,
        None => Venv::prepare("torch", &["numpy", "torch", "safetensors"], &optional)?,
    };
    let threads = match args.threads {
        Some(threads) => threads as usize,
        None => std::thread::available_parallelism()?.get(),
    };
    let compare = venv::folder();
    fs::create_dir_all(&compare).with_context(|| format!("{}: cannot be made", compare.display()))?;
    let folder = tempfile::Builder::new().prefix("torch-").tempdir_in(compare)?;
    write_scripts(folder.path())?;
    let bench = Bench {
        device: args.device,
        venv,
        folder: folder.path(),
        threads,
        onnx: optional,
    };
    let mut found = Vec::new();
    for work in works {
        bench.run(work, args, &mut found)?;
    }
    Ok(found)
}

fn write_scripts(folder: &Path) -> Result<()> {
    let nets = include_str!("../../../crates/models/tests/golden/draem_torch.py");
    for (name, text) in [
        ("draem_torch.py", nets),
        ("serve.py", serve::PYTHON),
        ("torch_worker.py", include_str!("torch_worker.py")),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(())
}

/// What all works share.
struct Bench<'a> {
    device: Place,
    venv: Venv,
    folder: &'a Path,
    threads: usize,
    onnx: [&'static str; 3],
}

impl Bench<'_> {
    fn run(&self, work: &Work, args: &TorchArgs, rows: &mut Vec<Row>) -> Result<()> {
        let peers: Vec<&str> = (work.peers.iter().copied())
            .filter(|peer| args.peer.as_deref().is_none_or(|wanted| wanted == *peer))
            .collect();
        if peers.is_empty() {
            return Ok(());
        }
        println!("{}: writing weights and images", work.name);
        write_inputs(work, &self.weights(), &self.inputs())?;
        let settings = |peer: &str, precision: Precision| Settings {
            warm_up: u32::from(work.checked_steps == 0),
            rounds: args.common.rounds.unwrap_or(work.rounds),
            tolerance: match (
                peer.contains("bf16") || precision != Precision::F32,
                work.checked_steps,
            ) {
                (true, _) => BF16_TOLERANCE,
                (false, 2..) => F32_STEP_TOLERANCE,
                (false, _) => F32_TOLERANCE,
            },
        };
        for peer in peers {
            let name = match peer {
                "onnxruntime" => peer.to_owned(),
                _ => format!("torch {peer}"),
            };
            if let Some(reason) = self.missing(work, peer)? {
                println!("{}: {name} skipped: {reason}", work.name);
                continue;
            }
            let here = self.device == Place::Cuda || Precision::Bf16.is_served_here();
            let as_peer = match peer {
                _ if peer.contains("bf16") && here => Precision::Bf16,
                _ if peer.contains("tf32") => Precision::Tf32,
                _ => Precision::F32,
            };
            let precision = args.precision.unwrap_or(as_peer);
            // Ours starts anew for each baseline, so that both have the same weights when they are compared.
            let mut ours = match self.ours(work, precision)? {
                Started::Ready(process) => process,
                Started::Skipped(reason) => bail!("we cannot run: {reason}"),
            };
            let mut theirs = match self.peer(work.kind, peer, &name)? {
                Started::Ready(process) => process,
                Started::Skipped(reason) => {
                    println!("{}: {name} skipped: {reason}", work.name);
                    continue;
                }
            };
            let mut row = alternate(work.name, &mut ours, &mut theirs, settings(peer, precision))?;
            row.precision = Some(precision.to_string());
            row.ours_ms /= f64::from(work.steps);
            row.peer_ms /= f64::from(work.steps);
            println!(
                "{}: ours in {precision} {:.1} ms, {name} {:.1} ms",
                work.name, row.ours_ms, row.peer_ms
            );
            rows.push(row);
        }
        Ok(())
    }

    /// Why a baseline cannot run; onnxruntime gets its model here.
    fn missing(&self, work: &Work, peer: &str) -> Result<Option<String>> {
        if peer != "onnxruntime" {
            return Ok(None);
        }
        if let Some(package) = self.onnx.iter().find(|package| !self.venv.has(package)) {
            return Ok(Some(format!("the package {package} could not be installed")));
        }
        Ok(match self.peer("export", peer, "the export to ONNX") {
            Ok(_) => None,
            Err(fault) => Some(format!("{}: {fault:#}", work.name)),
        })
    }

    fn ours(&self, work: &Work, precision: Precision) -> Result<Started> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["compare", "torch", "--serve", work.kind, &precision.to_string()])
            .arg(self.device.name())
            .args([self.weights(), self.inputs()])
            .env("RAYON_NUM_THREADS", self.threads.to_string());
        Process::start("ours", command, &self.folder.with_extension("ours.log"))
    }

    fn peer(&self, kind: &str, peer: &str, name: &str) -> Result<Started> {
        let threads = self.threads.to_string();
        let mut command = self.venv.python();
        command
            .arg(self.folder.join("torch_worker.py"))
            .args([kind, &peer.replace(' ', "-")])
            .args([self.weights(), self.inputs()])
            .arg(&threads)
            .arg(self.device.name())
            .arg(self.folder.join("model.onnx"))
            .env("OMP_NUM_THREADS", &threads);
        Process::start(name, command, &self.folder.with_extension("peer.log"))
    }

    fn weights(&self) -> PathBuf {
        self.folder.join("weights.safetensors")
    }

    fn inputs(&self) -> PathBuf {
        self.folder.join("inputs.safetensors")
    }
}

/// Passes in training mode that give the running statistics values of their own.
const SETTLING: usize = 10;
/// Side and number of the images for that.
const SETTLING_IMAGES: (usize, usize) = (64, 2);

/// Fresh networks that have seen a few small images, and a batch of images: everything from fixed seeds.
fn write_inputs(work: &Work, weights: &Path, inputs: &Path) -> Result<()> {
    let stream = Stream::default();
    let device = Device::Cpu;
    let r = Reconstructive::new(work.r_width, &mut stream.rng("compare r"), &device)?;
    let s = Discriminative::new(work.s_width, &mut stream.rng("compare s"), &device)?;
    let (trained_r, trained_s) = (r.frozen()?, s.frozen()?);
    let (side, batch) = SETTLING_IMAGES;
    for round in 0..SETTLING {
        let (image, _) = pictures(side, batch, 100 + round);
        let image = Tensor::from_vec(image, (batch, side, side, 3), &device)?;
        let reconstruction = trained_r.forward(&image, Mode::Train)?;
        trained_s.forward(&concat(&reconstruction, &image)?, Mode::Train)?;
    }
    let mut tensors = HashMap::new();
    for (prefix, parameters) in [("r", r.parameters()), ("s", s.parameters())] {
        for (name, tensor) in parameters.tensors()? {
            tensors.insert(format!("{prefix}.{name}"), tensor);
        }
    }
    candle_core::safetensors::save(&tensors, weights)?;

    let (side, batch) = (work.side, work.batch);
    let shape = (batch, side, side, 3);
    let (normal, noise) = pictures(side, batch, 0);
    // A rectangle of each image but the last is noise.
    let inside = |pixel: usize| {
        let (image, y, x) = (pixel / (side * side), pixel / side % side, pixel % side);
        let (left, top) = (side / 8 + image * side / 16, side / 4);
        let within = x >= left && x < left + side / 4 && y >= top && y < top + side / 3;
        within && (image + 1 < batch || batch == 1)
    };
    let mask: Vec<f32> = (0..batch * side * side)
        .map(|pixel| f32::from(u8::from(inside(pixel))))
        .collect();
    let image: Vec<f32> = (0..normal.len())
        .map(|i| if mask[i / 3] > 0.0 { noise[i] } else { normal[i] })
        .collect();
    let bytes: Vec<u8> = image.iter().map(|value| (value * 255.0).round() as u8).collect();
    let tensors = HashMap::from([
        ("normal", Tensor::from_vec(normal, shape, &device)?),
        ("image", Tensor::from_vec(image, shape, &device)?),
        ("bytes", Tensor::from_vec(bytes, shape, &device)?),
        ("mask", Tensor::from_vec(mask, (batch, side, side), &device)?),
        ("checked_steps", Tensor::new(&[work.checked_steps], &device)?),
        ("steps", Tensor::new(&[work.steps], &device)?),
    ]);
    Ok(candle_core::safetensors::save(&tensors, inputs)?)
}

/// Waves and noise with values in [0, 1], `[batch, side, side, 3]`.
fn pictures(side: usize, batch: usize, seed: usize) -> (Vec<f32>, Vec<f32>) {
    let mut state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(seed as u64 + 1) | 1;
    let mut waves = Vec::with_capacity(batch * side * side * 3);
    let mut noise = Vec::with_capacity(waves.capacity());
    for index in 0..batch * side * side * 3 {
        let (channel, pixel) = (index % 3, index / 3);
        let (x, y) = ((pixel % side) as f32, (pixel / side % side) as f32);
        let phase = (pixel / (side * side) + seed) as f32 + 1.7 * channel as f32;
        waves.push(0.5 + 0.4 * (0.21 * x + 0.13 * y + phase).sin() * (0.08 * y - 0.05 * x).cos());
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.push((state >> 40) as f32 / (1u64 << 24) as f32);
    }
    (waves, noise)
}
