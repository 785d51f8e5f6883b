//! Which plots are on the page, and what they are drawn from.

use std::collections::BTreeMap;

use flawforge::metrics::{PixelPoint, auroc, average_precision};
use flawforge::training::fit::Line;
use flawforge::training::{Evaluation, ImageResult};

use super::axis::{Axis, short};
use super::plot::Plot;

/// Colours of the losses, in order.
const LOSSES: [&str; 4] = ["one", "two", "three", "four"];
/// Points of a line, at most: more are not seen.
const POINTS: usize = 500;

/// Losses over steps; nothing where there are none.
pub(super) fn losses(journal: &[Line]) -> Option<String> {
    let mut by_name: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for line in journal {
        for (name, value) in &line.losses {
            by_name.entry(name).or_default().push((line.step as f64, *value));
        }
    }
    let total = by_name.remove("total")?;
    let last = total.last()?.1;
    // One loss is its own sum.
    if by_name.len() < 2 {
        by_name.clear();
    }
    let all: Vec<f64> = by_name
        .values()
        .chain([&total])
        .flatten()
        .map(|(_, value)| *value)
        .collect();
    let steps = Axis {
        low: 0.0,
        high: total.last()?.0.max(1.0),
        log: false,
    };
    let y = Axis::of(&all, all.iter().copied().fold(f64::INFINITY, f64::min), 20.0);
    let mut plot = Plot::new("losses", "Losses during training", ("step", steps), ("loss", y));
    plot.about(&format!(
        "The sum of the losses begins at {} and ends at {}.",
        short(total[0].1),
        short(last)
    ));
    plot.line(
        "total",
        &format!("sum, {} at the end", short(last)),
        thinned(&total),
    );
    for (class, (name, points)) in LOSSES.iter().cycle().zip(&by_name) {
        plot.line(class, name, thinned(points));
    }
    Some(plot.svg())
}

fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = (f64, f64)> + '_ {
    let step = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points
        .iter()
        .enumerate()
        .filter(move |(at, _)| at % step == 0 || *at == last);
    kept.map(|(_, point)| *point)
}

/// What an image curve has at a threshold.
struct Point {
    threshold: f32,
    false_alarms: f64,
    recall: f64,
    precision: f64,
}

/// The points of the images' curves, from the highest score down.
fn points(images: &[ImageResult]) -> Vec<Point> {
    let mut sorted: Vec<&ImageResult> = images.iter().collect();
    sorted.sort_by(|a, b| b.verdict_score.total_cmp(&a.verdict_score));
    let defective = images.iter().filter(|image| image.defective).count();
    let good = images.len() - defective;
    let (mut hits, mut alarms) = (0, 0);
    let mut points = Vec::new();
    for tied in sorted.chunk_by(|a, b| a.verdict_score == b.verdict_score) {
        hits += tied.iter().filter(|image| image.defective).count();
        alarms += tied.iter().filter(|image| !image.defective).count();
        points.push(Point {
            threshold: tied[0].verdict_score,
            false_alarms: alarms as f64 / good.max(1) as f64,
            recall: hits as f64 / defective.max(1) as f64,
            precision: hits as f64 / (hits + alarms) as f64,
        });
    }
    points
}

/// ROC, precision-recall and per-region overlap, as far as they are defined. `threshold` is that of the verdicts.
pub(super) fn curves(evaluation: &Evaluation, aupro_limit: f64, threshold: Option<f32>) -> Vec<String> {
    let images = &evaluation.images;
    let scores: Vec<f32> = images.iter().map(|image| image.verdict_score).collect();
    let labels: Vec<bool> = images.iter().map(|image| image.defective).collect();
    let area = auroc(&scores, &labels).ok();
    let precision = average_precision(&scores, &labels).ok();
    let points = match area.is_some() {
        true => points(images),
        false => Vec::new(),
    };
    let at = threshold.and_then(|threshold| points.iter().rfind(|point| point.threshold >= threshold));
    let pixels = &evaluation.curve;
    let mut plots = Vec::new();
    if area.is_some() || !pixels.is_empty() {
        plots.push(roc(&points, area, at, pixels, threshold.is_some()));
        plots.push(precision_recall(&points, precision, at, pixels));
    }
    if !pixels.is_empty() {
        plots.push(overlap(pixels, aupro_limit));
    }
    plots
}

fn percent(value: f64) -> String {
    format!("{:.1} %", 100.0 * value)
}

fn roc(
    points: &[Point],
    area: Option<f64>,
    at: Option<&Point>,
    pixels: &[PixelPoint],
    judged: bool,
) -> String {
    let mut plot = Plot::new(
        "roc",
        "Receiver operating characteristic",
        ("false positive rate (good called anomalous)", Axis::UNIT),
        ("recall (defects found)", Axis::UNIT),
    );
    let mut about = Vec::new();
    if let Some(area) = area {
        let curve = points.iter().map(|point| (point.false_alarms, point.recall));
        plot.line(
            "one",
            &format!("images by verdict score, area {}", percent(area)),
            [(0.0, 0.0)].into_iter().chain(curve),
        );
        about.push(format!(
            "The area under the curve of images is {}.",
            percent(area)
        ));
        let found = at.map_or((0.0, 0.0), |point| (point.false_alarms, point.recall));
        if judged {
            plot.dot(
                "threshold",
                &format!(
                    "threshold: {} found, {} false alarms",
                    percent(found.1),
                    percent(found.0)
                ),
                found,
            );
        }
    }
    if !pixels.is_empty() {
        let curve = pixels
            .iter()
            .map(|point| (point.false_positive_rate, point.recall));
        plot.line("two", "pixels", [(0.0, 0.0)].into_iter().chain(curve));
    }
    plot.line("chance", "chance", [(0.0, 0.0), (1.0, 1.0)]);
    plot.about(&about.join(" "));
    plot.svg()
}

fn precision_recall(
    points: &[Point],
    average: Option<f64>,
    at: Option<&Point>,
    pixels: &[PixelPoint],
) -> String {
    let mut plot = Plot::new(
        "precision",
        "Precision and recall",
        ("recall (defects found)", Axis::UNIT),
        ("precision", Axis::UNIT),
    );
    if let Some(average) = average {
        let curve = points.iter().map(|point| (point.recall, point.precision));
        plot.line(
            "one",
            &format!("images by verdict score, average {}", percent(average)),
            curve,
        );
        plot.about(&format!(
            "The average precision of images is {}.",
            percent(average)
        ));
        if let Some(at) = at {
            plot.dot(
                "threshold",
                &format!("threshold: precision {}", percent(at.precision)),
                (at.recall, at.precision),
            );
        }
    }
    if !pixels.is_empty() {
        plot.line(
            "two",
            "pixels",
            pixels.iter().map(|point| (point.recall, point.precision)),
        );
    }
    plot.svg()
}

fn overlap(pixels: &[PixelPoint], limit: f64) -> String {
    let rates = Axis {
        high: limit,
        ..Axis::UNIT
    };
    let mut plot = Plot::new(
        "overlap",
        "Per-region overlap",
        ("false positive rate of pixels", rates),
        ("mean overlap with marked regions", Axis::UNIT),
    );
    let mut curve = vec![(0.0, 0.0)];
    for point in pixels {
        let next = (point.false_positive_rate, point.overlap);
        if next.0 > limit {
            // Cut where the curve crosses the limit.
            let before = curve[curve.len() - 1];
            let part = (limit - before.0) / (next.0 - before.0);
            curve.push((limit, before.1 + part * (next.1 - before.1)));
            break;
        }
        curve.push(next);
    }
    let end = curve[curve.len() - 1].1;
    plot.about(&format!(
        "At a false positive rate of {limit} the mean overlap is {}.",
        percent(end)
    ));
    plot.line(
        "two",
        &format!("{} at a false positive rate of {limit}", percent(end)),
        curve,
    );
    plot.remark(&format!("AUPRO: the area under this line, divided by {limit}"));
    plot.svg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(defective: bool, score: f32) -> ImageResult {
        ImageResult {
            name: "x".to_owned(),
            defect: "x".to_owned(),
            defective,
            score,
            verdict_score: score,
        }
    }

    #[test]
    fn curves_walk_down_the_thresholds() {
        let images = [
            image(true, 0.9),
            image(false, 0.5),
            image(true, 0.5),
            image(false, 0.1),
        ];
        let found: Vec<(f64, f64, f64)> = points(&images)
            .iter()
            .map(|point| (point.false_alarms, point.recall, point.precision))
            .collect();
        assert_eq!(found, [(0.0, 0.5, 1.0), (0.5, 1.0, 2.0 / 3.0), (1.0, 1.0, 0.5)]);
    }

    #[test]
    fn losses_are_thinned_and_end_with_the_last() {
        let journal: Vec<Line> = (1..=2000)
            .map(|step| Line {
                step,
                losses: BTreeMap::from([
                    ("total".to_owned(), 1.0 / step as f64),
                    ("l2".to_owned(), 0.1),
                    ("ssim".to_owned(), 0.2),
                ]),
                learning_rate: 1e-3,
                seconds: 1.0,
            })
            .collect();
        let svg = losses(&journal).unwrap();
        assert!(
            svg.contains("sum, 5e-4 at the end") && svg.contains(">ssim<"),
            "{svg}"
        );
        assert!(svg.len() < 40_000, "{}", svg.len());
        assert!(losses(&[]).is_none());
    }
}
