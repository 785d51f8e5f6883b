//! Many steps, many images: memory and the number of open files stay where they were.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use image::{GrayImage, Luma, Rgb, RgbImage};

use super::Trial;
use super::outcome::Report;
use super::program::Running;

/// Growth of memory between the second quarter of a run and its last that is no growth, MiB: what an allocator does (proposal).
const SLACK: f64 = 24.0;
/// Images of their own content among the many.
const DIFFERENT: usize = 64;
/// In full.
const FULL_PREDICTED: usize = 100_000;
/// In full.
const FULL_EVALUATED: usize = 2_000;
/// In full: as many steps as a day of simulated training at the speed of `paper` (proposal: one a second).
const FULL_STEPS: u64 = 86_400;

/// Memory in MiB and open files of a process, at a time.
type Sample = (f64, usize);

pub(super) fn run(trial: &mut Trial<'_>, report: &mut Report) -> Result<()> {
    if !Path::new("/proc/self/status").exists() {
        report.skip("memory and open files: there is no /proc");
        return Ok(());
    }
    let time = trial
        .until
        .saturating_duration_since(Instant::now())
        .as_secs_f64();
    let run = trial.folder.join("run");
    steps(trial, report, &run, time * 0.4)?;
    predictions(trial, report, &run, time * 0.3)?;
    evaluations(trial, report, &run, time * 0.3)
}

/// A training; its length follows from the time and the speed of a short one.
fn steps(trial: &Trial<'_>, report: &mut Report, run: &Path, time: f64) -> Result<()> {
    let train = |steps: u64, out: &Path| {
        let mut command = Command::new(&trial.programs.flawforge);
        command.args([
            "train",
            "--demo",
            "gear",
            "--profile",
            "smoke",
            "--method",
            "lin-yan",
        ]);
        command
            .args(["--held-out", "0.2", "--steps", &steps.to_string(), "--out"])
            .arg(out);
        command
    };
    let (short, longer) = (trial.folder.join("short"), trial.folder.join("longer"));
    let first = watched(train(20, &short))?.1;
    let second = watched(train(120, &longer))?.1;
    let step = ((second - first) / 100.0).max(1e-4);
    let wanted = match trial.full {
        true => FULL_STEPS,
        false => ((time - first - second).max(5.0) / step).max(50.0) as u64,
    };
    let (samples, seconds) = watched(train(wanted, run))?;
    report.figures.insert("steps".to_owned(), wanted as f64);
    report.figures.insert("seconds of steps".to_owned(), seconds);
    report.tried("trainings");
    flat(report, "training", &samples, &again(trial));
    Ok(())
}

/// Many images scored by one command.
fn predictions(trial: &Trial<'_>, report: &mut Report, run: &Path, time: f64) -> Result<()> {
    let folder = trial.folder.join("many");
    let count = if trial.full {
        FULL_PREDICTED
    } else {
        (time * 100.0).clamp(500.0, FULL_PREDICTED as f64) as usize
    };
    many(&folder, count)?;
    let out = trial.folder.join("predicted");
    let mut command = Command::new(&trial.programs.flawforge);
    command.arg("predict").arg(&folder).arg("--run").arg(run);
    command.args(["--pictures", "none", "--out"]).arg(&out);
    let (samples, seconds) = watched(command)?;
    let rows = fs::read_to_string(out.join("scores.csv"))?
        .lines()
        .count()
        .saturating_sub(1);
    report.tried("predictions");
    report.figures.insert("images predicted".to_owned(), rows as f64);
    report
        .figures
        .insert("seconds of predictions".to_owned(), seconds);
    if rows != count {
        report.find(format!("{rows} rows of {count} images"), &again(trial));
    }
    flat(report, "prediction", &samples, &again(trial));
    fs::remove_dir_all(&folder).context("the many images")
}

/// Many test images in bounded memory: as much as a tenth of them need, and a little.
fn evaluations(trial: &Trial<'_>, report: &mut Report, run: &Path, time: f64) -> Result<()> {
    let most = if trial.full {
        FULL_EVALUATED
    } else {
        (time * 12.0).clamp(200.0, FULL_EVALUATED as f64) as usize
    };
    let mut peaks = Vec::new();
    for count in [most / 10, most] {
        let folder = trial.folder.join(format!("tested-{count}"));
        tests(&folder, count)?;
        let mut command = Command::new(&trial.programs.flawforge);
        command.arg("evaluate").arg(&folder).arg("--run").arg(run);
        command
            .args(["--exact-pixels", "1000", "--out"])
            .arg(trial.folder.join(format!("evaluated-{count}")));
        let (samples, seconds) = watched(command)?;
        let peak = samples.iter().map(|sample| sample.0).fold(0.0, f64::max);
        report.tried("evaluations");
        report
            .figures
            .insert(format!("evaluation of {count}: MiB"), peak.round());
        report
            .figures
            .insert(format!("evaluation of {count}: seconds"), seconds);
        peaks.push(peak);
    }
    // Names, scores and rows of each image are kept.
    let allowed = peaks[0] + SLACK + most as f64 * 0.02;
    if peaks[1] > allowed {
        report.find(
            format!(
                "{most} test images take {:.0} MiB, a tenth of them {:.0}",
                peaks[1], peaks[0]
            ),
            &again(trial),
        );
    }
    Ok(())
}

/// Runs a command to its end; what it held on the way, and its seconds.
fn watched(mut command: Command) -> Result<(Vec<Sample>, f64)> {
    let mut running = Running::start(&mut command)?;
    let process = PathBuf::from(format!("/proc/{}", running.child.id()));
    let begun = Instant::now();
    let mut samples = Vec::new();
    while running.child.try_wait()?.is_none() {
        samples.extend(sample(&process));
        thread::sleep(Duration::from_millis(50));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let ended = running.end(Duration::ZERO)?;
    match ended.is_good() {
        true => Ok((samples, seconds)),
        false => bail!("a long run fails: {}", ended.said.trim()),
    }
}

fn sample(process: &Path) -> Option<Sample> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = kib.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0, fs::read_dir(process.join("fd")).ok()?.count()))
}

/// Whether the last quarter of a run held what its second held.
fn flat(report: &mut Report, what: &str, samples: &[Sample], again: &str) {
    let quarter = samples.len() / 4;
    if quarter < 3 {
        report.skip(format!("{what}: too short to tell whether memory grows"));
        return;
    }
    let most = |samples: &[Sample]| {
        let memory = samples.iter().map(|sample| sample.0).fold(0.0, f64::max);
        (memory, samples.iter().map(|sample| sample.1).max().unwrap_or(0))
    };
    let (early, late) = (
        most(&samples[quarter..2 * quarter]),
        most(&samples[samples.len() - quarter..]),
    );
    for (when, (memory, files)) in [("second quarter", early), ("last quarter", late)] {
        report
            .figures
            .insert(format!("{what}, {when}: MiB"), memory.round());
        report
            .figures
            .insert(format!("{what}, {when}: open files"), files as f64);
    }
    if late.0 > early.0 * 1.05 + SLACK {
        report.find(
            format!("{what}: memory grows from {:.0} to {:.0} MiB", early.0, late.0),
            again,
        );
    }
    if late.1 > early.1 + 4 {
        report.find(
            format!("{what}: open files grow from {} to {}", early.1, late.1),
            again,
        );
    }
}

/// A folder of many images: links to a few.
fn many(folder: &Path, count: usize) -> Result<()> {
    let kept = folder.with_extension("kept");
    fs::create_dir_all(&kept)?;
    for i in 0..DIFFERENT {
        let image = RgbImage::from_fn(32, 32, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (i * 3) as u8]));
        image.save(kept.join(format!("{i}.png")))?;
    }
    for i in 0..count {
        // A thousand a folder.
        let below = folder.join(format!("{:03}", i / 1000));
        if i % 1000 == 0 {
            fs::create_dir_all(&below)?;
        }
        fs::hard_link(
            kept.join(format!("{}.png", i % DIFFERENT)),
            below.join(format!("{i:06}.png")),
        )?;
    }
    Ok(())
}

/// Test images of a category, normal and defective ones by turns, each of its own.
fn tests(folder: &Path, count: usize) -> Result<()> {
    let (good, bad, truth) = ("test/good", "test/scratch", "ground_truth/scratch");
    for part in [good, bad, truth] {
        fs::create_dir_all(folder.join(part))?;
    }
    for i in 0..count {
        let shade = (i % 200) as u8;
        let mut image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 3) as u8, (y * 3) as u8, shade]));
        if i % 2 == 0 {
            image.save(folder.join(format!("{good}/{i:05}.png")))?;
            continue;
        }
        let inside = |x: u32, y: u32| (10..20).contains(&x) && (20..26).contains(&y);
        for (x, y, pixel) in image.enumerate_pixels_mut() {
            if inside(x, y) {
                *pixel = Rgb([255, 255, 255]);
            }
        }
        image.save(folder.join(format!("{bad}/{i:05}.png")))?;
        let mask = GrayImage::from_fn(64, 64, |x, y| Luma([if inside(x, y) { 255 } else { 0 }]));
        mask.save(folder.join(format!("{truth}/{i:05}_mask.png")))?;
    }
    Ok(())
}

fn again(trial: &Trial<'_>) -> String {
    format!("cargo xtask campaign --only long --seed {}", trial.seed)
}
