//! `flawforge predict`: scores, verdicts, regions and pictures of images of any size, one after the other.
//!
//! ```text
//! Feeder ──jobs──> threads that decode ──> network ──> rows ──> threads that paint
//! (inputs in order, those without a row)   (batches)   (flushed)  (pictures, if any)
//! ```
//!
//! All channels are bounded, and rows are not kept: memory does not grow with the number of images, but for some 100 bytes each.

mod budget;
mod coco;
mod feeder;
mod inputs;
mod judge;
mod ledger;
mod line;
mod pictures;
mod progress;
mod row;
mod seen;
mod stages;
mod summary;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;
use flawforge::datasets::counted;
use flawforge::files;
use flawforge::models::Detector;
use flawforge::ops::Precision;
use flawforge::training::{Drift, Run};

use super::output::print;
use super::region::RegionArgs;
use super::signals::Signals;
use super::source::make_folder;
use super::verdicts::VerdictArgs;
use budget::Budget;
use feeder::Feeder;
use inputs::{Inputs, refuse_output};
use judge::Judge;
use ledger::{Found, Ledger};
use line::{End, Line};
use pictures::{Painters, Pictures, Style};
use progress::Progress;
use seen::{REMEMBERED, Seen};
use stages::{Eyes, decode};
use summary::Summary;
use watch::{Unfinished, Watch};

/// Options of `predict`.
#[derive(Args, Debug)]
pub(crate) struct PredictArgs {
    /// Images, and folders, searched with their subfolders; `-` reads paths from standard input, one a line
    #[arg(value_name = "IMAGE|DIR", required_unless_present_any = ["list", "watch"])]
    inputs: Vec<PathBuf>,
    /// A trained run: its folder, or its checkpoint.safetensors alone
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder for the results
    ///
    /// scores.csv has a row for each image, scores.jsonl the same and the regions found, as lines of JSON. Both are written row by
    /// row. Called again with the same folder, images that have their row are passed over, and new rows are added.
    ///
    /// NAME_map.png is the anomaly map in 16 bits, at the image's own size: 65535 is score 1.0, or the method's full scale where
    /// scores are no probabilities. NAME_heat.png shows the map in colors, red at the pixel threshold, NAME_overlay.png lays it
    /// over the image with a contour at the pixel threshold, NAME_mask.png is white where pixels reach it.
    #[arg(long, value_name = "DIR", required_unless_present = "json")]
    out: Option<PathBuf>,
    /// A file with paths of images or folders, one a line, from where the command is started; may be given several times
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// Score what is in this folder and what comes into it, until a signal; half-written files are waited for
    ///
    /// A file that changes, or is replaced by another of its name, gets another row and pictures of another name. So that memory does
    /// not grow for ever, the last 500,000 files are remembered beside those in the folder.
    #[arg(long, value_name = "DIR")]
    watch: Option<PathBuf>,
    /// Write each row as a line of JSON to standard output
    #[arg(long)]
    json: bool,
    /// Of which images pictures are written
    #[arg(long, value_enum, value_name = "WHICH", default_value = "all")]
    pictures: Pictures,
    /// Write no pictures: the same as --pictures none
    #[arg(long, conflicts_with = "pictures")]
    scores_only: bool,
    /// Regions with fewer pixels of the image are passed over
    #[arg(long, value_name = "PIXELS", default_value_t = 1)]
    min_area: u64,
    /// Score from which on a pixel belongs to a region, instead of the one found
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pixel_threshold: Option<f32>,
    /// COCO file for the regions of all images in --out
    #[arg(long, value_name = "FILE", requires = "out")]
    coco: Option<PathBuf>,
    #[command(flatten)]
    region: RegionArgs,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
}

/// Threads that decode, and as many that paint, at most (proposal).
const THREADS: usize = 4;

/// Runs the command.
pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode> {
    let signals = Signals::listen()?;
    let out = args.out.as_deref();
    let run = Run::open(&args.run)?;
    if args.pixel_threshold.is_some_and(f32::is_nan) {
        bail!("--pixel-threshold: is not a number");
    }
    let decision = args.verdicts.decision(&run)?;
    let given = args.verdicts.rule(&run).threshold;
    let precision = args.precision.unwrap_or(run.precision());
    let judge = Judge::new(
        &run,
        decision,
        given,
        args.pixel_threshold,
        args.min_area,
        &precision.to_string(),
    )?;
    let inputs = Inputs::gather(&args.inputs, &args.list, out)?;
    if let (Some(folder), Some(out)) = (&args.watch, out) {
        refuse_output(folder, &[], out)?;
    }
    // Before anything is computed: whether somebody else is there, and what is there.
    let occupied = match out {
        Some(out) => {
            make_folder(out)?;
            Some(files::occupy(out, "flawforge predict")?)
        }
        None => None,
    };
    let (ledger, found) = match out {
        Some(out) => {
            files::remove_leftovers(out);
            let (ledger, found) = Ledger::open(out, &judge.settings)?;
            if let Some(there) = found.said() {
                log::info!("{}: holds {there}; new rows are added", out.display());
            }
            (Some(ledger), found)
        }
        None => (None, Found::default()),
    };
    let pictures = match (out, args.scores_only) {
        (Some(_), false) => args.pictures,
        _ => Pictures::None,
    };
    let mut line = start(args, &run, judge, inputs, found, ledger, pictures, &signals)?;
    let end = line.run(&signals);
    let settings = line.judge.settings.clone();
    let drift = drift(&run, &line)?;
    let outcome = finish(args, line, end, &signals);
    if let Some(drift) = drift {
        log::warn!("{drift}");
    }
    if let (Some(coco), Some(out)) = (&args.coco, out)
        && outcome.is_ok()
    {
        coco::write(coco, out, &settings)?;
    }
    drop(occupied);
    outcome
}

/// Starts all threads.
#[expect(clippy::too_many_arguments, reason = "each stage is made of other parts")]
fn start(
    args: &PredictArgs,
    run: &Run,
    judge: Judge,
    inputs: Inputs,
    found: Found,
    ledger: Option<Ledger>,
    pictures: Pictures,
    signals: &Signals,
) -> Result<Line> {
    let detector: Arc<dyn Detector> = run.detector_in(args.precision.unwrap_or(run.precision()))?.into();
    let batch = run.experiment().evaluation.batch.max(1);
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS);
    let (job_sender, jobs) = sync_channel(threads);
    let (slot_sender, slots) = sync_channel(batch + threads);
    let eyes = Arc::new(Eyes {
        detector: Arc::clone(&detector),
        scale: run.pixel_scale(),
        appearance: run.appearance().cloned(),
        region: args.region.loading(&run)?.region,
        keeps_images: pictures != Pictures::None,
        budget: Budget::default(),
        wanted: Arc::default(),
    });
    decode(threads, jobs, &eyes)?;
    let painters = match (args.out.as_ref(), pictures) {
        (None, _) | (_, Pictures::None) => None,
        (Some(out), _) => Some(Painters::start(
            threads,
            &Style {
                out: out.clone(),
                full: detector.full_scale(),
                pixel_threshold: judge.pixel_threshold(),
            },
        )?),
    };
    let unfinished = Unfinished::default();
    let watch = args.watch.as_ref().map(|folder| Watch {
        folder: folder.clone(),
        unfinished: unfinished.clone(),
    });
    let known = inputs.known.len();
    let total = (!inputs.stdin && watch.is_none()).then_some(known);
    let feeder = Feeder::new(
        Seen::new(found, watch.is_some().then_some(REMEMBERED)),
        job_sender,
        slot_sender,
        judge.settings.clone(),
        args.out.clone(),
        pictures,
        signals.flag(),
    );
    let single = total == Some(1);
    let tells = !args.json && (single || watch.is_some());
    thread::Builder::new()
        .name("inputs".to_owned())
        .spawn(move || feeder.run(inputs, watch))
        .context("a thread that gives out inputs")?;
    Ok(Line {
        judge,
        detector,
        batch,
        slots,
        eyes,
        ledger,
        painters,
        pictures,
        unfinished,
        json: args.json,
        tells,
        progress: Progress::new(total),
        summary: Summary::default(),
        notes: Vec::new(),
        faults_said: 0,
        told: Vec::new(),
    })
}

/// Whether the scores lie elsewhere than those of the run's own normal images.
fn drift(run: &Run, line: &Line) -> Result<Option<Drift>> {
    let (Some(calibrated), Some(threshold)) = (run.calibrated(), line.judge.threshold()) else {
        return Ok(None);
    };
    Ok(calibrated.drift(threshold, &line.summary.scores)?)
}

/// Waits for what is still being written, says the last words.
fn finish(args: &PredictArgs, line: Line, end: Result<End>, signals: &Signals) -> Result<ExitCode> {
    let Line {
        ledger,
        painters,
        summary,
        progress,
        notes,
        told,
        unfinished,
        ..
    } = line;
    let pace = progress.pace();
    drop(progress);
    let faults = painters.map(Painters::finish).unwrap_or_default();
    ledger.map_or(Ok(()), Ledger::finish)?;
    super::source::say(&notes);
    if let Some(warning) = summary.warning() {
        log::warn!("{warning}");
    }
    if let (seconds, computed @ 2..) = pace {
        log::info!(
            "{} in {:.1} s, {:.1} images/s",
            counted(computed, "image"),
            seconds,
            computed as f64 / seconds.max(1e-9)
        );
    }
    if let Some(left) = unfinished.said() {
        log::warn!(
            "{left}; the next call takes {}",
            if left.starts_with("1 ") { "it" } else { "them" }
        );
    }
    let end = end?;
    if summary.count() == 0 && args.watch.is_none() {
        log::warn!("no image was named");
    }
    for words in told {
        print(&words)?;
    }
    match args.json {
        true => log::info!("{}", summary.said()),
        false => print(&format!("{}\n", summary.said()))?,
    }
    if faults.count > 0 {
        log::error!(
            "pictures of {} could not be written, the rows are whole: {}",
            counted(faults.count, "image"),
            faults.first
        );
    }
    match end {
        End::Stopped => {
            let goes_on = match &args.out {
                Some(_) => "; the same command goes on where it was",
                None => "",
            };
            log::info!(
                "stopped by a signal after {}{goes_on}",
                counted(summary.count(), "image")
            );
            Ok(signals.code())
        }
        End::NobodyReads => Ok(ExitCode::SUCCESS),
        End::All if summary.faulty > 0 => bail!(
            "{} of {} could not be read (named above)",
            summary.faulty,
            counted(summary.count(), "image")
        ),
        End::All if faults.count > 0 => Ok(ExitCode::FAILURE),
        End::All => Ok(ExitCode::SUCCESS),
    }
}
