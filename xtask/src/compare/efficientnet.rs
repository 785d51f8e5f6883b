//! `cargo xtask compare efficientnet`: features of EfficientNet-Lite beside PyTorch and onnxruntime.
//!
//! Images of 256×256, one a call, up to stage 5, of which the maps of strides 8 and 16 are given out. An iteration is sixteen
//! calls, with a pause before it: onnxruntime's threads go on asking for work for milliseconds after a call, and would take that
//! time from us if the sides changed after each. Weights are random, which changes no time; this command writes them, and an
//! image, to files that both sides read. What must agree are the maps. Our side normalises the image's bytes within the time,
//! the baselines are given it normalised, and always multiply f32.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use candle_core::{Device, Tensor};
use clap::Args;
use flawforge::masks::Stream;
use flawforge::models::{EfficientNetLite, EfficientNetLiteKind, Parameters, import};
use flawforge::ops::Precision;
use image::RgbImage;
use rand::Rng;

use super::Common;
use super::alternate::{Settings, alternate};
use super::process::{Process, Started};
use super::rows::{self, Row};
use super::serve::{self, Work, serve};
use super::venv::{self, Venv};

const PACKAGES: [&str; 2] = ["numpy", "torch"];
const OPTIONAL: [&str; 1] = ["onnxruntime"];
const PEERS: [&str; 3] = ["onnxruntime", "torch", "torch channels-last"];
/// Side of the image.
const SIDE: u32 = 256;
/// The last stage that is computed.
const LAST: usize = 5;
const STRIDES: [usize; 2] = [8, 16];
/// Images of an iteration, one after the other.
const IMAGES: u32 = 16;

/// Arguments of `compare efficientnet`.
#[derive(Args, Debug)]
pub struct EfficientNetArgs {
    #[command(flatten)]
    common: Common,
    /// Compare with one baseline
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Threads of each side [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Precision of our side
    #[arg(long, value_name = "NAME", default_value_t = Precision::F32)]
    precision: Precision,
    /// A Python that already has PyTorch and numpy, and onnxruntime if that is to be compared [default: an environment made under target/]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Be our side of a work, in a precision, with the files of weights and image
    #[arg(long, hide = true, num_args = 4, value_names = ["WORK", "PRECISION", "WEIGHTS", "IMAGE"])]
    serve: Option<Vec<String>>,
}

/// Runs the comparison.
///
/// # Errors
/// When the Python environment cannot be set up, both sides compute different values, or a process fails.
pub fn run(args: &EfficientNetArgs) -> Result<()> {
    if let Some([work, precision, weights, image]) = args.serve.as_deref() {
        let precision: Precision = precision.parse().map_err(anyhow::Error::msg)?;
        let _precision = precision.scope();
        return serve(&mut Ours::open(work, Path::new(weights), Path::new(image))?);
    }
    let precision = args.precision;
    if !precision.is_served_here() {
        bail!("--precision {precision}: this processor has no instructions for it");
    }
    let names = EfficientNetLiteKind::ALL.map(EfficientNetLiteKind::key);
    known("work", args.common.work.as_deref(), &names)?;
    known("peer", args.peer.as_deref(), &PEERS)?;
    let venv = match &args.python {
        Some(python) => Venv::installed_at(python, &OPTIONAL)?,
        None => Venv::prepare("efficientnet", &PACKAGES, &OPTIONAL)?,
    };
    let threads = args
        .threads
        .unwrap_or_else(|| rayon::current_num_threads() as u32);
    let wanted = |given: &Option<String>, name: &str| given.as_deref().is_none_or(|given| given == name);
    let mut found = Vec::new();
    for kind in EfficientNetLiteKind::ALL {
        if !wanted(&args.common.work, kind.key()) {
            continue;
        }
        let files = Files::write(kind)?;
        for peer in PEERS.iter().filter(|peer| wanted(&args.peer, peer)) {
            println!("{} beside {peer} …", kind.key());
            found.extend(files.compare(&venv, peer, threads, precision, args.common.rounds.unwrap_or(40))?);
        }
    }
    println!("milliseconds an image of {SIDE}x{SIDE} up to stage {LAST}; {threads} threads each");
    rows::print(&found);
    if let Some(path) = &args.common.json {
        rows::write(&found, path)?;
    }
    Ok(())
}

fn known(what: &str, given: Option<&str>, names: &[&str]) -> Result<()> {
    match given.filter(|given| !names.contains(given)) {
        Some(given) => bail!("there is no {what} `{given}`; there are {}", names.join(", ")),
        None => Ok(()),
    }
}

/// What both sides read.
struct Files {
    kind: EfficientNetLiteKind,
    folder: PathBuf,
    weights: PathBuf,
    image: PathBuf,
}

impl Files {
    /// Writes the scripts, random weights and an image of noise.
    fn write(kind: EfficientNetLiteKind) -> Result<Self> {
        let folder = venv::folder().join("efficientnet-files");
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        for (name, text) in [
            ("serve.py", serve::PYTHON),
            ("efficientnet.py", include_str!("efficientnet.py")),
            (
                "efficientnet_lite.py",
                include_str!("../../../crates/models/tests/golden/efficientnet_lite.py"),
            ),
        ] {
            fs::write(folder.join(name), text)?;
        }
        let mut rng = Stream::default().rng("compare efficientnet");
        let specification = EfficientNetLite::specification(kind, LAST);
        let parameters = Parameters::initialize(specification, &mut rng, &Device::Cpu)?;
        let tensors: HashMap<String, Tensor> = parameters.tensors()?.into_iter().collect();
        let weights = folder.join(format!("{}.safetensors", kind.key()));
        import::write_tensors(&tensors, &weights)?;
        let image = folder.join("image.rgb");
        let bytes: Vec<u8> = (0..3 * SIDE * SIDE).map(|_| rng.random()).collect();
        fs::write(&image, bytes)?;
        Ok(Self {
            kind,
            folder,
            weights,
            image,
        })
    }

    fn compare(
        &self,
        venv: &Venv,
        peer: &str,
        threads: u32,
        precision: Precision,
        rounds: u32,
    ) -> Result<Option<Row>> {
        if OPTIONAL.contains(&peer) && !venv.has(peer) {
            println!("{peer} skipped: this Python does not have it");
            return Ok(None);
        }
        let mut weights = self.weights.clone();
        if peer == "onnxruntime" {
            weights = self.weights.with_extension("onnx");
            let written = self.python(venv, "export", &self.weights, &weights, threads);
            if let Started::Skipped(reason) = self.start("export", written)? {
                println!("{peer} skipped: {reason}");
                return Ok(None);
            }
        }
        let mut ours = Command::new(std::env::current_exe().context("the path of this program")?);
        ours.args(["compare", "efficientnet", "--serve", self.kind.key()]);
        ours.arg(precision.to_string());
        ours.args([&self.weights, &self.image]);
        ours.env("RAYON_NUM_THREADS", threads.to_string());
        let theirs = self.python(venv, peer, &weights, &self.image, threads);
        match (self.start("ours", ours)?, self.start(peer, theirs)?) {
            (Started::Ready(mut ours), Started::Ready(mut theirs)) => {
                let settings = Settings {
                    warm_up: 5,
                    rounds,
                    tolerance: if precision == Precision::Bf16 { 0.1 } else { 1e-4 },
                };
                let row = alternate(self.kind.key(), &mut ours, &mut theirs, settings)?;
                Ok(Some(Row {
                    precision: Some(precision.to_string()),
                    ours_ms: row.ours_ms / f64::from(IMAGES),
                    peer_ms: row.peer_ms / f64::from(IMAGES),
                    ..row
                }))
            }
            (Started::Skipped(reason), _) | (_, Started::Skipped(reason)) => {
                println!("{peer} skipped: {reason}");
                Ok(None)
            }
        }
    }

    fn python(&self, venv: &Venv, peer: &str, weights: &Path, image: &Path, threads: u32) -> Command {
        let mut command = venv.python();
        command.arg(self.folder.join("efficientnet.py")).arg(peer);
        command.args([weights, image]).arg(self.kind.key());
        command.args([threads, IMAGES].map(|number| number.to_string()));
        command
    }

    fn start(&self, name: &str, command: Command) -> Result<Started> {
        let file = name.replace(' ', "-");
        Process::start(name, command, &self.folder.join(format!("{file}.log")))
    }
}

struct Ours {
    network: EfficientNetLite,
    image: RgbImage,
}

impl Ours {
    fn open(work: &str, weights: &Path, image: &Path) -> Result<Self> {
        let kind = EfficientNetLiteKind::ALL
            .into_iter()
            .find(|kind| kind.key() == work)
            .with_context(|| format!("there is no work {work:?}"))?;
        let bytes = fs::read(image).with_context(|| format!("{}: cannot be read", image.display()))?;
        Ok(Self {
            network: EfficientNetLite::from_tensors(kind, LAST, &import::tensors(weights)?)?,
            image: RgbImage::from_raw(SIDE, SIDE, bytes).context("an image of another size")?,
        })
    }
}

impl Work for Ours {
    fn check(&mut self) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        for map in self.network.features(&[&self.image], &STRIDES)? {
            let all: Vec<f32> = map.flatten_all()?.to_vec1()?;
            values.extend(all.into_iter().step_by(97).map(f64::from));
        }
        Ok(values)
    }

    fn run(&mut self) -> Result<()> {
        for _ in 0..IMAGES {
            std::hint::black_box(self.network.features(&[&self.image], &STRIDES)?);
        }
        Ok(())
    }
}
