//! Histograms of scores below each other, over one axis.

use std::fmt::Write;

use super::axis::Axis;
use super::plot::{BOTTOM, LEFT, LINE, RIGHT, TOP, WIDTH, label_below, open, tick_below};
use crate::command::html::escaped;

/// Height of a row of a histogram, with its heading.
const ROW: f64 = 74.0;
const HEADING: f64 = 22.0;
const BINS: usize = 48;

/// A row of a histogram: its colour, its name, its scores.
pub(super) struct Row<'a> {
    pub(super) class: &'static str,
    pub(super) name: String,
    pub(super) scores: &'a [f32],
}

/// Histograms below each other over one axis, each as high as its fullest bin, with marks through all of them: class, value,
/// label.
pub(super) fn histograms(
    id: &'static str,
    title: &str,
    about: &str,
    (label, axis): (&str, Axis),
    rows: &[Row<'_>],
    marks: &[(&str, f64, String)],
) -> String {
    let bottom = TOP + ROW * rows.len() as f64;
    let inner = WIDTH - LEFT - RIGHT;
    let mut text = open(id, bottom + BOTTOM + LINE * marks.len() as f64, title, about);
    for tick in axis.ticks() {
        text.push_str(&tick_below(
            LEFT + axis.position(tick) * inner,
            (TOP, bottom),
            tick,
        ));
    }
    for (at, row) in rows.iter().enumerate() {
        let base = TOP + ROW * (at + 1) as f64;
        let mut counts = [0usize; BINS];
        for &score in row.scores {
            let bin = (axis.position(f64::from(score)) * BINS as f64) as usize;
            counts[bin.min(BINS - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let high = ROW - HEADING - 4.0;
        for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = high * count as f64 / most as f64;
            let width = inner / BINS as f64;
            let _ = write!(
                text,
                "<rect class=\"fill {}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                row.class,
                LEFT + bin as f64 * width + 0.4,
                base - height,
                width - 0.8,
            );
        }
        let _ = write!(
            text,
            "<path class=\"axis\" d=\"M{LEFT} {base}H{}\"/><text x=\"{}\" y=\"{:.1}\">{}</text>\
             <text class=\"end\" x=\"{}\" y=\"{:.1}\">{most}</text><text class=\"end\" x=\"{}\" y=\"{base}\">0</text>",
            WIDTH - RIGHT,
            LEFT + 4.0,
            base - ROW + 15.0,
            escaped(&row.name),
            LEFT - 6.0,
            base - high + 8.0,
            LEFT - 6.0,
        );
    }
    let middle = (TOP + bottom) / 2.0;
    let _ = write!(
        text,
        "{}<text class=\"mid\" x=\"14\" y=\"{middle}\" transform=\"rotate(-90 14 {middle})\">images</text>",
        label_below(bottom, label)
    );
    // Through the bars alone, so that headings can be read.
    let through = |x: f64| -> String {
        let bases = (1..=rows.len()).map(|row| TOP + ROW * row as f64);
        bases
            .map(|base| format!("M{x:.1} {}V{base}", base - ROW + HEADING))
            .collect()
    };
    for (at, (class, value, label)) in marks.iter().enumerate() {
        let (x, y) = (
            LEFT + axis.position(*value) * inner,
            bottom + BOTTOM + LINE * at as f64 + 6.0,
        );
        let _ = write!(
            text,
            "<path class=\"mark {class}\" d=\"{}\"/><path class=\"mark {class}\" d=\"M{LEFT} {:.1}h22\"/>\
             <text x=\"{}\" y=\"{y:.1}\">{}</text>",
            through(x),
            y - 4.0,
            LEFT + 30.0,
            escaped(label)
        );
    }
    // Where the slider of the page draws its line.
    let _ = write!(
        text,
        "<path class=\"mark chosen\" id=\"chosen\" d=\"{}\" data-left=\"{LEFT}\" data-width=\"{inner}\" \
         visibility=\"hidden\"/></svg>",
        through(0.0)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_marks_lie_on_one_axis() {
        let scores = [0.1, 0.1, 0.9];
        let row = Row {
            class: "good",
            name: "good".to_owned(),
            scores: &scores,
        };
        let svg = histograms(
            "h",
            "scores",
            "",
            ("score", Axis::UNIT),
            &[row],
            &[("threshold", 0.5, "at 0.5".to_owned())],
        );
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(svg.contains("M251.0 34V86"), "{svg}");
    }
}
