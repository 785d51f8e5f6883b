//! `flawforge report`: one page on a run: what was trained on what, what is promised, how it does on test images, with pictures.

mod charts;
mod facts;
mod gallery;
mod histogram;
mod normals;
mod page;
mod parts;
mod plot;
mod scores;
mod tested;

use std::path::PathBuf;

use anyhow::{Context, Result};
use askama::Template;
use clap::Args;
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::ops::Precision;
use flawforge::pictures::axis;
use flawforge::source::SourceError;
use flawforge::training::Run;
use flawforge::training::fit::{Line, read_journal};

use super::source::{CategoryArgs, make_folder};
use super::verdicts::VerdictArgs;
use gallery::Look;
use parts::Findings;

/// The file of the losses, beside the run's.
const JOURNAL: &str = "metrics.jsonl";

/// Options of `report`.
#[derive(Args, Debug)]
#[command(after_help = "\
The page needs nothing beside itself: no other file, no network. Pictures of normal images are shown where the folder that the run \
was trained on can still be read; what test images tell, where DIR or --demo names some.")]
pub(crate) struct ReportArgs {
    /// A trained run: its folder, or its checkpoint.safetensors alone
    #[arg(value_name = "RUN")]
    run: PathBuf,
    #[command(flatten)]
    category: CategoryArgs,
    /// HTML page to write
    #[arg(long, value_name = "FILE.html")]
    out: PathBuf,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    if args.out.is_dir() {
        let path = args.out.clone();
        return Err(SourceError::IsFolder { path }.into());
    }
    args.device.choose(None)?;
    let run = Run::open(&args.run)?;
    let decision = args.verdicts.decision(&run)?;
    let detector = run.detector_in(args.precision.unwrap_or(run.precision()))?;
    let pixels = decision.as_ref().map(|decision| decision.pixel_threshold);
    let look = Look::new(pixels, detector.full_scale());
    let tested = match args.category.is_empty() {
        true => None,
        false => Some(tested::test(
            &run,
            detector.as_ref(),
            decision.as_ref(),
            &args.category,
            look,
        )?),
    };
    let normals = normals::normals(&run, detector.as_ref(), decision.as_ref(), look);
    if let Some(missing) = &normals.missing {
        log::warn!("{missing}");
    }
    let findings = Findings {
        run: &run,
        decision: decision.as_ref(),
        look,
        journal: journal(&run)?,
        normals,
        tested,
    };
    let page = findings.page()?.render().context("the page")?;
    if let Some(folder) = args.out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    files::write(&args.out, page.as_bytes())?;
    log::info!("{}: open it in a browser, or print it", args.out.display());
    Ok(())
}

/// The losses beside the run's file, where they are.
fn journal(run: &Run) -> Result<Vec<Line>> {
    let path = run.file().with_file_name(JOURNAL);
    match path.is_file() {
        true => Ok(read_journal(&path)?),
        false => Ok(Vec::new()),
    }
}
