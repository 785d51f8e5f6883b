//! `flawforge evaluate`: verdicts and metrics of a run on test images.

mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use flawforge::datasets::TestSet;
use flawforge::device::DeviceArgs;
use flawforge::files;
use flawforge::metrics::{AUPRO_LIMIT, Bootstrap, Metric};
use flawforge::ops::Precision;
use flawforge::pictures::HeatMapSheet;
use flawforge::source::probe_writable;
use flawforge::training::settings::{Evaluated, GroundTruth};
use flawforge::training::{Decision, EvaluateOptions, Evaluation, Judged, Run, evaluate_set};
use text::Figures;

use super::facts::{EVALUATION, Facts, HEAT_MAPS, SCORES, Written, move_results};
use super::inventory::say_tests;
use super::numbers::whole;
use super::output::{cell, print};
use super::region::RegionArgs;
use super::source::{CategoryArgs, make_folder, say};
use super::verdicts::VerdictArgs;

/// Options of `evaluate`.
#[derive(Args, Debug)]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    category: CategoryArgs,
    /// A trained run: its folder, or its checkpoint.safetensors alone
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// Folder for evaluation.json, scores.csv and heatmaps.png [default: `evaluation` beside the run's file]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Precision of the convolutions: f32, tf32 (GPU; elsewhere f32) or bf16 [default: as trained]
    #[arg(long, value_name = "NAME")]
    precision: Option<Precision>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    region: RegionArgs,
    #[command(flatten)]
    verdicts: VerdictArgs,
    /// Score pixels at the resolution of the files instead of the network's, where thin defects may vanish
    #[arg(long)]
    at_file_size: bool,
    /// Show pixel metrics by our second rule for the ground truth too, where half-covered pixels count as anomalous
    #[arg(long)]
    all_rules: bool,
    /// Pixels up to which metrics are exact; sets with more are scored in bounded memory, and the error bounds are printed
    /// [default: as trained, 100000000 unless its settings say otherwise]
    #[arg(long, value_name = "N", value_parser = whole)]
    exact_pixels: Option<u64>,
}

/// Bytes that exact metrics hold of a pixel: its score by two rules for the ground truth, and room to sort one of them.
const HELD_A_PIXEL: u64 = 12;

/// Runs the command.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    args.device.choose(None)?;
    let run = Run::open(&args.run)?;
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| run.file().with_file_name("evaluation"));
    args.category.check_output(&out)?;
    let writable = probe_writable(&out).map_err(|fault| {
        let said = flawforge::fault::in_one_line(&fault);
        anyhow!("{said}; --out DIR takes the files elsewhere")
    });
    if let Err(fault) = &writable {
        log::warn!("{}", flawforge::fault::in_one_line(fault.as_ref()));
    }
    let loading = args.region.loading(&run)?;
    let source = args.category.tests(&loading)?;
    let mut tests = source.read(&loading)?;
    if args.at_file_size {
        tests.notes.retain(|note| !note.remark.is_about_size());
    }
    say(&tests.notes);
    say_tests(&tests, &trained_on(&run, &tests));
    let decision = args.verdicts.decision(&run)?;
    let facts = Facts::new(&run, decision.clone(), args.category.place(), &tests);
    let kept = match writable.is_ok() {
        true => facts.keep_earlier(&out)?,
        false => None,
    };
    // Nobody knows what published weights were trained on.
    let known = run.places().filter(|places| places.weights.is_none());
    let trained = known.map(|places| places.images.as_str());
    if run.category() != tests.name {
        log::warn!(
            "the run was trained on `{}`, the images are `{}`",
            run.category(),
            tests.name
        );
    } else if let Some(trained) = trained.filter(|trained| *trained != args.category.place()) {
        log::info!("the run was trained on {trained}, these are other images of that name");
    }
    if run.step() < run.total_steps() {
        log::warn!(
            "the run is not finished: step {} of {}",
            run.step(),
            run.total_steps()
        );
    }
    let detector = run.detector_in(args.precision.unwrap_or(run.precision()))?;
    let defects = tests.entries().iter().map(|entry| entry.defect.as_str());
    let mut sheet = HeatMapSheet::new(defects, detector.full_scale());
    let mut settings = run.experiment().evaluation.clone();
    if let Some(pixels) = args.exact_pixels {
        (settings.bounded, settings.exact_pixels) = (false, pixels);
    }
    let pixels = tests.pixels(args.at_file_size);
    if settings.is_bounded(pixels) {
        log::info!(
            "{pixels} pixels are scored in bounded memory; --exact-pixels {pixels} would keep them all, about {} MB",
            pixels.saturating_mul(HELD_A_PIXEL) / 1_000_000
        );
    }
    let options = EvaluateOptions {
        at_file_size: args.at_file_size,
        intervals: Some(Bootstrap::default()),
        ..EvaluateOptions::default()
    };
    let evaluation = evaluate_set(
        detector.as_ref(),
        &tests,
        &settings,
        &options,
        &mut |position, test, detection| sheet.add(position, test, detection),
    )?;
    // The figures first: they are there whatever becomes of the files. A closed pipe behind this command is not an error.
    let judged = decision
        .as_ref()
        .map(|decision| Judged::of(&evaluation.images, decision));
    let deviation = deviation(&settings, args.at_file_size);
    let figures = Figures {
        evaluation: &evaluation,
        judged: decision.as_ref().zip(judged.as_ref()),
        all_rules: args.all_rules,
        deviation: deviation.as_deref(),
    };
    let printed = print(&figures.text(&tests));
    writable?;
    make_folder(&out)?;
    let _occupied = files::occupy(&out, "flawforge evaluate")?;
    files::remove_leftovers(&out);
    if let Some(kept) = kept {
        move_results(&out, &kept)?;
    }
    let json = serde_json::to_vec_pretty(&Written {
        evaluation: &evaluation,
        judged: judged.as_ref(),
        published_protocol: match deviation {
            None => &text::PUBLISHED,
            Some(_) => &[],
        },
        undefined: undefined(&evaluation),
        facts: &facts,
    })
    .context(EVALUATION)?;
    files::write(&out.join(EVALUATION), &json)?;
    write_scores(&out.join(SCORES), &evaluation, decision.as_ref())?;
    sheet.write(&out.join(HEAT_MAPS), &evaluation.headline())?;
    log::info!("details in {}", out.display());
    printed
}

/// The names of the test images that the run was trained on, pixel by pixel at the size that it sees.
pub(crate) fn trained_on<'a>(run: &Run, tests: &'a TestSet<'_>) -> Vec<&'a str> {
    let known: BTreeSet<&str> = run.data().each.iter().map(String::as_str).collect();
    let tests = tests.entries().iter().map(|entry| &entry.seen);
    let seen = tests.filter(|test| known.contains(test.look.short_digest().as_str()));
    seen.map(|test| test.name.as_str()).collect()
}

/// Why figures are not by the published protocol; `None` if they are.
fn deviation(settings: &Evaluated, at_file_size: bool) -> Option<String> {
    let mut why = Vec::new();
    if at_file_size {
        why.push("pixels at the size of the files".to_owned());
    }
    if settings.ground_truth != GroundTruth::Full {
        why.push("half-covered pixels are anomalous".to_owned());
    }
    if settings.aupro_limit != AUPRO_LIMIT {
        why.push(format!("AUPRO up to {}", settings.aupro_limit));
    }
    (!why.is_empty()).then(|| why.join(", "))
}

/// Why metrics have no value.
fn undefined(evaluation: &Evaluation) -> BTreeMap<&'static str, String> {
    let reasons = Metric::ALL.iter();
    reasons
        .filter_map(|metric| Some((metric.name(), evaluation.reason(*metric)?)))
        .collect()
}

fn write_scores(path: &Path, evaluation: &Evaluation, decision: Option<&Decision>) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "image",
        "defect",
        "defective",
        "score",
        "verdict_score",
        "threshold",
        "verdict",
    ])?;
    for image in &evaluation.images {
        table.write_record([
            cell(&image.name).into_owned(),
            cell(&image.defect).into_owned(),
            u8::from(image.defective).to_string(),
            image.score.to_string(),
            image.verdict_score.to_string(),
            decision.map_or_else(String::new, |decision| decision.threshold.to_string()),
            decision
                .map_or("", |decision| decision.verdict(image.verdict_score).name())
                .to_owned(),
        ])?;
    }
    let bytes = table.into_inner().context("scores.csv")?;
    Ok(files::write(path, &bytes)?)
}
