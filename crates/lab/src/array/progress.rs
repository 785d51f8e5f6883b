//! `sweep status`: what became of each cell, read from its folder alone.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use flawforge::datasets::counted;
use flawforge::fault::in_one_line;
use flawforge::files;
use flawforge::training::RunFiles;

use super::OutArgs;
use super::manifest::{Line, Sweep};
use super::single::{Failure, note_of};
use crate::cell::{self, CellResult};
use crate::simulated::{self, SimulatedResult};

/// What became of a cell.
#[derive(Debug)]
pub enum State {
    /// Trained and scored on all that was planned.
    Done(Box<(CellResult, Option<SimulatedResult>)>),
    /// A process is at work on it: which.
    Running(String),
    /// Nothing, or not all of it, and nobody is at work; what there is, in words.
    Missing(String),
    /// Why it failed.
    Failed(String),
}

/// What became of the cell of a line.
pub fn state(out: &Path, line: &Line) -> State {
    let dir = line.dir(out);
    let result = match done(&dir, line) {
        Ok(Some(done)) => return State::Done(Box::new(done)),
        other => other,
    };
    if let Err(busy) = files::check_free(&dir) {
        return State::Running(busy.to_string());
    }
    if let Err(reason) = result {
        return State::Failed(reason);
    }
    if let Some(failure) = failure(out, &line.cell) {
        return State::Failed(failure);
    }
    let begun = match (
        dir.join("result.json").is_file(),
        RunFiles::new(&dir).checkpoint().is_file(),
    ) {
        (true, _) => "trained, but not scored on the simulated dataset",
        (false, true) => "begun, and goes on from its checkpoint",
        (false, false) => "not begun",
    };
    State::Missing(match files::abandoned_by(&dir) {
        Some(who) => format!("{begun}; {who} is gone"),
        None => begun.to_owned(),
    })
}

/// The results, if all are there that were planned.
fn done(dir: &Path, line: &Line) -> Result<Option<(CellResult, Option<SimulatedResult>)>, String> {
    let wanted = line.provenance();
    let result = match cell::finished(dir, &wanted) {
        Ok(cell::State::Finished(result)) => *result,
        Ok(cell::State::Absent) => return Ok(None),
        Ok(cell::State::Otherwise(_)) => {
            return Err("its result was made with other settings; `sweep plan` puts it aside".to_owned());
        }
        Ok(cell::State::Elsewhere(message)) => return Err(message),
        Err(fault) => return Err(in_one_line(fault.as_ref())),
    };
    let Some(set) = &line.simulated else {
        return Ok(Some((result, None)));
    };
    match simulated::finished_on(dir, &wanted, set) {
        Ok(Some(simulated)) => Ok(Some((result, Some(simulated)))),
        Ok(None) => Ok(None),
        Err(fault) => Err(in_one_line(fault.as_ref())),
    }
}

fn failure(out: &Path, cell: &str) -> Option<String> {
    let text = fs::read_to_string(note_of(out, cell)).ok()?;
    Some(match serde_json::from_str::<Failure>(&text) {
        Ok(Failure { reason, who }) => {
            let own = format!("{cell}: ");
            format!("{} ({who})", reason.strip_prefix(&own).unwrap_or(&reason))
        }
        Err(_) => "its note of failure cannot be read".to_owned(),
    })
}

/// How far a sweep is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) done: Vec<usize>,
    pub(crate) running: Vec<usize>,
    pub(crate) missing: Vec<usize>,
    pub(crate) failed: Vec<usize>,
    /// A line for each cell that is not done.
    pub(crate) said: Vec<String>,
}

impl Progress {
    pub(crate) fn of(sweep: &Sweep) -> Self {
        let mut progress = Self::default();
        for line in &sweep.lines {
            let (list, word, said) = match state(&sweep.out, line) {
                State::Done(_) => {
                    progress.done.push(line.index);
                    continue;
                }
                State::Running(who) => (&mut progress.running, "running", who),
                State::Missing(what) => (&mut progress.missing, "missing", what),
                State::Failed(reason) => (&mut progress.failed, "failed", reason),
            };
            list.push(line.index);
            progress
                .said
                .push(format!("{word} {} {}: {said}", line.index, line.cell));
        }
        progress
    }

    /// The cells to submit again: those that are missing or failed.
    pub(crate) fn again(&self) -> Vec<usize> {
        let mut again: Vec<usize> = self.missing.iter().chain(&self.failed).copied().collect();
        again.sort_unstable();
        again
    }
}

/// Runs the command.
///
/// # Errors
/// A plan that is missing or damaged.
pub fn run(args: &OutArgs) -> Result<()> {
    let sweep = Sweep::read(args)?;
    let progress = Progress::of(&sweep);
    let mut text = format!(
        "{} of plan {}: {} done, {} running, {} missing, {} failed\n",
        counted(sweep.lines.len(), "cell"),
        sweep.number(),
        progress.done.len(),
        progress.running.len(),
        progress.missing.len(),
        progress.failed.len(),
    );
    for line in &progress.said {
        text.push_str(line);
        text.push('\n');
    }
    let again = progress.again();
    if !again.is_empty() {
        text.push_str(&format!("--array={}\n", ranges(&again)));
    }
    // A closed pipe behind this command is not an error.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Numbers in ascending order as Slurm takes them: `0-3,7`.
pub(crate) fn ranges(numbers: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let words = runs.into_iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::sweep;
    use super::*;
    use crate::cell::tests::result;
    use flawforge::training::Method;

    #[test]
    fn numbers_are_written_in_runs() {
        assert_eq!(ranges(&[0, 1, 2, 4, 6, 7]), "0-2,4,6-7");
        assert_eq!(ranges(&[5]), "5");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn each_cell_is_told_by_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let sweep = sweep(dir.path(), 6);
        let folder = |index: usize| {
            let folder = sweep.lines[index].dir(dir.path());
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        cell::finish(&folder(0), &result(Method::Draem, "gear", 0, 0.5)).unwrap();
        let held = files::occupy(&folder(1), "a cell of a sweep").unwrap();
        let note = note_of(dir.path(), &sweep.lines[2].cell);
        fs::create_dir_all(note.parent().unwrap()).unwrap();
        fs::write(&note, r#"{"reason": "no images", "who": "process 3 on node"}"#).unwrap();
        let mut other = result(Method::Draem, "gear", 3, 0.5);
        other.config_hash = "g".into();
        cell::finish(&folder(3), &other).unwrap();
        fs::write(folder(4).join("checkpoint.safetensors"), b"").unwrap();
        fs::write(folder(4).join(".lock"), b"process 9 on node2 (a cell of a sweep)").unwrap();
        let progress = Progress::of(&sweep);
        assert_eq!((&progress.done[..], &progress.running[..]), (&[0][..], &[1][..]));
        assert_eq!(
            (&progress.failed[..], &progress.missing[..]),
            (&[2, 3][..], &[4, 5][..])
        );
        let said = progress.said.join("\n");
        for part in [
            "running 1 draem-gear-s1",
            "is at work there",
            "failed 2 draem-gear-s2: no images (process 3 on node)",
            "failed 3 draem-gear-s3: its result was made with other settings",
            "missing 4 draem-gear-s4: begun, and goes on from its checkpoint; process 9 on node2 (a cell of a sweep) is gone",
            "missing 5 draem-gear-s5: not begun",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert_eq!(ranges(&progress.again()), "2-5");
        drop(held);
    }
}
