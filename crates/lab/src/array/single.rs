//! `sweep cell`: one cell, by its index, wherever a scheduler starts it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::device::DeviceArgs;
use flawforge::fault::in_one_line;
use flawforge::files::{self, Occupied};
use serde::{Deserialize, Serialize};

use super::OutArgs;
use super::manifest::{Line, Sweep, folder};
use super::progress::{State, state};
use crate::published::Published;
use crate::reproduce::run_waiting;
use crate::stopping::{Stopping, TRY_AGAIN};
use crate::sweep::{Around, take};

/// Options of `sweep cell`.
#[derive(Args, Debug, Clone)]
pub struct CellArgs {
    /// Which sweep.
    #[command(flatten)]
    pub sweep: OutArgs,
    /// Index of the cell, from 0 on [default: SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX of the environment]
    #[arg(long, value_name = "I")]
    pub index: Option<usize>,
    /// Where it computes.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// The variables by which schedulers say which index is meant.
const INDICES: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

/// How long a cell waits for another process that has it: somewhat longer than one that died on another machine is in the way.
const PATIENCE: Duration = Duration::from_secs(2 * files::STALE.as_secs());
const GLANCE: Duration = Duration::from_secs(2);

/// Why a cell failed, kept in `OUT/sweep/failed` until it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What was wrong, in one line.
    pub reason: String,
    /// The process and its host.
    pub who: String,
}

/// Where a cell's failure is noted.
pub(crate) fn note_of(out: &Path, cell: &str) -> PathBuf {
    folder(out).join("failed").join(format!("{cell}.json"))
}

/// Runs the command. Exit code [`TRY_AGAIN`] after a signal, with a checkpoint from which the same command goes on, and while another
/// process has the cell.
///
/// # Errors
/// An index that there is not, a plan that is not today's, whatever fails in the cell. Faults of the cell are noted for
/// `sweep status`.
pub fn run(args: &CellArgs) -> Result<ExitCode> {
    let stopping = Stopping::listen()?;
    let index = match args.index {
        Some(index) => index,
        None => index_of(&|name| std::env::var(name).ok())?,
    };
    let mut sweep = Sweep::read(&args.sweep)?;
    sweep.options.options.device = args.device;
    let line = sweep.lines.get(index).with_context(|| {
        format!(
            "{}: the plan has no cell {index}: they go from 0 to {}",
            sweep.out.display(),
            sweep.lines.len().saturating_sub(1)
        )
    })?;
    let note = note_of(&sweep.out, &line.cell);
    let outcome = finish(&sweep, line, &stopping);
    // A failure is noted before another process may try.
    if let Err(fault) = &outcome {
        keep(&note, fault);
    }
    stopping.give_back();
    match outcome {
        Ok(true) => {
            forget(&note);
            Ok(ExitCode::SUCCESS)
        }
        Ok(false) => Ok(ExitCode::from(TRY_AGAIN)),
        Err(fault) => Err(fault),
    }
}

/// The index that a scheduler gave.
fn index_of(variable: &dyn Fn(&str) -> Option<String>) -> Result<usize> {
    let given: Vec<(&str, String)> = INDICES
        .into_iter()
        .filter_map(|name| Some((name, variable(name)?)))
        .collect();
    match &given[..] {
        [] => bail!(
            "--index is missing, and neither {} nor {} is set",
            INDICES[0],
            INDICES[1]
        ),
        [(name, text)] => text
            .parse()
            .with_context(|| format!("{name}: {text:?} is no index")),
        _ => bail!("both {} and {} are set: say --index", INDICES[0], INDICES[1]),
    }
}

/// Whether the cell is done; otherwise it is to be tried again later.
fn finish(sweep: &Sweep, line: &Line, stopping: &Arc<Stopping>) -> Result<bool> {
    let Some(held) = take_patiently(sweep, line, stopping)? else {
        return Ok(false);
    };
    let held = Arc::new(held);
    stopping.hold(&held);
    // It may have been finished while this process waited.
    if let State::Done(_) = state(&sweep.out, line) {
        eprintln!("{}: finished before", line.cell);
        return Ok(true);
    }
    // From now on only this attempt's failure counts.
    forget(&note_of(&sweep.out, &line.cell));
    let published = Published::load()?;
    let (plan, _) = sweep.settled(&published)?;
    let mut cells = plan.experiments()?;
    sweep.check(&cells)?;
    let dir = line.dir(&sweep.out);
    let cell = cells.get_mut(line.index).context("a cell of the plan")?;
    match crate::cell::finished(&dir, &line.provenance())? {
        crate::cell::State::Finished(result) => cell.result = Some(*result),
        crate::cell::State::Absent => {}
        crate::cell::State::Otherwise(_) => bail!(
            "{}: was made with other settings since; `sweep plan` puts it aside",
            dir.display()
        ),
        crate::cell::State::Elsewhere(message) => bail!(message),
    }
    let around = Around {
        held: Some(held),
        stopping: Some(Arc::clone(stopping)),
    };
    let failures = run_waiting(1, &plan, &mut cells, &[line.index], &around, &|_| Ok(()))?;
    if let Some(failure) = failures.first() {
        bail!("{failure}");
    }
    Ok(match state(&sweep.out, line) {
        State::Done(_) => true,
        _ if stopping.is_asked() => {
            eprintln!(
                "{}: stopped by a signal, saved; the same command goes on",
                line.cell
            );
            false
        }
        _ => bail!("{}: ended without a result", line.cell),
    })
}

/// The cell's folder, once nobody else has it; `None` if somebody has it for long.
fn take_patiently(sweep: &Sweep, line: &Line, stopping: &Stopping) -> Result<Option<Occupied>> {
    let began = Instant::now();
    let mut said = false;
    loop {
        let fault = match take(&line.dir(&sweep.out), &line.cell) {
            Ok(held) => return Ok(Some(held)),
            Err(fault) => fault,
        };
        let busy = fault
            .downcast_ref::<std::io::Error>()
            .is_some_and(|fault| fault.kind() == ErrorKind::ResourceBusy);
        if !busy {
            return Err(fault);
        }
        if began.elapsed() > PATIENCE || stopping.is_asked() {
            eprintln!("{}; try again later", in_one_line(fault.as_ref()));
            return Ok(None);
        }
        if !said {
            eprintln!("{}; waiting", in_one_line(fault.as_ref()));
            said = true;
        }
        thread::sleep(GLANCE);
    }
}

/// Notes why the cell failed.
fn keep(note: &Path, fault: &anyhow::Error) {
    let failure = Failure {
        reason: in_one_line(fault.as_ref()),
        who: format!("process {} on {}", std::process::id(), files::host()),
    };
    let kept = note
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(serde_json::to_string_pretty(&failure)?))
        .and_then(|text| Ok(files::write(note, text.as_bytes())?));
    // The fault itself is told in any case.
    if let Err(other) = kept {
        eprintln!(
            "{}: the failure cannot be noted: {}",
            note.display(),
            in_one_line(other.as_ref())
        );
    }
}

fn forget(note: &Path) {
    match fs::remove_file(note) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => {
            eprintln!("{}: cannot be removed: {fault}", note.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedulers_say_which_cell() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            index_of(&|name| {
                set.iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned())
            })
            .map_err(|fault| fault.to_string())
        };
        assert_eq!(with(&[("SLURM_ARRAY_TASK_ID", "7")]), Ok(7));
        assert_eq!(with(&[("JOB_COMPLETION_INDEX", "0")]), Ok(0));
        assert!(with(&[]).unwrap_err().contains("--index is missing"));
        assert!(
            with(&[("JOB_COMPLETION_INDEX", "-1")])
                .unwrap_err()
                .contains("is no index")
        );
        let both = with(&[("SLURM_ARRAY_TASK_ID", "7"), ("JOB_COMPLETION_INDEX", "0")]);
        assert!(both.unwrap_err().contains("say --index"));
    }
}
