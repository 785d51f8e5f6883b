//! The figures of an evaluation as text: verdicts first, then metrics, each with what it rests on.

use flawforge::datasets::{TestSet, counted};
use flawforge::metrics::{Calls, Metric};
use flawforge::training::{Decision, Evaluation, Judged, Wrong};

use crate::command::facts::Sorts;
use crate::command::verdicts::{band, said};

/// Wrong images that are named; the rest is counted.
const NAMED: usize = 10;

/// Errors of the ends of an interval from which on they are told: as much as a digit that is shown.
const TOLD: f64 = 0.001;

/// Metrics of the published protocol, and ours that count half-covered pixels too.
pub(super) const PUBLISHED: [Metric; 5] = [
    Metric::ImageAuroc,
    Metric::ImageAp,
    Metric::PixelAuroc,
    Metric::PixelAp,
    Metric::Aupro,
];
const HALF: [Metric; 3] = [Metric::PixelAurocHalf, Metric::PixelApHalf, Metric::AuproHalf];

/// What is shown.
pub(super) struct Figures<'a> {
    pub(super) evaluation: &'a Evaluation,
    /// The verdicts, where the run gives any.
    pub(super) judged: Option<(&'a Decision, &'a Judged)>,
    /// Whether pixel metrics are shown by both rules for the ground truth.
    pub(super) all_rules: bool,
    /// Why the figures are not by the published protocol; `None` if they are.
    pub(super) deviation: Option<&'a str>,
}

impl Figures<'_> {
    pub(super) fn text(&self, tests: &TestSet<'_>) -> String {
        let evaluation = self.evaluation;
        let sorts = Sorts::of(tests);
        let mut text = format!(
            "{}, {}: {} normal, {} defective\n",
            evaluation.category,
            counted(evaluation.images.len(), "test image"),
            sorts.normal,
            sorts.defective,
        );
        if let Some((decision, judged)) = self.judged {
            text.push_str(&verdicts(decision, judged));
        }
        if sorts.masked > 0 && sorts.masked < sorts.defective {
            let Sorts {
                masked, defective, ..
            } = sorts;
            text.push_str(&format!(
                "{masked} of {defective} defective images have masks: pixel figures are on these and the normal ones\n"
            ));
        }
        text.push_str(&masks(evaluation));
        self.metrics(&mut text);
        text
    }

    fn metrics(&self, text: &mut String) {
        let heading = match self.deviation {
            None => "published protocol, in %".to_owned(),
            Some(why) => format!("not the published protocol ({why}), in %"),
        };
        let interval = match &self.evaluation.resampled {
            Some(resampled) => format!("{:.0} % interval", 100.0 * resampled.confidence),
            None => String::new(),
        };
        text.push_str(&format!("{heading:<46}{interval}\n"));
        PUBLISHED.iter().for_each(|metric| self.row(text, *metric));
        if self.all_rules {
            text.push_str("ours: a pixel is anomalous from half coverage on\n");
            HALF.iter().for_each(|metric| self.row(text, *metric));
        }
    }

    fn row(&self, text: &mut String, metric: Metric) {
        let evaluation = self.evaluation;
        let title = format!("  {}", metric.title());
        let Some(value) = evaluation.scores.get(&metric) else {
            let why = match evaluation.reason(metric) {
                Some(reason) => format!("not defined: {reason}"),
                None => "not defined".to_owned(),
            };
            text.push_str(&format!("{title:<38}{why}\n"));
            return;
        };
        // In bounded memory: how far the exact value can be.
        let bound = match evaluation.error_bounds.get(&metric) {
            Some(bound) => format!(" (within {:.2})", 100.0 * bound),
            None => String::new(),
        };
        let interval = match (evaluation.intervals.get(&metric), &evaluation.resampled) {
            (Some(interval), Some(resampled)) => {
                let ends = format!("{:.1} to {:.1}", 100.0 * interval.low, 100.0 * interval.high);
                match resampled.errors.get(&metric) {
                    Some(error) if *error > TOLD => format!("{ends}, each within {:.1}", 100.0 * error),
                    _ => ends,
                }
            }
            (None, Some(_)) => "none: all draws give the same".to_owned(),
            (_, None) => String::new(),
        };
        let value = format!("{:.2}{bound}", 100.0 * value);
        text.push_str(format!("{title:<38}{value:<8}{interval}").trim_end());
        text.push('\n');
    }
}

fn verdicts(decision: &Decision, judged: &Judged) -> String {
    let mut text = format!("{}\n", said(decision));
    if let Some(band) = band(decision) {
        text.push_str(&format!("{band}\n"));
    }
    let has_look = judged.has_look(decision);
    let look = |cell: &str| match has_look {
        true => format!("{cell:>10}"),
        false => String::new(),
    };
    text.push_str(&format!(
        "{:<26}{:>10}{}{:>11}\n",
        "called",
        "normal",
        look("look"),
        "anomalous"
    ));
    let mut row = |name: &str, calls: &Calls| {
        let look = look(&calls.look.to_string());
        text.push_str(&format!(
            "  {name:<24}{:>10}{look}{:>11}\n",
            calls.normal, calls.anomalous
        ));
    };
    row("good", &judged.confusion.good);
    row("defective", &judged.confusion.defective);
    if judged.by_defect.len() > 1 {
        for (defect, of_type) in &judged.by_defect {
            row(&format!("  {defect}"), &of_type.calls);
        }
    }
    text.push_str(&format!("false alarms  {}\n", judged.false_alarms));
    text.push_str(&format!("misses        {}\n", judged.misses));
    if has_look {
        text.push_str(&format!("to look at    {}\n", judged.to_look_at));
    }
    if let Some(oracle) = &judged.oracle {
        text.push_str(&format!(
            "an oracle, which chose its threshold {:.4} on these very test images, has F1 {:.3}: {}, {}{}\n",
            oracle.threshold,
            oracle.f1,
            counted(oracle.confusion.good.anomalous as usize, "false alarm"),
            missed(oracle.confusion.defective.normal),
            oracle.remark(),
        ));
    }
    text.push_str(&wrong(
        "false alarms, the highest score first",
        &judged.wrongly_anomalous,
    ));
    text.push_str(&wrong("misses, the lowest score first", &judged.wrongly_normal));
    text
}

fn missed(count: u64) -> String {
    match count {
        1 => "1 miss".to_owned(),
        count => format!("{count} misses"),
    }
}

fn wrong(what: &str, images: &[Wrong]) -> String {
    if images.is_empty() {
        return String::new();
    }
    let named = images.iter().take(NAMED);
    let mut names: Vec<String> = named
        .map(|one| format!("{} ({:.4})", one.image, one.score))
        .collect();
    if images.len() > NAMED {
        names.push(format!("and {} more in evaluation.json", images.len() - NAMED));
    }
    format!("{what}: {}\n", names.join(", "))
}

/// Which masks do not count as they should; nothing where there are none.
fn masks(evaluation: &Evaluation) -> String {
    let masks = &evaluation.masks;
    if masks.masks == 0 {
        return String::new();
    }
    let size = match evaluation.scored_at {
        Some((width, height)) => format!("at {width}x{height}"),
        None => "at the size of its image".to_owned(),
    };
    format!(
        "masks: {}, of which {} mark nothing (left out of the pixel metrics), {} mark more than half, {} have no pixel left \
         {size}; regions: {}, of which {} have no pixel left\n",
        masks.masks,
        masks.mark_nothing,
        masks.mark_most,
        masks.nothing_left,
        masks.regions,
        masks.regions_lost,
    )
}
