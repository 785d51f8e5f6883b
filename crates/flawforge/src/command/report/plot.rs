//! Plots as inline SVG of one look: dark text on white, axes with labels and units, a title and a description for those who do
//! not see it.

use std::fmt::Write;

use super::axis::{Axis, short};
use crate::command::html::escaped;

/// The look of all plots. Each plot brings it along, so that it can be copied out of the page.
const STYLE: &str = include_str!("plot.css");

/// Width of a plot in its own units.
pub(super) const WIDTH: f64 = 460.0;
pub(super) const LEFT: f64 = 56.0;
pub(super) const RIGHT: f64 = 14.0;
pub(super) const TOP: f64 = 12.0;
pub(super) const BOTTOM: f64 = 54.0;
/// Height of a line of the legend.
pub(super) const LINE: f64 = 19.0;

/// A plot that is being drawn.
pub(super) struct Plot {
    id: &'static str,
    title: String,
    about: String,
    x: (String, Axis),
    y: (String, Axis),
    height: f64,
    body: String,
    legend: Vec<(Sign, String, String)>,
}

/// What the legend shows beside a text.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Line,
    Dot,
    Nothing,
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
        self.legend.push((Sign::Line, class.to_owned(), label.to_owned()));
    }

    /// A dot.
    pub(super) fn dot(&mut self, class: &str, label: &str, point: (f64, f64)) {
        let (x, y) = self.place(point);
        let _ = write!(
            self.body,
            "<circle class=\"fill {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"
        );
        self.legend.push((Sign::Dot, class.to_owned(), label.to_owned()));
    }

    /// Text that the legend has beside its lines.
    pub(super) fn remark(&mut self, text: &str) {
        self.legend.push((Sign::Nothing, String::new(), text.to_owned()));
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
        for (at, (sign, class, label)) in self.legend.iter().enumerate() {
            let y = bottom + BOTTOM + LINE * at as f64 + 6.0;
            let _ = match sign {
                Sign::Line => write!(
                    text,
                    "<path class=\"line {class}\" d=\"M{LEFT} {:.1}h22\"/>",
                    y - 4.0
                ),
                Sign::Dot => write!(
                    text,
                    "<circle class=\"fill {class}\" cx=\"{}\" cy=\"{:.1}\" r=\"5\"/>",
                    LEFT + 11.0,
                    y - 4.0
                ),
                Sign::Nothing => Ok(()),
            };
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

pub(super) fn open(id: &str, height: f64, title: &str, about: &str) -> String {
    format!(
        "<svg class=\"plot\" id=\"{id}\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-title {id}-about\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-about\">{}</desc><style>{STYLE}</style>",
        escaped(title),
        escaped(about)
    )
}

pub(super) fn tick_below(x: f64, (top, bottom): (f64, f64), value: f64) -> String {
    format!(
        "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/><text class=\"mid\" x=\"{x:.1}\" y=\"{}\">{}</text>",
        bottom + 17.0,
        short(value)
    )
}

pub(super) fn label_below(bottom: f64, label: &str) -> String {
    format!(
        "<text class=\"mid\" x=\"{}\" y=\"{}\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        bottom + 37.0,
        escaped(label)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
