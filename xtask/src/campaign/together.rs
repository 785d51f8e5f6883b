//! The same command twice at once, in the same folder: one works, the other says who is there, or both do and the file is whole.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use rand::Rng;

use super::Trial;
use super::outcome::Report;
use super::program::{Ended, PATIENCE, Running};
use super::scene::Stage;
use super::snapshot::Snapshot;

pub(super) fn run(trial: &mut Trial<'_>, report: &mut Report) -> Result<()> {
    let stages = trial.stages;
    let mut turn = 0;
    // Each pair at least once, whatever the time.
    while !stages.is_empty() && (turn < stages.len() || trial.is_time()) {
        pair(trial, report, &stages[turn % stages.len()])?;
        turn += 1;
    }
    Ok(())
}

fn pair(trial: &mut Trial<'_>, report: &mut Report, stage: &Stage) -> Result<()> {
    stage.reset()?;
    let name = stage.scene.name;
    report.tried(name);
    let apart = Duration::from_secs_f64(stage.took.as_secs_f64() * trial.random.random_range(0.0..0.6));
    let first = Running::start(&mut stage.command(trial.programs))?;
    thread::sleep(apart);
    let second = Running::start(&mut stage.command(trial.programs))?;
    let ended = [first.end(PATIENCE)?, second.end(PATIENCE)?];
    let mut faults = Vec::new();
    if !ended.iter().any(Ended::is_good) {
        faults.push(format!(
            "neither works: {} / {}",
            ended[0].last(),
            ended[1].last()
        ));
    }
    for other in ended.iter().filter(|ended| !ended.is_good()) {
        let said = other.last();
        let names_it = said.contains("is at work there") && said.contains("process ");
        // A file that is not replaced may have come first.
        let came_late = said.contains("is there already") && !stage.scene.occupies;
        if !names_it && !came_late {
            faults.push(format!(
                "it is turned away without a word of who is there: {said}"
            ));
        } else if names_it {
            report.tried("turned away");
        }
    }
    if let Some(difference) = Snapshot::of(&stage.work)?.difference(&stage.after) {
        faults.push(difference);
    }
    for fault in faults {
        let kept = stage.keep(trial.out, 2000 + report.findings.len())?;
        report.find(
            format!(
                "{name}, the second {} ms later: {fault} (kept: {})",
                apart.as_millis(),
                kept.display()
            ),
            &again(trial),
        );
    }
    Ok(())
}

fn again(trial: &Trial<'_>) -> String {
    format!("cargo xtask campaign --only together --seed {}", trial.seed)
}
