//! `cargo xtask compare patchcore`: the coreset and the search of PatchCore, beside torch and FAISS.
//!
//! Both sides read the same vectors from files, made by a fixed rule: mixtures of a few directions, cut off at zero, as
//! features behind a ReLU are. The selection gets the same random projection and the same points to start from, so that both
//! sides choose nearly the same; what must agree is how well the chosen cover the rest, and the distances found.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;
use clap::Args;
use flawforge::masks::Stream;
use flawforge::models::patchcore::{Coreset, MemoryBank};
use flawforge::ops::vectors::Panels;
use rand::Rng;
use rayon::prelude::*;

use super::Common;
use super::alternate::{Settings, alternate};
use super::process::{Process, Started};
use super::rows::{self, Row};
use super::serve::{self, Work, serve};
use super::venv::{self, Venv};

const PACKAGES: [&str; 3] = ["numpy", "torch", "faiss-cpu"];
/// Dimension of a vector.
const LENGTH: usize = 1024;
/// Vectors that the coreset is taken of.
const FEATURES: usize = 100_000;
/// Vectors in the bank that is searched: a category of 209 images at 10 %.
const BANK: usize = 16_385;
/// Queries: eight images.
const QUERIES: usize = 8 * 784;
/// Works, their names in both processes, and whom they are compared with.
const WORKS: [(&str, &str, &str); 2] = [
    ("coreset-1pct", "coreset", "torch, official steps"),
    ("search", "search", "FAISS flat L2"),
];

/// Arguments of `compare patchcore`.
#[derive(Args, Debug)]
pub struct PatchCoreArgs {
    #[command(flatten)]
    common: Common,
    /// Serve this work from the files in a folder: what the command starts itself with
    #[arg(long, hide = true, num_args = 2, value_names = ["WORK", "DIR"])]
    serve: Option<Vec<String>>,
}

/// Runs the comparison.
///
/// # Errors
/// When the Python environment cannot be set up, both sides compute different values, or a process fails.
pub fn run(args: &PatchCoreArgs) -> Result<()> {
    if let Some([work, folder]) = args.serve.as_deref() {
        return serve(&mut *open(work, Path::new(folder))?);
    }
    let names = WORKS.map(|work| work.0);
    if let Some(name) = args.common.work.as_deref().filter(|name| !names.contains(name)) {
        bail!("there is no work `{name}`; there are {}", names.join(", "));
    }
    let venv = Venv::prepare("patchcore", &PACKAGES, &[])?;
    let folder = vectors()?;
    let mut found = Vec::new();
    for (name, work, peer) in WORKS {
        if args.common.work.as_deref().is_none_or(|wanted| wanted == name) {
            println!("{name} …");
            found.extend(compare(
                name,
                work,
                peer,
                &venv,
                &folder,
                args.common.rounds.unwrap_or(3),
            )?);
        }
    }
    println!(
        "coreset: {FEATURES} x {LENGTH} at 1 %; search: {QUERIES} queries in {BANK} x {LENGTH}; {} threads each",
        rayon::current_num_threads()
    );
    rows::print(&found);
    if let Some(path) = &args.common.json {
        rows::write(&found, path)?;
    }
    Ok(())
}

fn compare(
    name: &str,
    work: &str,
    peer: &str,
    venv: &Venv,
    folder: &Path,
    rounds: u32,
) -> Result<Option<Row>> {
    let mut ours = std::process::Command::new(std::env::current_exe().context("the path of this program")?);
    ours.args(["compare", "patchcore", "--serve", work]).arg(folder);
    let mut theirs = venv.python();
    theirs.arg(folder.join("patchcore.py")).arg(work).arg(folder);
    theirs.arg(rayon::current_num_threads().to_string());
    let start = |name: &str, command| {
        Process::start(
            name,
            command,
            &folder.join(format!("{work}-{}.log", command_name(name))),
        )
    };
    let (ours, theirs) = (start("ours", ours)?, start(peer, theirs)?);
    match (ours, theirs) {
        (Started::Ready(mut ours), Started::Ready(mut theirs)) => {
            let settings = Settings {
                warm_up: 1,
                rounds,
                // Two selections part ways at the first near-tie; how well they cover differs by as much.
                tolerance: if work == "coreset" { 2e-2 } else { 1e-4 },
            };
            alternate(name, &mut ours, &mut theirs, settings).map(Some)
        }
        (Started::Skipped(reason), _) | (_, Started::Skipped(reason)) => {
            println!("{name} skipped: {reason}");
            Ok(None)
        }
    }
}

/// A name that may stand in a file's.
fn command_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The folder with the vectors that both sides read, made once, and the baseline's script.
fn vectors() -> Result<PathBuf> {
    let folder = venv::folder().join("patchcore-vectors");
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    for (name, text) in [
        ("serve.py", serve::PYTHON),
        ("patchcore.py", include_str!("patchcore.py")),
    ] {
        fs::write(folder.join(name), text)?;
    }
    let stamp = folder.join("complete");
    if stamp.is_file() {
        return Ok(folder);
    }
    let mut rng = Stream::default().rng("compare patchcore");
    let directions: Vec<f32> = (0..24 * LENGTH).map(|_| rng.random_range(-1.0..1.0)).collect();
    for (name, count, seed) in [
        ("features", FEATURES, 1),
        ("bank", BANK, 2),
        ("queries", QUERIES, 3),
    ] {
        write(
            &folder.join(format!("{name}.f32")),
            &mixtures(&directions, count, seed),
        )?;
    }
    let bound = 1.0 / (LENGTH as f32).sqrt();
    let projection: Vec<f32> = (0..128 * LENGTH)
        .map(|_| rng.random_range(-bound..bound))
        .collect();
    write(&folder.join("projection.f32"), &projection)?;
    let starts: Vec<String> = (0..10)
        .map(|_| rng.random_range(0..FEATURES).to_string())
        .collect();
    fs::write(folder.join("starts.txt"), starts.join(" "))?;
    fs::write(stamp, "")?;
    Ok(folder)
}

/// Vectors around sixty places in the span of the directions, with a little noise.
fn mixtures(directions: &[f32], count: usize, seed: u64) -> Vec<f32> {
    let ranks = directions.len() / LENGTH;
    let mut places = Stream::default().rng("compare patchcore: places");
    let places: Vec<f32> = (0..60 * ranks).map(|_| places.random_range(-2.0..2.0)).collect();
    let mut vectors = vec![0.0f32; count * LENGTH];
    vectors
        .par_chunks_exact_mut(LENGTH)
        .enumerate()
        .for_each(|(index, vector)| {
            let index = index as u64;
            let mut rng = Stream { seed, step: 0, index }.rng("compare patchcore: vectors");
            let place = rng.random_range(0..60) * ranks;
            let amounts: Vec<f32> = (0..ranks)
                .map(|i| places[place + i] + rng.random_range(-0.7..0.7))
                .collect();
            for (amount, direction) in amounts.iter().zip(directions.chunks_exact(LENGTH)) {
                for (value, part) in vector.iter_mut().zip(direction) {
                    *value += amount * part;
                }
            }
            for value in vector {
                *value = (*value + rng.random_range(-0.2..0.2)).max(0.0);
            }
        });
    vectors
}

fn write(path: &Path, values: &[f32]) -> Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

fn read(folder: &Path, name: &str) -> Result<Vec<f32>> {
    let path = folder.join(format!("{name}.f32"));
    let bytes = fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

fn open(work: &str, folder: &Path) -> Result<Box<dyn Work>> {
    Ok(match work {
        "coreset" => Box::new(Selection {
            features: read(folder, "features")?,
            projection: read(folder, "projection")?,
            starts: fs::read_to_string(folder.join("starts.txt"))?
                .split_whitespace()
                .map(str::parse)
                .collect::<Result<_, _>>()?,
        }),
        "search" => Box::new(Search {
            bank: MemoryBank::new(&read(folder, "bank")?, LENGTH)?,
            queries: read(folder, "queries")?,
        }),
        other => bail!("there is no work {other:?}"),
    })
}

struct Selection {
    features: Vec<f32>,
    projection: Vec<f32>,
    starts: Vec<usize>,
}

impl Selection {
    fn select(&self) -> Result<Vec<usize>> {
        let coreset = Coreset {
            ratio: 0.01,
            ..Coreset::default()
        };
        let map = Some(self.projection.as_slice());
        Ok(coreset.select_with(&self.features, LENGTH, map, &self.starts, &Device::Cpu)?)
    }
}

impl Work for Selection {
    fn check(&mut self) -> Result<Vec<f64>> {
        let chosen = self.select()?;
        let points = Panels::new(&self.projection, LENGTH).product(&self.features);
        let length = self.projection.len() / LENGTH;
        let kept: Vec<f32> = chosen
            .iter()
            .flat_map(|&index| points[index * length..][..length].to_vec())
            .collect();
        let found = MemoryBank::new(&kept, length)?.nearest(&points)?;
        let distances: Vec<f64> = found
            .iter()
            .map(|found| f64::from(found.squared).sqrt())
            .collect();
        Ok(summary(&distances, chosen.len() as f64 / (FEATURES / 100) as f64))
    }

    fn run(&mut self) -> Result<()> {
        std::hint::black_box(self.select()?);
        Ok(())
    }
}

struct Search {
    bank: MemoryBank,
    queries: Vec<f32>,
}

impl Work for Search {
    fn check(&mut self) -> Result<Vec<f64>> {
        let found = self.bank.nearest(&self.queries)?;
        let distances: Vec<f64> = found.iter().map(|found| f64::from(found.squared)).collect();
        Ok(summary(&distances, distances.len() as f64 / QUERIES as f64))
    }

    fn run(&mut self) -> Result<()> {
        std::hint::black_box(self.bank.nearest(&self.queries)?);
        Ok(())
    }
}

/// Largest and mean distance, and the share of what was asked for.
fn summary(distances: &[f64], share: f64) -> Vec<f64> {
    let largest = distances.iter().copied().fold(0.0, f64::max);
    vec![
        largest,
        distances.iter().sum::<f64>() / distances.len() as f64,
        share,
    ]
}
