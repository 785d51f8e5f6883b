//! `flawforge check`: takes a folder as it is, and tells what is wrong with it before anything is trained.

mod cost;
mod page;
mod progress;
mod report;
mod text;

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use flawforge::datasets::check::Check;
use flawforge::datasets::{CategoryFiles, DatasetError, Limits, picture_size};
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::source::AskedView;
use rayon::prelude::*;

use super::source::make_folder;
use progress::Progress;
use report::{Line, Report};

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit code: 0 if a training on DIR would start, 1 if it would not or if the check itself failed, 2 for wrong options. What would \
stop an evaluation alone, and what deserves a look, leaves it at 0. A folder of several categories is no category: each is \
checked in a line, and the code is 1.")]
pub(crate) struct CheckArgs {
    /// Folder of one category, or of several
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// HTML page to write, self-contained: the same, with pictures
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// JSON file to write; - prints it instead of the text
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
    /// Leave out what a training would cost here, which takes a few seconds to measure
    #[arg(long)]
    no_cost: bool,
    /// How a training would see the images, for what it would cost: stretch, fit, tiles, tiles:SCALE or two-scales [default: as
    /// `train` does]
    #[arg(long, value_name = "VIEW", conflicts_with = "no_cost")]
    view: Option<AskedView>,
    #[command(flatten)]
    device: DeviceArgs,
}

impl CheckArgs {
    fn prints_json(&self) -> bool {
        self.json.as_deref() == Some(Path::new("-"))
    }
}

/// Runs the command; the code says whether a training would start.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode> {
    args.device.choose(None)?;
    let report = look(args);
    if let Some(path) = &args.html {
        write(path, page::render(&report)?.as_bytes())?;
    }
    let json = || serde_json::to_vec_pretty(&report).context("JSON");
    if let Some(path) = args.json.as_ref().filter(|_| !args.prints_json()) {
        write(path, &json()?)?;
    }
    let shown = match args.prints_json() {
        true => [json()?, b"\n".to_vec()].concat(),
        false => text::render(&report).into_bytes(),
    };
    print(&shown)?;
    Ok(match report.training_starts {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Everything that is told of a folder.
fn look(args: &CheckArgs) -> Report {
    let limits = Limits::default();
    match CategoryFiles::discover_for(&args.dir, flawforge::datasets::Purpose::Both, &limits) {
        Ok(files) => {
            let check = checked(&files, &limits);
            let mut report = Report::of(&args.dir, check, &files);
            if !args.no_cost {
                let sizes = files.train.par_iter();
                // A file that cannot be read is told by the check.
                let sizes: Vec<(u32, u32)> = sizes
                    .filter_map(|file| picture_size(&file.path, &limits).ok())
                    .collect();
                let view = args.view.map(|view| view.of(&sizes).unwrap_or_default());
                report.add_costs(cost::costs(&files.name, &sizes, files.train.len(), view));
            }
            report
        }
        Err(DatasetError::SeveralCategories { names, path }) => {
            let lines = names.iter().map(|name| line(&path.join(name), name, &limits));
            Report::of_several(&args.dir, lines.collect())
        }
        Err(error) => Report::failed(&args.dir, &error),
    }
}

fn checked(files: &CategoryFiles, limits: &Limits) -> Check {
    let progress = Progress::new(&files.name, files.train.len() + files.test.len());
    Check::of(files, limits, &|| progress.step())
}

/// One of several categories.
fn line(dir: &Path, name: &str, limits: &Limits) -> Line {
    let found = CategoryFiles::discover_for(dir, flawforge::datasets::Purpose::Both, limits);
    Line::of(name, found.map(|files| checked(&files, limits)))
}

/// Writes to standard output. Whoever has closed it wants no more; another fault is told.
fn print(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("standard output: {}", report::system(&fault)))
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    // A folder of that name would be told by a temporary name.
    if fs::metadata(path).is_ok_and(|data| data.is_dir()) {
        anyhow::bail!("{}: is a folder; name a file", path.display());
    }
    Ok(files::write(path, bytes)?)
}
