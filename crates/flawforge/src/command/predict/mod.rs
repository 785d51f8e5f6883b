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
mod list;
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
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::models::Detector;
use flawforge::ops::Precision;
use flawforge::training::{Drift, Run};

use super::numbers::{finite, whole};
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
use list::Ends;
use pictures::{Faults, Painters, Pictures, Style};
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
    /// Paths of --list and - end with a byte of zero, as `find -print0` writes them, and not with a line
    #[arg(long, short = '0')]
    null: bool,
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
    #[arg(long, value_name = "PIXELS", default_value_t = 1, value_parser = whole)]
    min_area: u64,
    /// Score from which on a pixel belongs to a region, instead of the one found
    #[arg(long, value_name = "SCORE", allow_hyphen_values = true, value_parser = finite)]
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
    #[command(flatten)]
    device: DeviceArgs,
}

/// Threads that decode, and as many that paint, at most (proposal).
const THREADS: usize = 4;

impl PredictArgs {
    fn ends(&self) -> Ends {
        if self.null { Ends::Null } else { Ends::Line }
    }
}

/// Runs the command.
pub(crate) fn run(args: &PredictArgs) -> Result<ExitCode> {
    let signals = Signals::listen()?;
    let out = args.out.as_deref();
    args.device.choose(None)?;
    let run = Run::open(&args.run)?;
    let decision = args.verdicts.decision_in_short(&run)?;
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
    let Some(inputs) = Inputs::gather(
        &args.inputs,
        &args.list,
        (args.ends(), args.watch.is_some()),
        out,
        &signals,
    )?
    else {
        log::info!("stopped by a signal before the first image");
        return Ok(signals.code());
    };
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
            files::remove_leftovers_below(out);
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
        region: args.region.loading(run)?.region,
        trained: run.data().each.iter().cloned().collect(),
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
    let ends = args.ends();
    thread::Builder::new()
        .name("inputs".to_owned())
        .spawn(move || feeder.run(inputs, ends, watch))
        .context("a thread that gives out inputs")?;
    Ok(Line {
        judge,
        detector,
        batch,
        slots,
        eyes,
        ledger,
        painters,
        unpainted: Faults::default(),
        pictures,
        unfinished,
        json: args.json,
        mute: false,
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
    match line.judge.threshold() {
        Some(threshold) => Ok(run.drift(threshold, &line.summary.scores)?),
        None => Ok(None),
    }
}

/// Waits for what is still being written, says the last words.
fn finish(args: &PredictArgs, line: Line, end: Result<End>, signals: &Signals) -> Result<ExitCode> {
    let Line {
        ledger,
        painters,
        unpainted: mut faults,
        summary,
        progress,
        notes,
        told,
        unfinished,
        mute,
        ..
    } = line;
    let (pace, total) = (progress.pace(), progress.total());
    drop(progress);
    faults.join(painters.map(Painters::finish).unwrap_or_default());
    let synced = ledger.map_or(Ok(()), Ledger::finish);
    super::source::say(&notes);
    for warning in summary.warning().into_iter().chain(summary.known()) {
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
    let printed = last_words(args.json, mute, told, &summary);
    if faults.count > 0 {
        log::error!(
            "pictures of {} could not be written; the same command writes them when it can: {}",
            counted(faults.count, "image"),
            faults.first
        );
    }
    let goes_on = match &args.out {
        Some(_) => "; the same command goes on where it was",
        None => "",
    };
    let end = match (end, synced) {
        (Ok(end), Ok(())) => end,
        (Err(fault), _) | (Ok(_), Err(fault)) => {
            let left = match total.map(|total| total.saturating_sub(summary.inputs())) {
                None => "; what comes after has no row".to_owned(),
                Some(0) => String::new(),
                Some(1) => "; 1 input has no row".to_owned(),
                Some(more) => format!("; {more} inputs have no row"),
            };
            bail!("{}{left}{goes_on}", flawforge::fault::in_one_line(fault.as_ref()));
        }
    };
    printed?;
    match end {
        End::Stopped => {
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
        End::All if summary.refused > 0 => bail!("not all that was named could be read (named above)"),
        End::All if summary.count() == 0 && args.watch.is_none() => bail!("no image was named"),
        End::All if faults.count > 0 || mute => Ok(ExitCode::FAILURE),
        End::All => Ok(ExitCode::SUCCESS),
    }
}

/// What is told of a single image, and the summary; the latter on standard error where rows go to standard output.
fn last_words(json: bool, mute: bool, told: Vec<String>, summary: &Summary) -> Result<()> {
    if json || mute {
        log::info!("{}", summary.said());
        return Ok(());
    }
    for words in told {
        print(&words)?;
    }
    print(&format!("{}\n", summary.said()))
}
