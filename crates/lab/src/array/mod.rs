//! `cargo xtask sweep`: the cells of a sweep, each by a number, for a scheduler that starts them anywhere.
//!
//! ```text
//! sweep plan ──> OUT/sweep/manifest.jsonl (a line a cell), plan.json (the options)
//!                     │
//! sweep slurm, sweep kubernetes ──> what the scheduler wants ──> sweep cell, one index each ──> OUT/cells/…
//!                     │                                                                            │
//!                     └──────────────── sweep status, sweep tables: they only read ───────────────┘
//! ```
//!
//! * [`manifest`] is what the commands agree on. [`planning`] writes it.
//! * [`single`] runs one cell. [`progress`] tells what became of all.
//! * [`slurm`] and [`kubernetes`] write scripts and manifests.

pub mod kubernetes;
pub mod manifest;
pub mod planning;
pub mod progress;
pub mod single;
pub mod slurm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use flawforge::device::DeviceArgs;

use crate::cell;
use crate::gather;
use crate::published::Published;
use manifest::Sweep;
use progress::State;

/// The subcommands of `sweep`.
#[derive(Subcommand, Debug)]
pub enum SweepCommand {
    /// Settle which cells a sweep has, and write them down with what each will cost
    Plan(Box<planning::PlanArgs>),
    /// Train and score one cell, by its index in the plan
    Cell(single::CellArgs),
    /// Tell which cells are done, running, missing or failed, and why
    Status(OutArgs),
    /// Write tables and the figure from the cells that are done
    Tables(TablesArgs),
    /// Write a job array for Slurm, and submit it if asked to
    Slurm(slurm::SlurmArgs),
    /// Write an Indexed Job for Kubernetes
    Kubernetes(kubernetes::KubernetesArgs),
}

/// Which sweep.
#[derive(Args, Debug, Clone)]
pub struct OutArgs {
    /// Folder of the sweep, as given to `sweep plan`
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Refuse any other plan than that with this number, which `sweep plan` prints
    #[arg(long, value_name = "NUMBER")]
    pub plan: Option<String>,
}

/// Options of `sweep tables`.
#[derive(Args, Debug, Clone)]
pub struct TablesArgs {
    /// Which sweep.
    #[command(flatten)]
    pub sweep: OutArgs,
    /// Where the figure's networks compute.
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// Runs a command of `sweep`.
///
/// # Errors
/// Bad input, a plan that is missing or not what the files of today would make, cells that failed.
pub fn run(command: SweepCommand) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        SweepCommand::Plan(args) => planning::run(&args).map(done),
        SweepCommand::Cell(args) => single::run(&args),
        SweepCommand::Status(args) => progress::run(&args).map(done),
        SweepCommand::Tables(args) => tables(&args).map(done),
        SweepCommand::Slurm(args) => slurm::run(&args).map(done),
        SweepCommand::Kubernetes(args) => kubernetes::run(&args).map(done),
    }
}

/// `sweep tables`: what `reproduce-*` would write, from the cells that are done; nothing is trained.
fn tables(args: &TablesArgs) -> Result<()> {
    let mut sweep = Sweep::read(&args.sweep)?;
    sweep.options.options.device = args.device;
    let published = Published::load()?;
    let (plan, columns) = sweep.settled(&published)?;
    let mut cells = plan.experiments()?;
    sweep.check(&cells)?;
    let mut open = Vec::new();
    for (cell, line) in cells.iter_mut().zip(&sweep.lines) {
        match progress::state(&sweep.out, line) {
            State::Done(done) => (cell.result, cell.simulated) = (Some(done.0), done.1),
            State::Running(_) => open.push(format!("{}: is running", line.cell)),
            State::Failed(reason) => open.push(format!("{}: {reason}", line.cell)),
            State::Missing(_) => {
                // Trained and scored, but not yet on the simulated dataset: the other tables show it.
                if let Ok(cell::State::Finished(result)) =
                    cell::finished(&line.dir(&sweep.out), &line.provenance())
                {
                    cell.result = Some(*result);
                }
                open.push(format!("{}: is missing", line.cell));
            }
        }
    }
    if cells.iter().all(|cell| cell.result.is_none()) {
        bail!("{}: no cell is done, so there is no table", sweep.out.display());
    }
    gather::write(&plan, &cells, &columns, &published, sweep.hardest())?;
    if !open.is_empty() {
        bail!(
            "{} of {} cells are not done; the tables are written without them:\n{}",
            open.len(),
            cells.len(),
            open.join("\n")
        );
    }
    Ok(())
}
