//! The n-th write fails: a full disk after n bytes, an error of the n-th call, a limit on the length of files, a file system without room.
//!
//! Afterwards every file is absent, old or complete; the message names a file and a cause; the same command, undisturbed, ends as an
//! unbroken one.

use std::process::Command;

use anyhow::Result;
use rand::Rng;
use rand::seq::SliceRandom;

use super::Trial;
use super::interposer::{Failing, Interposer};
use super::outcome::Report;
use super::program::{Ended, PATIENCE, Running};
use super::scene::{Stage, empty};
use super::tmpfs::Tmpfs;

/// So many points are all tried, where there is time; of more, random ones.
const ALL: u64 = 4096;
/// What the system says where a write fails here.
const CAUSES: [&str; 4] = [
    "No space left on device",
    "File too large",
    "Input/output error",
    "no room",
];
/// KiB of a file system that holds whatever a scene writes.
const ROOM: u64 = 64 << 10;

/// A way in which writes fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Byte,
    Call,
    Length,
    Room,
}

/// Points of a way that are still to be tried.
struct Points {
    way: Way,
    /// As many as there are.
    count: u64,
    left: Vec<u64>,
    all: bool,
}

impl Points {
    fn new(way: Way, count: u64, random: &mut impl Rng) -> Self {
        let all = count <= ALL;
        let mut left: Vec<u64> = if all { (0..count).collect() } else { Vec::new() };
        left.shuffle(random);
        Self {
            way,
            count,
            left,
            all,
        }
    }

    fn next(&mut self, random: &mut impl Rng) -> Option<u64> {
        match self.all {
            true => self.left.pop(),
            false => Some(random.random_range(0..self.count)),
        }
    }
}

pub(super) fn run(trial: &mut Trial<'_>, report: &mut Report) -> Result<()> {
    let interposer = match Interposer::build(trial.folder) {
        Ok(interposer) => Some(interposer),
        Err(reason) => {
            report.skip(format!("failing bytes and calls: {reason}"));
            None
        }
    };
    let limits = Command::new("prlimit").arg("--version").output().is_ok();
    if !limits {
        report.skip("limits on the length of files: there is no prlimit");
    }
    let probe = trial.folder.join("probe");
    std::fs::create_dir(&probe)?;
    let mounts = Tmpfs::mount(&probe, 64).is_some();
    if !mounts {
        report.skip("a file system without room: none can be mounted here");
    }
    let mut stages = Vec::new();
    for stage in trial.stages {
        let mut points = Vec::new();
        if let Some(interposer) = &interposer {
            stage.reset()?;
            let mut command = stage.command(trial.programs);
            interposer.arm(&mut command, &stage.work, Failing::Nothing);
            Running::start(&mut command)?.end(PATIENCE)?;
            let (bytes, calls) = interposer.counted()?;
            points.push(Points::new(Way::Byte, bytes, &mut trial.random));
            points.push(Points::new(Way::Call, calls, &mut trial.random));
        }
        if limits {
            points.push(Points::new(Way::Length, stage.largest, &mut trial.random));
        }
        if mounts {
            points.push(Points::new(
                Way::Room,
                stage.largest.div_ceil(4096) + 8,
                &mut trial.random,
            ));
        }
        stages.push((stage, points));
    }
    let mut round = 0;
    while trial.is_time() && !stages.is_empty() {
        let count = stages.len();
        let (stage, points) = &mut stages[round % count];
        let ways = points.len();
        // Another way each time that the scene comes round, and no way twice as often as another.
        if ways > 0
            && let points = &mut points[(round / count) % ways]
            && let Some(point) = points.next(&mut trial.random)
        {
            attempt(trial, report, stage, interposer.as_ref(), points.way, point)?;
        }
        round += 1;
        if stages
            .iter()
            .all(|(_, points)| points.iter().all(|points| points.all && points.left.is_empty()))
        {
            break;
        }
    }
    for (stage, points) in &stages {
        for points in points
            .iter()
            .filter(|points| points.all && points.left.is_empty())
        {
            let what = format!("all points of {} by {:?}", stage.scene.name, points.way);
            report.figures.insert(what, points.count as f64);
        }
    }
    Ok(())
}

/// Lets one write fail, looks, and goes on.
fn attempt(
    trial: &Trial<'_>,
    report: &mut Report,
    stage: &Stage,
    interposer: Option<&Interposer>,
    way: Way,
    point: u64,
) -> Result<()> {
    let name = stage.scene.name;
    let what = format!("{name}, {way:?} {point}");
    report.tried(name);
    let found = |report: &mut Report, fault: String| -> Result<()> {
        let kept = stage.keep(trial.out, report.findings.len())?;
        report.find(
            format!("{what}: {fault} (kept: {})", kept.display()),
            &again(trial, name),
        );
        Ok(())
    };
    empty(&stage.work)?;
    let mounted = match way {
        Way::Room => Tmpfs::mount(&stage.work, ROOM),
        _ => None,
    };
    stage.reset()?;
    if let Some(tmpfs) = &mounted {
        let held = held_kib(&stage.work);
        // A size below what is held already is refused; then there is no room at all.
        if !tmpfs.resize(held + point * 4) {
            return Ok(());
        }
    }
    let mut command = stage.command(trial.programs);
    match (way, interposer) {
        (Way::Byte, Some(interposer)) => interposer.arm(&mut command, &stage.work, Failing::Byte(point)),
        (Way::Call, Some(interposer)) => interposer.arm(&mut command, &stage.work, Failing::Call(point)),
        (Way::Length, _) => command = limited(&command, point),
        _ => {}
    }
    let ended = Running::start(&mut command)?.end(PATIENCE)?;
    let given_up = stage.given_up(&ended);
    if let Some(fault) = wrong(stage, &ended, given_up) {
        found(report, fault)?;
    }
    if let Some(half) = stage.torn()? {
        found(report, half)?;
    }
    if let Some(tmpfs) = &mounted {
        tmpfs.resize(ROOM);
    }
    if let Some(fault) = stage.go_on(trial.programs, given_up)? {
        found(report, fault)?;
    }
    // What lies below the mount is not what comes next.
    drop(mounted);
    Ok(())
}

/// What is wrong with how a disturbed command ended, if anything.
fn wrong(stage: &Stage, ended: &Ended, given_up: Option<&str>) -> Option<String> {
    let Some(status) = ended.status else {
        return Some(format!("it does not end within {} s", PATIENCE.as_secs()));
    };
    if status.success() {
        // What failed was of no consequence, or nothing did: the result must be whole.
        let difference = super::snapshot::Snapshot::of(&stage.work)
            .ok()?
            .without(given_up)
            .difference(&stage.after.without(given_up));
        return difference.map(|difference| format!("it says that all is well, and {difference}"));
    }
    if status.code() != Some(1) {
        return Some(format!("it ends with {} ({})", ended.how(), ended.last()));
    }
    if ended.said.contains("panicked") {
        return Some(format!("it panics: {}", ended.said.trim()));
    }
    // Where single rows or pictures fail, their lines come before the last one.
    let mut told = ended
        .said
        .lines()
        .filter(|line| CAUSES.iter().any(|cause| line.contains(cause)))
        .peekable();
    if told.peek().is_none() {
        return Some(format!("no message names a cause: {}", ended.said.trim()));
    }
    let folders = stage.scene.command.iter().map(String::as_str);
    let names = stage
        .after
        .names()
        .flat_map(|name| name.split('/'))
        .chain(folders);
    let known: Vec<&str> = names.filter(|name| name.len() > 2).collect();
    match told.any(|line| known.iter().any(|name| line.contains(name))) {
        true => None,
        false => Some(format!(
            "no message with a cause names a file: {}",
            ended.said.trim()
        )),
    }
}

/// The command under a limit on the length of files.
fn limited(command: &Command, bytes: u64) -> Command {
    let mut limited = Command::new("prlimit");
    limited
        .arg(format!("--fsize={bytes}"))
        .arg("--core=0")
        .arg(command.get_program());
    limited.args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.env_remove("RUST_LOG");
    limited
}

/// KiB that the files of a folder take on a file system in memory: whole pages, and one for each folder.
fn held_kib(folder: &std::path::Path) -> u64 {
    let mut held = 4;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        held += match entry.path().is_dir() {
            true => held_kib(&entry.path()),
            false => entry.metadata().map_or(0, |data| data.len().div_ceil(4096) * 4),
        };
    }
    held
}

fn again(trial: &Trial<'_>, scene: &str) -> String {
    format!(
        "cargo xtask campaign --only writes --seed {} --scene {scene}",
        trial.seed
    )
}
