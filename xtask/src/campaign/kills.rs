//! Processes are killed at random times, by a signal that cannot be caught, with random numbers of threads.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::Trial;
use super::outcome::Report;
use super::program::Running;
use super::scene::Stage;

/// Numbers of threads that are drawn from.
const THREADS: [&str; 5] = ["1", "2", "3", "4", "7"];
/// Most kills of one command before it may end.
const KILLS: u32 = 3;
/// Commands whose kills tell most, drawn as often as all others together (proposal).
const FIRST: [&str; 4] = ["train", "predict", "table", "evaluate"];

pub(super) fn run(trial: &mut Trial<'_>, report: &mut Report) -> Result<()> {
    let stages = trial.stages;
    let (first, others): (Vec<_>, Vec<_>) =
        stages.iter().partition(|stage| FIRST.contains(&stage.scene.name));
    let mut turn = 0;
    while trial.is_time() && !stages.is_empty() {
        let among = if (turn % 2 == 0 || others.is_empty()) && !first.is_empty() {
            &first
        } else {
            &others
        };
        let stage = among[(turn / 2) % among.len()];
        turn += 1;
        killed(trial, report, stage)?;
    }
    Ok(())
}

/// Kills a command up to so many times, then lets it end.
fn killed(trial: &mut Trial<'_>, report: &mut Report, stage: &Stage) -> Result<()> {
    stage.reset()?;
    let name = stage.scene.name;
    let kills = trial.random.random_range(1..=KILLS);
    let mut what = name.to_owned();
    for _ in 0..kills {
        let threads = THREADS[trial.random.random_range(0..THREADS.len())];
        let share: f64 = trial.random.random_range(0.0..0.97);
        let time = Duration::from_secs_f64(stage.took.as_secs_f64() * share);
        what.push_str(&format!(
            ", {threads} threads killed after {} ms",
            time.as_millis()
        ));
        let mut command = stage.command(trial.programs);
        command.env("RAYON_NUM_THREADS", threads);
        let ended = Running::start(&mut command)?.end(time)?;
        if ended.status.is_some() {
            report.tried("ended before it was killed");
            let may_be_there = ended.said.contains("is there already");
            if !ended.is_good() && !may_be_there {
                found(
                    trial,
                    report,
                    stage,
                    &format!("{what}: it fails: {}", ended.last()),
                )?;
            }
        } else {
            report.tried(&format!("kills of {name}"));
        }
        if let Some(half) = stage.torn()? {
            found(trial, report, stage, &format!("{what}: {half}"))?;
        }
    }
    if let Some(fault) = stage.go_on(trial.programs, None)? {
        found(trial, report, stage, &format!("{what}: {fault}"))?;
    }
    Ok(())
}

fn found(trial: &Trial<'_>, report: &mut Report, stage: &Stage, fault: &str) -> Result<()> {
    let kept = stage.keep(trial.out, 1000 + report.findings.len())?;
    report.find(
        format!("{fault} (kept: {})", kept.display()),
        &again(trial, stage.scene.name),
    );
    Ok(())
}

fn again(trial: &Trial<'_>, scene: &str) -> String {
    format!(
        "cargo xtask campaign --only kills --seed {} --scene {scene}",
        trial.seed
    )
}
