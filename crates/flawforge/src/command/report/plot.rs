//! Plots as inline SVG of one look: dark text on white, axes with labels and units, a title and a description for those who do
//! not see it.

use std::fmt::Write;

use crate::command::html::escaped;

/// The look of all plots. Each plot brings it along, so that it can be copied out of the page.
const STYLE: &str = include_str!("plot.css");

/// Width of a plot in its own units.
const WIDTH: f64 = 460.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 46.0;
/// Height of a line of the legend.
const LINE: f64 = 19.0;
/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// Whether equal ratios, and not differences, are equal lengths.
    pub(super) log: bool,
}

impl Axis {
    /// From 0 to 1.
    pub(super) const UNIT: Self = Self {
        low: 0.0,
        high: 1.0,
        log: false,
    };

    /// An axis for values; by ratios where the largest is more than `spread` times what is usual, and all are above 0.
    pub(super) fn of(values: &[f64], usual: f64, spread: f64) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return Self::UNIT;
        }
        let log = low > 0.0 && usual > 0.0 && high > spread * usual;
        let (low, high) = match log {
            true => (low / 1.1, high * 1.1),
            false => {
                let room = match high > low {
                    true => 0.03 * (high - low),
                    false => 0.5 * high.abs().max(1e-3),
                };
                // Values from near 0 on begin there.
                let base = match low >= 0.0 && low < 0.3 * high {
                    true => 0.0,
                    false => low - room,
                };
                (base, high + room)
            }
        };
        Self { low, high, log }
    }

    /// Where a value lies, 0 to 1.
    pub(super) fn position(&self, value: f64) -> f64 {
        let place = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        place.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (self.high / self.low).log10();
            let step = (decades / TICKS).ceil().max(1.0) as i32;
            let first = self.low.log10().ceil() as i32;
            let last = self.high.log10().floor() as i32;
            let mut ticks: Vec<f64> = (first..=last)
                .filter(|power| power.rem_euclid(step) == 0)
                .map(|power| 10f64.powi(power))
                .collect();
            if ticks.len() < 2 {
                ticks = vec![self.low * 1.1, self.high / 1.1];
            }
            return ticks;
        }
        let rough = (self.high - self.low) / TICKS;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * unit)
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * unit);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// A number in few digits.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.0e}")
    } else {
        let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    }
}

/// A plot that is being drawn.
pub(super) struct Plot {
    id: &'static str,
    title: String,
    about: String,
    x: (String, Axis),
    y: (String, Axis),
    height: f64,
    body: String,
    legend: Vec<(String, String)>,
}

impl Plot {
    /// An empty plot. `id` is of its own on the page; labels name units.
    pub(super) fn new(id: &'static str, title: &str, x: (&str, Axis), y: (&str, Axis)) -> Self {
        Self {
            id,
            title: title.to_owned(),
            about: String::new(),
            x: (x.0.to_owned(), x.1),
            y: (y.0.to_owned(), y.1),
            height: 250.0,
            body: String::new(),
            legend: Vec::new(),
        }
    }

    /// What the plot shows, in a sentence, for those who do not see it.
    pub(super) fn about(&mut self, about: &str) {
        self.about = about.to_owned();
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.1.position(x) * (WIDTH - LEFT - RIGHT),
            TOP + (1.0 - self.y.1.position(y)) * self.height,
        )
    }

    /// A line through points; `class` is its colour.
    pub(super) fn line(&mut self, class: &str, label: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (at, point) in points.into_iter().enumerate() {
            let (x, y) = self.place(point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { "M" } else { "L" });
        }
        let _ = write!(self.body, "<path class=\"line {class}\" d=\"{path}\"/>");
        self.legend.push((class.to_owned(), label.to_owned()));
    }

    /// A dot.
    pub(super) fn dot(&mut self, class: &str, label: &str, point: (f64, f64)) {
        let (x, y) = self.place(point);
        let _ = write!(
            self.body,
            "<circle class=\"fill {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
        );
        self.legend.push((class.to_owned(), label.to_owned()));
    }

    /// Text that the legend has beside its lines.
    pub(super) fn remark(&mut self, text: &str) {
        self.legend.push((String::new(), text.to_owned()));
    }

    /// The plot as an `svg` element.
    pub(super) fn svg(&self) -> String {
        let (bottom, right) = (TOP + self.height, WIDTH - RIGHT);
        let mut text = open(
            self.id,
            bottom + BOTTOM + LINE * self.legend.len() as f64,
            &self.title,
            &self.about,
        );
        for tick in self.x.1.ticks() {
            let (x, _) = self.place((tick, self.y.1.low));
            text.push_str(&tick_below(x, (TOP, bottom), tick));
        }
        for tick in self.y.1.ticks() {
            let (_, y) = self.place((self.x.1.low, tick));
            let _ = write!(
                text,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                short(tick)
            );
        }
        let middle = TOP + self.height / 2.0;
        let _ = write!(
            text,
            "<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>{}<text class=\"mid\" x=\"14\" y=\"{middle}\" \
             transform=\"rotate(-90 14 {middle})\">{}</text>{}",
            label_below(bottom, &self.x.0),
            escaped(&self.y.0),
            self.body
        );
        for (at, (class, label)) in self.legend.iter().enumerate() {
            let y = bottom + BOTTOM + LINE * at as f64 + 6.0;
            if !class.is_empty() {
                let _ = write!(
                    text,
                    "<path class=\"line {class}\" d=\"M{LEFT} {:.1}h22\"/>",
                    y - 4.0
                );
            }
            let _ = write!(
                text,
                "<text x=\"{}\" y=\"{y:.1}\">{}</text>",
                LEFT + 30.0,
                escaped(label)
            );
        }
        text.push_str("</svg>");
        text
    }
}

fn open(id: &str, height: f64, title: &str, about: &str) -> String {
    format!(
        "<svg class=\"plot\" id=\"{id}\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-about\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-about\">{}</desc><style>{STYLE}</style>",
        escaped(title),
        escaped(about)
    )
}

fn tick_below(x: f64, (top, bottom): (f64, f64), value: f64) -> String {
    format!(
        "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/><text class=\"mid\" x=\"{x:.1}\" y=\"{}\">{}</text>",
        bottom + 17.0,
        short(value)
    )
}

fn label_below(bottom: f64, label: &str) -> String {
    format!(
        "<text class=\"mid\" x=\"{}\" y=\"{}\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 36.0,
        escaped(label)
    )
}

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
    for (at, (class, value, label)) in marks.iter().enumerate() {
        let (x, y) = (
            LEFT + axis.position(*value) * inner,
            bottom + BOTTOM + LINE * at as f64 + 6.0,
        );
        let _ = write!(
            text,
            "<path class=\"mark {class}\" d=\"M{x:.1} {TOP}V{bottom}\"/><path class=\"mark {class}\" d=\"M{LEFT} {:.1}h22\"/>\
             <text x=\"{}\" y=\"{y:.1}\">{}</text>",
            y - 4.0,
            LEFT + 30.0,
            escaped(label)
        );
    }
    // Where the slider of the page draws its line.
    let _ = write!(
        text,
        "<path class=\"mark chosen\" id=\"chosen\" d=\"M0 {TOP}V{bottom}\" data-left=\"{LEFT}\" data-width=\"{inner}\" \
         visibility=\"hidden\"/></svg>"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values_and_come_back() {
        let linear = Axis::of(&[0.1, 0.4, 0.9], 0.4, 20.0);
        assert!(!linear.log && linear.low == 0.0 && linear.high > 0.9);
        let log = Axis::of(&[0.001, 0.002, 0.9], 0.002, 20.0);
        assert!(log.log && log.low < 0.001);
        for axis in [linear, log] {
            assert!(axis.position(0.15) < axis.position(0.7), "{axis:?}");
            assert_eq!((axis.position(axis.low), axis.position(2.0)), (0.0, 1.0));
            let ticks = axis.ticks();
            assert!(
                ticks.len() >= 2 && ticks.iter().all(|tick| *tick >= axis.low && *tick <= axis.high),
                "{ticks:?}"
            );
        }
        assert_eq!(Axis::of(&[], 0.0, 20.0), Axis::UNIT);
        let one = Axis::of(&[0.5], 0.5, 20.0);
        assert!(one.low < 0.5 && one.high > 0.5);
        assert_eq!(Axis::UNIT.ticks().len(), 6);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (100.0, "100"),
            (0.1 + 0.2, "0.3"),
            (2e-7, "2e-7"),
            (12345.6, "12346"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn plots_name_what_they_show_and_escape_it() {
        let mut plot = Plot::new("x", "a < b", ("rate", Axis::UNIT), ("rate", Axis::UNIT));
        plot.about("b & c");
        plot.line("one", "<line>", [(0.0, 0.0), (1.0, 1.0)]);
        let svg = plot.svg();
        for part in [
            "<title id=\"x-title\">a &lt; b</title>",
            "b &amp; c",
            "&lt;line&gt;",
            "M56.0 262.0L446.0 12.0",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
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
        assert!(svg.contains("M251.0 12V86"), "{svg}");
    }
}
