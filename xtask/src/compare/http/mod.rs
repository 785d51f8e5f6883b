//! `cargo xtask compare serve`: requests a second and times of `flawforge serve`, beside a Python server of the same network.
//!
//! Both sides are commands that listen on this machine. So many clients at a time send images on connections that they keep, each
//! the next image when the last is answered, for so many seconds; the sides take turns. Both must find the same score of the first
//! image (0.1 % apart), or nothing is measured.

mod client;
mod side;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::image_files;
use flawforge::files;
use serde::Serialize;

use client::{Load, Measured, load};
use side::Side;

/// Seconds of a measurement at least before times are kept: queues fill, caches warm.
const WARM: Duration = Duration::from_secs(1);
/// Requests of one measurement, at most (proposal).
const MOST: usize = 100_000;

/// Arguments of `compare serve`.
#[derive(Args, Debug)]
pub struct HttpArgs {
    /// A trained run
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder of images to send, one after the other
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Clients at a time, one measurement each
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,4,16", value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: Vec<u32>,
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Measurements of each side, by turns; the best is shown
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    rounds: u32,
    /// The flawforge command [default: the one beside this one]
    #[arg(long, value_name = "PATH")]
    flawforge: Option<PathBuf>,
    /// A Python with fastapi, uvicorn, onnxruntime, numpy and pillow: the other side
    #[arg(long, value_name = "PATH", requires = "onnx")]
    python: Option<PathBuf>,
    /// What `flawforge export` wrote of the run, for the other side
    #[arg(long, value_name = "FILE", requires = "python")]
    onnx: Option<PathBuf>,
    /// Threads of the other side's network [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Write the rows to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A measurement of one side.
#[derive(Debug, Clone, Serialize)]
struct Row {
    side: &'static str,
    clients: u32,
    #[serde(flatten)]
    measured: Measured,
}

/// Runs the comparison.
///
/// # Errors
/// A side that does not start or answers with errors, scores that differ.
pub fn run(args: &HttpArgs) -> Result<()> {
    let (paths, _) = image_files(&args.images)?;
    let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
    let images: Vec<Vec<u8>> = paths.iter().map(read).collect::<Result<_>>()?;
    if images.is_empty() {
        bail!("{}: holds no image", args.images.display());
    }
    let mut sides = vec![Side::ours(args.flawforge.as_deref(), &args.run)?];
    if let (Some(python), Some(onnx)) = (&args.python, &args.onnx) {
        sides.push(Side::python(python, onnx, args.threads)?);
    }
    let mut scores = Vec::new();
    for side in &sides {
        scores.push(side.score(&images[0])?);
    }
    if scores.iter().any(|score| (score / scores[0] - 1.0).abs() > 1e-3) {
        bail!("the sides do not compute the same: {scores:?}");
    }
    let mut rows = Vec::new();
    for &clients in &args.clients {
        let mut best: Vec<Option<Measured>> = vec![None; sides.len()];
        for _ in 0..args.rounds {
            for (side, best) in sides.iter().zip(&mut best) {
                let measured = load(&Load {
                    address: side.address(),
                    path: side.path(),
                    images: &images,
                    clients,
                    warm: WARM,
                    time: Duration::from_secs(args.seconds),
                    most: MOST,
                })?;
                if best
                    .as_ref()
                    .is_none_or(|best| measured.requests_per_second > best.requests_per_second)
                {
                    *best = Some(measured);
                }
            }
        }
        for (side, measured) in sides.iter().zip(best) {
            if let Some(measured) = measured {
                let side = side.name();
                rows.push(Row {
                    side,
                    clients,
                    measured,
                });
            }
        }
    }
    print!("{}", table(&rows));
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&rows)?;
        files::write(path, format!("{text}\n").as_bytes())?;
    }
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<20} {:>7} {:>10} {:>8} {:>8} {:>8} {:>6}\n",
        "side", "clients", "requests/s", "p50 ms", "p95 ms", "p99 ms", "503"
    );
    for row in rows {
        let Measured {
            requests_per_second,
            p50_ms,
            p95_ms,
            p99_ms,
            sent_away,
            ..
        } = row.measured;
        text.push_str(&format!(
            "{:<20} {:>7} {requests_per_second:>10.1} {p50_ms:>8.1} {p95_ms:>8.1} {p99_ms:>8.1} {sent_away:>6}\n",
            row.side, row.clients
        ));
    }
    text
}
