//! `cargo xtask compare augment`: simulating anomalies, beside the Python stack that DRAEM and NSA use.
//!
//! The baseline is our script `peer.py`, which does the published steps with numpy, OpenCV, imgaug and scikit-image.
//! Both sides work on one thread, at 256 px, on the same pictures of the demo data, and draw everything anew for each
//! sample. Times are milliseconds a sample; our side writes over its previous sample, as a training loop does.
//!
//! With a wheel of the Python bindings our side also runs through Python, where each sample has memory of its own: one sample a call on
//! one thread, and eight a call on two threads, beside the same baseline on one.

mod ours;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use flawforge::augment::{ProceduralTextures, Stream, TextureSource};
use flawforge::datasets::{Loading, demo};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Common;
use super::alternate::{Settings, alternate};
use super::process::{Process, Started};
use super::rows::{self, Row};
use super::serve::{self, serve};
use super::venv::{self, Venv};

/// Packages that still work together: imgaug's last release needs a numpy that knows `np.bool`.
const PACKAGES: [&str; 5] = [
    "numpy==1.23.5",
    "scipy==1.10.1",
    "scikit-image==0.20.0",
    "opencv-python-headless==4.8.1.78",
    "imgaug==0.4.0",
];

/// Samples in one timed iteration: long enough that a process does not meet cold memory in each of them.
const SAMPLES: u64 = 200;
/// Side of all pictures, px.
const SIDE: u32 = 256;
/// Textures in memory.
const TEXTURES: u64 = 8;

/// Arguments of `compare augment`.
#[derive(Args, Debug)]
pub struct AugmentArgs {
    #[command(flatten)]
    common: Common,
    /// Compare through Python too, with this wheel of bindings/python (`.ci/python` builds it)
    #[arg(long, value_name = "FILE.whl")]
    wheel: Option<PathBuf>,
    /// Serve this work from the pictures in a folder: what the command starts itself with
    #[arg(long, hide = true, num_args = 2, value_names = ["WORK", "DIR"])]
    serve: Option<Vec<String>>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    /// A Perlin mask, rotated
    Mask,
    /// A whole sample of DRAEM: rotation of the normal image, mask, texture, three operations, mixture
    Draem,
    /// The same by the wheel, one sample a call
    DraemPython,
    /// The same by the wheel, eight samples a call on two threads
    DraemPythonBatch,
    /// A near-distribution anomaly
    Ndaa,
    /// CutPaste, patch or scar
    Cutpaste,
    /// A sample of NSA with one patch: choice, resize, seamless cloning, visible change
    Nsa,
    /// Seamless cloning alone, a patch of 64 x 64 px
    Clone,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Draem => "draem",
            Self::DraemPython => "draem-python",
            Self::DraemPythonBatch => "draem-python-batch",
            Self::Ndaa => "ndaa",
            Self::Cutpaste => "cutpaste",
            Self::Nsa => "nsa",
            Self::Clone => "clone",
        }
    }

    fn peer(self) -> &'static str {
        match self {
            Self::Mask | Self::Draem | Self::DraemPython | Self::DraemPythonBatch => "numpy, imgaug",
            Self::Ndaa => "OpenCV, scikit-image",
            Self::Cutpaste => "numpy, Pillow",
            Self::Nsa => "numpy, OpenCV",
            Self::Clone => "OpenCV (C++)",
        }
    }

    /// Whether our side is the wheel.
    fn is_through_python(self) -> bool {
        matches!(self, Self::DraemPython | Self::DraemPythonBatch)
    }

    /// Threads of our side.
    fn threads(self) -> &'static str {
        match self {
            Self::DraemPythonBatch => "2",
            _ => "1",
        }
    }
}

/// Runs the comparison.
///
/// # Errors
/// When the Python environment cannot be set up, both sides compute different values, or a process fails.
pub fn run(args: &AugmentArgs) -> Result<()> {
    if let Some([work, folder]) = args.serve.as_deref() {
        return serve(&mut *ours::Ours::open(named(work)?, Path::new(folder))?);
    }
    let mut works = match &args.common.work {
        Some(name) => vec![named(name)?],
        None => Work::value_variants().to_vec(),
    };
    if args.wheel.is_none() && works.iter().any(|work| work.is_through_python()) {
        println!("through Python: skipped, name a wheel by --wheel (.ci/python builds one)");
        works.retain(|work| !work.is_through_python());
    }
    let venv = Venv::prepare("augment", &PACKAGES, &[])?;
    if let Some(wheel) = &args.wheel {
        venv.install(wheel)?;
    }
    let folder = pictures()?;
    let mut found = Vec::new();
    for work in works {
        println!("{} …", work.name());
        found.push(compare(work, &venv, &folder, args.common.rounds.unwrap_or(15))?);
    }
    println!("milliseconds a sample, {SIDE} px, one thread (our side of draem-python-batch: two)");
    rows::print(&found);
    if let Some(path) = &args.common.json {
        rows::write(&found, path)?;
    }
    Ok(())
}

fn named(name: &str) -> Result<Work> {
    let names: Vec<&str> = Work::value_variants().iter().map(|work| work.name()).collect();
    let found = Work::value_variants().iter().find(|work| work.name() == name);
    match found {
        Some(work) => Ok(*work),
        None => bail!("there is no work `{name}`; there are {}", names.join(", ")),
    }
}

/// The pictures that both sides read: two normal images, and textures.
fn pictures() -> Result<PathBuf> {
    let folder = venv::folder().join("augment-pictures");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let category = demo::category("connector", &Loading::opencv(SIDE, SIDE), 0)?;
    let textures = ProceduralTextures::default();
    let mut pictures = vec![
        ("normal.png".to_owned(), category.train[0].image()?.into_owned()),
        ("other.png".to_owned(), category.train[1].image()?.into_owned()),
    ];
    for index in 0..TEXTURES {
        let stream = Stream {
            seed: 0,
            step: 0,
            index,
        };
        pictures.push((
            format!("texture-{index}.png"),
            textures.texture(SIDE, SIDE, &mut stream.rng("texture")),
        ));
    }
    for (name, picture) in pictures {
        let path = folder.join(name);
        picture
            .save(&path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(folder)
}

fn compare(work: Work, venv: &Venv, pictures: &Path, rounds: u32) -> Result<Row> {
    let logs = venv::folder();
    let scripts = logs.join("augment-peer");
    std::fs::create_dir_all(&scripts).with_context(|| format!("{}: cannot be made", scripts.display()))?;
    for (name, text) in [
        ("serve.py", serve::PYTHON),
        ("peer.py", include_str!("peer.py")),
        ("through.py", include_str!("through.py")),
    ] {
        let path = scripts.join(name);
        std::fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    let python = |script: &str| {
        let mut command = venv.python();
        command
            .arg(scripts.join(script))
            .args([work.name(), &SAMPLES.to_string()])
            .arg(pictures);
        command
    };
    let mut command = match work.is_through_python() {
        true => python("through.py"),
        false => {
            let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
            command
                .args(["compare", "augment", "--serve", work.name()])
                .arg(pictures);
            command
        }
    };
    command.env("RAYON_NUM_THREADS", work.threads());
    let mut ours = started("ours", command, &logs.join("augment-ours.log"))?;
    let mut command = python("peer.py");
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(name, "1");
    }
    let mut peer = started(work.peer(), command, &logs.join("augment-peer.log"))?;
    let settings = Settings {
        warm_up: 2,
        rounds,
        tolerance: 0.01,
    };
    let row = alternate(work.name(), &mut ours, &mut peer, settings)?;
    Ok(Row {
        precision: None,
        ours_ms: row.ours_ms / SAMPLES as f64,
        peer_ms: row.peer_ms / SAMPLES as f64,
        ..row
    })
}

fn started(name: &str, command: Command, log: &Path) -> Result<Process> {
    match Process::start(name, command, log)? {
        Started::Ready(process) => Ok(process),
        Started::Skipped(reason) => bail!("{name}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::serve::Work as _;

    #[test]
    fn works_have_names() {
        for work in Work::value_variants() {
            assert_eq!(named(work.name()).unwrap(), *work);
        }
        let fault = named("masks").unwrap_err().to_string();
        assert_eq!(
            fault,
            "there is no work `masks`; there are mask, draem, draem-python, draem-python-batch, ndaa, cutpaste, nsa, clone"
        );
    }

    #[test]
    fn our_side_makes_something_of_every_work() {
        let folder = tempfile::tempdir().unwrap();
        let picture = demo::category("connector", &Loading::opencv(64, 64), 0)
            .unwrap()
            .train[0]
            .image()
            .unwrap()
            .into_owned();
        for name in ["normal.png", "other.png"] {
            picture.save(folder.path().join(name)).unwrap();
        }
        for index in 0..TEXTURES {
            picture
                .save(folder.path().join(format!("texture-{index}.png")))
                .unwrap();
        }
        for &work in Work::value_variants()
            .iter()
            .filter(|work| !work.is_through_python())
        {
            let mut ours = ours::Ours::open(work, folder.path()).unwrap();
            ours.run().unwrap();
        }
    }
}
