//! The check as a page of plain text.

use std::fmt::Display;

use flawforge::datasets::check::{Check, FileFacts, Finding, MaskFacts};
use flawforge::datasets::counted;

use super::cost::Costs;
use super::report::Report;

/// Width of the column of names.
const NAMES: usize = 17;
/// Longest line.
const WIDTH: usize = 120;

/// The page.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page::default();
    page.text.push_str(&format!("{}\n", report.folder));
    page.text.push_str(&wrapped(&report.verdict(), 0));
    if !report.categories.is_empty() {
        page.title("Categories");
        for category in &report.categories {
            page.row(&category.name, &category.line);
        }
        return page.text;
    }
    if let Some(check) = &report.check {
        page.check(check);
    }
    if let Some(costs) = &report.machine {
        page.costs(costs);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn title(&mut self, title: &str) {
        self.text.push_str(&format!("\n{title}\n"));
    }

    fn row(&mut self, name: &str, value: &str) {
        self.text
            .push_str(&wrapped(&format!("  {name:<NAMES$} {value}"), NAMES + 3));
    }

    fn check(&mut self, check: &Check) {
        self.title(&format!("Images of {} ({})", check.name, check.layout));
        for (name, value) in images(check) {
            self.row(name, &value);
        }
        if check.files.read > 0 {
            self.title("Image files");
            for (name, value) in files(&check.files) {
                self.row(name, &value);
            }
        }
        if check.masks.defective > 0 {
            self.title("Masks");
            for (name, value) in masks(&check.masks) {
                self.row(name, &value);
            }
        }
        self.title("Found, worst first");
        if check.findings.is_empty() {
            self.text.push_str("  nothing\n");
        }
        for (number, finding) in (1..).zip(&check.findings) {
            self.finding(number, finding);
        }
    }

    fn finding(&mut self, number: usize, finding: &Finding) {
        let head = format!("{number:>3}. {}: {}", finding.severity, finding.what);
        self.text.push_str(&wrapped(&head, 5));
        for file in &finding.files {
            self.text.push_str(&format!("       {file}\n"));
        }
        if finding.more() > 0 {
            self.text
                .push_str(&format!("       ... and {} more\n", finding.more()));
        }
        self.text
            .push_str(&wrapped(&format!("     -> {}", finding.advice), 8));
    }

    fn costs(&mut self, costs: &Costs) {
        self.title(&format!(
            "A training here would cost, about ({})",
            costs.machine()
        ));
        let methods = costs.methods();
        let mut table = vec![
            std::iter::once("profile")
                .chain(methods)
                .map(str::to_owned)
                .collect(),
        ];
        for (profile, row) in costs.rows() {
            let cells = row.iter().map(|cost| cost.words());
            table.push(
                std::iter::once(profile.to_owned())
                    .chain(cells)
                    .collect::<Vec<_>>(),
            );
        }
        for row in &table {
            let cells = row.iter().enumerate().map(|(at, cell)| {
                let width = if at == 0 { 9 } else { 24 };
                format!("{cell:<width$}")
            });
            let line: String = cells.collect();
            self.text.push_str(&format!("  {}\n", line.trim_end()));
        }
        self.text.push_str(
            "  Memory is counted from weights, activations and images, beside the program. Time rests on:\n",
        );
        for basis in costs.bases() {
            self.text.push_str(&wrapped(&format!("  {basis}"), 4));
        }
    }
}

/// How many images there are and what they are taken for, in rows.
pub(super) fn images(check: &Check) -> Vec<(&'static str, String)> {
    let defective: usize = check.images.defective.values().sum();
    let types = listed(check.images.defective.iter());
    let mut rows = vec![
        ("to train on", format!("{} normal", check.images.train)),
        (
            "to test on",
            match defective {
                0 => format!("{} normal, 0 defective", check.images.normal_test),
                _ => format!(
                    "{} normal, {defective} defective ({types})",
                    check.images.normal_test
                ),
            },
        ),
    ];
    const PARTS: usize = 12;
    let parts = check.parts.iter().take(PARTS);
    let mut parts: Vec<String> = parts
        .map(|part| format!("{}: {} ({})", part.folder, part.role, part.images))
        .collect();
    if check.parts.len() > PARTS {
        parts.push(format!("{} more folders", check.parts.len() - PARTS));
    }
    rows.push(("folders", parts.join("; ")));
    rows.extend(
        check
            .passed_over_line
            .iter()
            .map(|line| ("passed over", line.clone())),
    );
    rows.extend(check.assumed.iter().map(|line| ("assumed", line.clone())));
    rows
}

/// What the files are, in rows.
pub(super) fn files(facts: &FileFacts) -> Vec<(&'static str, String)> {
    let sizes: Vec<String> = facts
        .sizes
        .iter()
        .map(|size| format!("{}x{} ({})", size.width, size.height, size.images))
        .collect();
    let more = match facts.different_sizes.saturating_sub(sizes.len()) {
        0 => String::new(),
        more => format!(" and {more} more sizes"),
    };
    let mut rows = vec![("sizes", format!("{}{more}", sizes.join(", ")))];
    if let (Some(width), Some(height), Some(aspect)) = (facts.width, facts.height, facts.aspect)
        && facts.different_sizes > 1
    {
        rows.push((
            "range",
            format!(
                "width {} to {}, height {} to {}, width through height {:.2} to {:.2}",
                width.0, width.1, height.0, height.1, aspect.0, aspect.1
            ),
        ));
    }
    rows.push(("kinds", listed(facts.kinds.iter())));
    rows.push(("depth", listed(facts.depths.iter())));
    if let Some(bits) = facts.scale.words {
        let white = (1u32 << bits) - 1;
        rows.push((
            "scale of a run",
            format!("16-bit files fill {bits} bits: 0 is black, {white} is white"),
        ));
    }
    if let Some((black, white)) = facts.scale.reals {
        let value = format!("floating-point and signed files: {black} is black, {white} is white");
        rows.push(("scale of a run", value));
    }
    rows.push(("shows", listed(facts.colors.iter())));
    if facts.alpha > 0 {
        rows.push(("alpha channel", counted(facts.alpha, "file")));
    }
    if facts.orientations.keys().any(|&orientation| orientation != 1) {
        rows.push(("EXIF orientation", listed(facts.orientations.iter())));
    }
    if facts.further > 0 {
        rows.push((
            "further pages",
            format!("or frames in {}", counted(facts.further, "file")),
        ));
    }
    rows
}

/// What the masks mark, in rows.
pub(super) fn masks(facts: &MaskFacts) -> Vec<(&'static str, String)> {
    let without = facts.defective - facts.masked;
    let mut rows = vec![(
        "there are",
        match facts.masked {
            0 => format!("none, for {}", counted(facts.defective, "defective image")),
            masked if without == 0 => format!("for all {masked} defective images"),
            masked => format!(
                "for {masked} of {} defective images, not for {without}",
                facts.defective
            ),
        },
    )];
    if facts.read == 0 {
        return rows;
    }
    rows.push(("values", listed(facts.values.iter())));
    if let Some([least, median, most]) = facts.coverage_percent {
        let classes = facts.coverage.iter().filter(|(_, count)| *count > 0);
        let classes = listed(classes.map(|(name, count)| (name, count)));
        rows.push((
            "marked",
            format!(
                "{least:.2} % to {most:.2} % of the image, median {median:.2} %; masks by share: {classes}"
            ),
        ));
    }
    rows.push((
        "mark nothing",
        format!("{}; mark more than half: {}", facts.mark_nothing, facts.mark_most),
    ));
    rows.push(("regions", facts.regions.to_string()));
    for lost in &facts.lost {
        let name = if lost.side == 128 {
            "lost at 128 px"
        } else {
            "lost at 256 px"
        };
        let value = format!(
            "{} whole masks, {} of {} regions",
            lost.masks, lost.regions, facts.regions
        );
        rows.push((name, value));
    }
    rows
}

/// Names with their counts: `PNG 20, JPEG 3`.
pub(super) fn listed<'a, N: Display + 'a>(counts: impl Iterator<Item = (N, &'a usize)>) -> String {
    let counts: Vec<String> = counts.map(|(name, count)| format!("{name}: {count}")).collect();
    counts.join(", ")
}

/// Text broken between words, later lines indented; ends with a line break.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut width = 0;
    for (at, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if at > 0 && width + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            width = indent;
        } else if at > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_indented() {
        let text = format!("  {} end", "word ".repeat(30));
        let lines: Vec<String> = wrapped(&text, 4).lines().map(str::to_owned).collect();
        assert!(lines.len() == 2 && lines[0].starts_with("  word") && lines[1].starts_with("    word"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }
}
