//! `cargo xtask campaign`: the promises of ARCHITECTURE.md tried on the real program.
//!
//! | part | what is done to it |
//! |---|---|
//! | [`writes`] | the n-th byte, the n-th call, the n-th page of what it writes fails |
//! | [`kills`] | it is killed at random times, with random numbers of threads |
//! | [`together`] | the same command is started twice at once |
//! | [`long`] | many steps, many images: memory and open files are watched |
//! | [`at_doors`] | hostile bytes come in by each of the [`doors`] |
//!
//! The program is a black box in a temporary folder. The same seed tries the same things in the same order; how many there is time
//! for differs.

pub mod at_doors;
pub mod doors;
mod interposer;
mod kills;
mod long;
pub mod outcome;
pub mod program;
mod scene;
mod scenes;
pub mod snapshot;
mod tmpfs;
mod together;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use flawforge::files;
use rand::SeedableRng;
use rand::rngs::StdRng;

use doors::Door;
use outcome::{Report, table};
use program::Programs;
use scene::Stage;
use scenes::Inputs;

/// Arguments of `cargo xtask campaign`.
#[derive(Clone, Debug, clap::Args)]
pub struct CampaignArgs {
    /// Time for all parts together
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub minutes: f64,
    /// Seed of what is tried
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Only these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
    /// Only these commands, separated by commas: train, evaluate, predict, report, export-run, export, select, check, table, download, forge
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub scene: Vec<String>,
    /// Folder for campaign.json, and for what shows a finding
    #[arg(long, value_name = "DIR", default_value = "out/campaign")]
    pub out: PathBuf,
    /// The program to try [default: built from this checkout]
    #[arg(long, value_name = "FILE")]
    pub flawforge: Option<PathBuf>,
    /// The part `long` in full: 100,000 images predicted, 2,000 evaluated, hours of steps; --minutes does not bind it
    #[arg(long)]
    pub full: bool,
    /// Only this door, in this process, for so many seconds: what the part `doors` starts
    #[arg(long, hide = true, value_parser = doors::named, requires = "seconds")]
    pub door: Option<Door>,
    /// Time for --door
    #[arg(long, hide = true)]
    pub seconds: Option<f64>,
    /// Write the seeds of the doors into this folder, for the fuzz targets
    #[arg(long, hide = true, value_name = "DIR")]
    pub write_seeds: Option<PathBuf>,
}

/// A part of the campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Writes fail.
    Writes,
    /// Processes are killed.
    Kills,
    /// Two do the same at once.
    Together,
    /// Memory and open files in the long run.
    Long,
    /// Hostile bytes.
    Doors,
}

impl Part {
    const ALL: [Self; 5] = [Self::Writes, Self::Kills, Self::Together, Self::Long, Self::Doors];

    /// Its share of the time, in parts of a hundred (proposal).
    fn share(self) -> f64 {
        match self {
            Self::Writes => 35.0,
            Self::Kills => 30.0,
            Self::Together => 7.0,
            Self::Long => 13.0,
            Self::Doors => 15.0,
        }
    }

    /// Whether it disturbs commands that are known undisturbed.
    fn disturbs_commands(self) -> bool {
        matches!(self, Self::Writes | Self::Kills | Self::Together)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Writes => "writes",
            Self::Kills => "kills",
            Self::Together => "together",
            Self::Long => "long",
            Self::Doors => "doors",
        }
    }
}

/// What a part is given.
struct Trial<'a> {
    programs: &'a Programs,
    /// A folder for it alone.
    folder: &'a Path,
    /// Where findings leave what shows them.
    out: &'a Path,
    random: StdRng,
    seed: u64,
    /// Commands that were tried without a fault.
    stages: &'a [Stage],
    /// When it is to end.
    until: Instant,
    full: bool,
}

impl Trial<'_> {
    fn is_time(&self) -> bool {
        Instant::now() < self.until
    }
}

/// Runs the campaign; the exit code is 1 where anything was found.
///
/// # Errors
/// When it cannot be begun: no program, no room. Findings are no errors.
pub fn run(args: &CampaignArgs) -> Result<ExitCode> {
    if let Some(folder) = &args.write_seeds {
        doors::write_seeds(folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(door), Some(seconds)) = (args.door, args.seconds) {
        at_doors::inside(door, Duration::from_secs_f64(seconds), args.seed, &args.out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let programs = Programs::find(args.flawforge.as_deref())?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let out = args.out.canonicalize()?;
    let temporary = tempfile::Builder::new().prefix("flawforge-campaign-").tempdir()?;
    let parts: Vec<Part> = Part::ALL
        .into_iter()
        .filter(|part| args.only.is_empty() || args.only.contains(part))
        .collect();
    let mut reports: Vec<Report> = Vec::new();
    let stages = match parts.iter().any(|part| part.disturbs_commands()) {
        true => undisturbed(args, &programs, temporary.path(), &mut reports)?,
        false => Vec::new(),
    };
    let shares: f64 = parts.iter().map(|part| part.share()).sum();
    for part in parts {
        let folder = temporary.path().join(part.name());
        std::fs::create_dir(&folder)?;
        let begun = Instant::now();
        let time = Duration::from_secs_f64((args.minutes * 60.0 * part.share() / shares).max(0.0));
        let mut trial = Trial {
            programs: &programs,
            folder: &folder,
            out: &out,
            random: StdRng::seed_from_u64(args.seed ^ ((part as u64 + 1) << 32)),
            seed: args.seed,
            stages: &stages,
            until: begun + time,
            full: args.full,
        };
        println!("{}: {:.0} s", part.name(), time.as_secs_f64());
        let mut report = Report::new(part.name());
        let outcome = match part {
            Part::Writes => writes::run(&mut trial, &mut report),
            Part::Kills => kills::run(&mut trial, &mut report),
            Part::Together => together::run(&mut trial, &mut report),
            Part::Long => long::run(&mut trial, &mut report),
            Part::Doors => at_doors::run(&mut trial, &mut report),
        };
        if let Err(fault) = outcome {
            report.find(format!("the part broke off: {fault:#}"), &part_again(args, part));
        }
        report.seconds = begun.elapsed().as_secs_f64();
        println!("{}", report.line());
        reports.push(report);
    }
    println!("\n{}", table(&reports));
    let json = serde_json::to_vec_pretty(&reports)?;
    files::write(&out.join("campaign.json"), &json)?;
    let found: usize = reports.iter().map(|report| report.findings.len()).sum();
    Ok(match found {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Every command without a fault, twice: what the others are compared with.
fn undisturbed(
    args: &CampaignArgs,
    programs: &Programs,
    folder: &Path,
    reports: &mut Vec<Report>,
) -> Result<Vec<Stage>> {
    let begun = Instant::now();
    let mut report = Report::new("undisturbed");
    let inputs = Inputs::make(programs, &folder.join("inputs"))?;
    let mut stages = Vec::new();
    for scene in inputs.scenes(&args.scene)? {
        let name = scene.name;
        report.tried(name);
        match Stage::set(scene, programs, folder) {
            Ok(stage) => stages.push(stage),
            Err(fault) => {
                let again = format!("cargo xtask campaign --only together --scene {name} --minutes 1");
                report.find(format!("{fault:#}"), &again);
            }
        }
    }
    report.seconds = begun.elapsed().as_secs_f64();
    println!("{}", report.line());
    reports.push(report);
    Ok(stages)
}

/// The command that tries a part again.
fn part_again(args: &CampaignArgs, part: Part) -> String {
    format!(
        "cargo xtask campaign --only {} --seed {} --minutes {}",
        part.name(),
        args.seed,
        args.minutes
    )
}
