//! Everything that a check tells, before it becomes text, a page or JSON.

use std::io;
use std::path::{Path, PathBuf};

use flawforge::datasets::check::{Check, Finding, Severity};
use flawforge::datasets::{CategoryFiles, DatasetError, PixelScale, path_text};
use serde::Serialize;

use super::cost::Costs;

/// What is told of a folder. The fields of `--json`.
#[derive(Serialize)]
pub(super) struct Report {
    /// The program's version.
    pub(super) flawforge: &'static str,
    /// The folder.
    pub(super) folder: String,
    /// Whether a training on it would start.
    pub(super) training_starts: bool,
    /// Whether an evaluation on it would start.
    pub(super) evaluation_starts: bool,
    /// Why the folder was not understood as one category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// The categories that it holds, where it is none itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) categories: Vec<Line>,
    /// What was found in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) check: Option<Check>,
    /// What trainings would cost here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) machine: Option<Costs>,
    /// How deep files are shown.
    #[serde(skip)]
    pub(super) scale: PixelScale,
}

/// One of several categories.
#[derive(Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) training_starts: bool,
    pub(super) evaluation_starts: bool,
    /// What there is in words.
    pub(super) line: String,
    /// What was found, worst first.
    pub(super) findings: Vec<Finding>,
}

impl Report {
    fn new(folder: &Path) -> Self {
        let full = folder.canonicalize().unwrap_or_else(|_| PathBuf::from(folder));
        Self {
            flawforge: env!("CARGO_PKG_VERSION"),
            folder: path_text(&full),
            training_starts: false,
            evaluation_starts: false,
            error: None,
            categories: Vec::new(),
            check: None,
            machine: None,
            scale: PixelScale::default(),
        }
    }

    /// Of one category.
    pub(super) fn of(folder: &Path, mut check: Check, files: &CategoryFiles) -> Self {
        too_few(&mut check, files.train.len());
        Self {
            training_starts: check.training_starts(),
            evaluation_starts: check.evaluation_starts(),
            scale: check.files.scale,
            check: Some(check),
            ..Self::new(folder)
        }
    }

    /// Of a folder of several categories.
    pub(super) fn of_several(folder: &Path, categories: Vec<Line>) -> Self {
        let error = format!(
            "the folder holds categories ({}), and a training is on one: name it, as {}/NAME",
            categories.len(),
            path_text(folder)
        );
        Self {
            error: Some(error),
            categories,
            ..Self::new(folder)
        }
    }

    /// Of a folder that is not understood.
    pub(super) fn failed(folder: &Path, error: &DatasetError) -> Self {
        Self {
            error: Some(flawforge::fault::in_one_line(error)),
            ..Self::new(folder)
        }
    }

    /// Adds what trainings would cost, and says where memory does not suffice.
    pub(super) fn add_costs(&mut self, costs: Costs) {
        let large = costs.too_large();
        if let (Some(check), false) = (&mut self.check, large.is_empty()) {
            let what = "more memory than is free now";
            let advice = "choose another profile or method, or another machine";
            check
                .findings
                .push(Finding::of_lines(Severity::Note, "memory", what, large, advice));
        }
        self.machine = Some(costs);
    }

    /// The verdict in one line.
    pub(super) fn verdict(&self) -> String {
        if let Some(error) = &self.error {
            return format!("a training would not start: {error}");
        }
        let looks = self.check.iter().flat_map(|check| &check.findings);
        let looks = looks.filter(|finding| finding.severity == Severity::Look).count();
        verdict(self.training_starts, self.evaluation_starts, looks)
    }
}

fn verdict(training: bool, evaluation: bool, looks: usize) -> String {
    let would = |starts| if starts { "would start" } else { "would NOT start" };
    let looks = match looks {
        0 => "nothing else deserves a look".to_owned(),
        1 => "1 thing deserves a look".to_owned(),
        more => format!("{more} things deserve a look"),
    };
    format!(
        "a training {}; an evaluation {}; {looks}",
        would(training),
        would(evaluation)
    )
}

/// A method may need more images than there are.
fn too_few(check: &mut Check, images: usize) {
    use flawforge::augment::Selection;
    use flawforge::training::{Experiment, Method, Product, Profile, estimate::starts};
    if images == 0 || !check.training_starts() {
        return;
    }
    let product = Product::new(&check.name, Selection::default());
    let begun = Profile::builtin("quick").and_then(|profile| {
        let mut experiment = Experiment::new(Method::LinYan, &profile, &product, 0)?;
        experiment.calibrate_for_use();
        starts(&experiment, images)
    });
    if let Err(fault) = begun {
        let what = flawforge::fault::in_one_line(&fault);
        let advice = "add images of good parts, or take a method that needs fewer (--method draem)";
        let finding = Finding::of_lines(Severity::StopsTraining, "too-few", what, [], advice);
        check.findings.insert(0, finding);
    }
}

impl Line {
    /// Of a category's folder.
    pub(super) fn of(name: &str, found: Result<Check, DatasetError>) -> Self {
        match found {
            Ok(mut check) => {
                let images = check.images.train;
                too_few(&mut check, images);
                let defective: usize = check.images.defective.values().sum();
                let looks = check.findings.iter();
                let looks = looks.filter(|finding| finding.severity == Severity::Look).count();
                let (training, evaluation) = (check.training_starts(), check.evaluation_starts());
                Self {
                    name: name.to_owned(),
                    training_starts: training,
                    evaluation_starts: evaluation,
                    line: format!(
                        "{}, {images} to train on, {} normal and {defective} defective to test on: {}",
                        check.layout,
                        check.images.normal_test,
                        verdict(training, evaluation, looks)
                    ),
                    findings: check.findings,
                }
            }
            Err(error) => Self {
                name: name.to_owned(),
                training_starts: false,
                evaluation_starts: false,
                line: flawforge::fault::in_one_line(&error),
                findings: Vec::new(),
            },
        }
    }
}

/// What the system said of a fault.
pub(super) fn system(fault: &io::Error) -> String {
    match fault.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code).to_string(),
        None => fault.to_string(),
    }
}
