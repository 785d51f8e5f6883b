//! The check as one HTML file that needs nothing beside itself: for a screen, a phone, and paper.

use std::fmt::Write;

use anyhow::Result;
use flawforge::datasets::PixelScale;
use flawforge::datasets::check::{Check, Finding, Named, Severity, preview};

use super::cost::Costs;
use super::report::Report;
use super::text::{files, images, masks};
use crate::command::html::{escaped, photograph};

/// Side of pictures on the page, in pixels.
const SIDE: u32 = 160;
/// Groups and odd pictures that are shown.
const SHOWN: usize = 12;
/// Pictures of a group that are shown.
const OF_A_GROUP: usize = 4;

const STYLE: &str = "
:root { --ink: #1d2329; --soft: #5d6873; --line: #d9dee3; --bar: #4a7fb5 }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 1.5rem auto; padding: 0 1rem; color: var(--ink); background: #fff }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin: 1.8rem 0 .5rem; border-bottom: 1px solid var(--line) }
.path, .soft { color: var(--soft); overflow-wrap: anywhere } .verdicts { display: flex; flex-wrap: wrap; gap: .5rem; margin: .8rem 0 }
.yes, .no, .look, .note { color: #fff; font-weight: 600; border-radius: .3rem; padding: .1rem .6rem; font-size: .92rem; print-color-adjust: exact; -webkit-print-color-adjust: exact }
.yes { background: #1b7a3d } .no { background: #b3261e } .look { background: #9a5b00 } .note { background: #68737d }
dl { display: grid; grid-template-columns: 9.5rem 1fr; gap: .15rem 1rem; margin: 0 } dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
.finding { border-left: 4px solid var(--line); padding: .2rem 0 .2rem .9rem; margin: .8rem 0; break-inside: avoid }
.finding ul { margin: .2rem 0; padding-left: 1.2rem; color: var(--soft); overflow-wrap: anywhere } .finding p { margin: .2rem 0 }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .8rem }
figure { margin: 0; break-inside: avoid } figure img { width: 100%; max-height: 14rem; object-fit: contain; display: block; background: #eee; border: 1px solid var(--line) }
figcaption { font-size: .8rem; overflow-wrap: anywhere } .group { border-top: 1px solid var(--line); padding: .6rem 0 }
.bars { width: 100%; max-width: 34rem; height: auto; display: block } .bars text { font: 13px system-ui, sans-serif; fill: var(--ink) } .bars rect { fill: var(--bar) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
@media (max-width: 36rem) { dl { grid-template-columns: 1fr } dt { margin-top: .4rem } }
@page { size: A4; margin: 15mm } @media print { body { font-size: 10.5pt; margin: 0; max-width: none; padding: 0 } h2 { break-after: avoid } tr { break-inside: avoid } }
";

/// The page.
pub(super) fn render(report: &Report) -> Result<String> {
    let name = match &report.check {
        Some(check) => check.name.as_str(),
        None => report.folder.as_str(),
    };
    let mut page = Page {
        text: format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>Check of {0}</title>\n<style>{STYLE}</style>\n\
             </head><body>\n<h1>Check of {0}</h1>\n<div class=\"path\">{1}</div>\n",
            escaped(name),
            escaped(&report.folder)
        ),
        scale: report.scale,
    };
    page.verdict(report)?;
    if !report.categories.is_empty() {
        page.text.push_str("<h2>Categories</h2>\n");
        for category in &report.categories {
            let badge = badge(category.training_starts, "training");
            let (name, line) = (escaped(&category.name), escaped(&category.line));
            writeln!(
                page.text,
                "<div class=\"finding\"><p><b>{name}</b> {badge}</p><p>{line}</p></div>"
            )?;
        }
    }
    if let Some(check) = &report.check {
        page.check(check)?;
    }
    if let Some(costs) = &report.machine {
        page.costs(costs)?;
    }
    writeln!(
        page.text,
        "<p class=\"soft\">flawforge {}. Nothing in the folder was changed.</p>\n</body></html>",
        report.flawforge
    )?;
    Ok(page.text)
}

struct Page {
    text: String,
    scale: PixelScale,
}

fn badge(starts: bool, what: &str) -> String {
    match starts {
        true => format!("<span class=\"yes\">{what} would start</span>"),
        false => format!("<span class=\"no\">{what} would not start</span>"),
    }
}

impl Page {
    fn verdict(&mut self, report: &Report) -> Result<()> {
        let training = badge(report.training_starts, "a training");
        let evaluation = badge(report.evaluation_starts, "an evaluation");
        writeln!(self.text, "<div class=\"verdicts\">{training} {evaluation}</div>")?;
        writeln!(self.text, "<p>{}.</p>", escaped(&report.verdict()))?;
        Ok(())
    }

    fn rows(&mut self, title: &str, rows: Vec<(&'static str, String)>) -> Result<()> {
        writeln!(self.text, "<h2>{}</h2>\n<dl>", escaped(title))?;
        for (name, value) in rows {
            writeln!(self.text, "<dt>{name}</dt><dd>{}</dd>", escaped(&value))?;
        }
        self.text.push_str("</dl>\n");
        Ok(())
    }

    fn check(&mut self, check: &Check) -> Result<()> {
        self.text.push_str("<h2>Found, worst first</h2>\n");
        if check.findings.is_empty() {
            self.text.push_str("<p>Nothing.</p>\n");
        }
        for finding in &check.findings {
            self.finding(finding)?;
        }
        self.rows(&format!("Images ({})", check.layout), images(check))?;
        let types = check.images.defective.iter();
        let types: Vec<(String, usize)> = types.map(|(name, count)| (name.clone(), *count)).collect();
        self.bars(&types, "defective images by type")?;
        self.rows("Image files", files(&check.files))?;
        let sizes = check.files.sizes.iter();
        let sizes: Vec<(String, usize)> = sizes
            .map(|size| (format!("{}x{}", size.width, size.height), size.images))
            .collect();
        self.bars(&sizes, "images by size")?;
        if check.masks.defective > 0 {
            self.rows("Masks", masks(&check.masks))?;
        }
        if check.masks.read > 0 {
            self.bars(
                &check.masks.coverage,
                "masks by the share of the image that they mark",
            )?;
        }
        let odd: Vec<(&Named, &str)> = check
            .unusual
            .iter()
            .map(|unusual| (&unusual.image, unusual.reason.as_str()))
            .collect();
        if !odd.is_empty() {
            self.text.push_str("<h2>Normal images unlike the others</h2>\n");
            self.pictures(&odd, SHOWN)?;
        }
        self.groups("The same picture more than once", &check.twins.exact)?;
        self.groups("Nearly the same pictures", &check.twins.near)
    }

    fn finding(&mut self, finding: &Finding) -> Result<()> {
        let class = match finding.severity {
            Severity::StopsTraining | Severity::StopsEvaluation => "no",
            Severity::Look => "look",
            Severity::Note => "note",
        };
        writeln!(
            self.text,
            "<div class=\"finding\"><p><span class=\"{class}\">{}</span> {}</p>",
            finding.severity,
            escaped(&finding.what)
        )?;
        if !finding.files.is_empty() {
            self.text.push_str("<ul>");
            for file in &finding.files {
                write!(self.text, "<li>{}</li>", escaped(file))?;
            }
            if finding.more() > 0 {
                write!(self.text, "<li>and {} more</li>", finding.more())?;
            }
            self.text.push_str("</ul>\n");
        }
        writeln!(self.text, "<p>&rarr; {}</p></div>", escaped(&finding.advice))?;
        Ok(())
    }

    /// A histogram of horizontal bars.
    fn bars(&mut self, bars: &[(String, usize)], about: &str) -> Result<()> {
        let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(0);
        if most == 0 || bars.len() < 2 {
            return Ok(());
        }
        const ROW: usize = 22;
        let height = bars.len() * ROW;
        write!(
            self.text,
            "<svg class=\"bars\" viewBox=\"0 0 560 {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
            escaped(about)
        )?;
        for (at, (name, count)) in bars.iter().enumerate() {
            let (y, width) = (at * ROW, 300 * count / most);
            let name: String = name.chars().take(24).collect();
            write!(
                self.text,
                "<text x=\"168\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"176\" y=\"{}\" width=\"{width}\" height=\"14\"/>\
                 <text x=\"{}\" y=\"{}\">{count}</text>",
                y + 15,
                escaped(&name),
                y + 4,
                182 + width,
                y + 15
            )?;
        }
        self.text.push_str("</svg>\n");
        Ok(())
    }

    fn pictures(&mut self, pictures: &[(&Named, &str)], most: usize) -> Result<()> {
        self.text.push_str("<div class=\"pictures\">");
        for (named, about) in pictures.iter().take(most) {
            let file = escaped(&named.file);
            let image = match preview(&named.path, SIDE, &self.scale) {
                Some(image) => photograph(&image, &named.file)?,
                None => String::new(),
            };
            let (sort, about) = (escaped(&named.sort), escaped(about));
            write!(
                self.text,
                "<figure>{image}<figcaption>{file}<br><span class=\"soft\">{sort}</span> {about}</figcaption></figure>"
            )?;
        }
        self.text.push_str("</div>\n");
        self.more(pictures.len(), most)
    }

    fn groups(&mut self, title: &str, groups: &[Vec<Named>]) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        writeln!(self.text, "<h2>{title}</h2>")?;
        for group in groups.iter().take(SHOWN) {
            self.text.push_str("<div class=\"group\">");
            let pictures: Vec<(&Named, &str)> = group.iter().map(|named| (named, "")).collect();
            self.pictures(&pictures, OF_A_GROUP)?;
            self.text.push_str("</div>\n");
        }
        self.more(groups.len(), SHOWN)
    }

    fn more(&mut self, all: usize, most: usize) -> Result<()> {
        if all > most {
            writeln!(self.text, "<p class=\"soft\">and {} more</p>", all - most)?;
        }
        Ok(())
    }

    fn costs(&mut self, costs: &Costs) -> Result<()> {
        writeln!(
            self.text,
            "<h2>What a training would cost here, about</h2>\n<p>{}</p>\n<div class=\"wide\"><table><tr><th>profile</th>",
            escaped(&costs.machine())
        )?;
        for method in costs.methods() {
            write!(self.text, "<th>{}</th>", escaped(method))?;
        }
        self.text.push_str("</tr>\n");
        for (profile, row) in costs.rows() {
            write!(self.text, "<tr><td>{}</td>", escaped(profile))?;
            for cost in row {
                write!(self.text, "<td>{}</td>", escaped(&cost.words()))?;
            }
            self.text.push_str("</tr>\n");
        }
        self.text.push_str(
            "</table></div>\n<p class=\"soft\">Memory is counted from weights, activations and images, beside the program. \
             Time rests on:</p>\n<ul class=\"soft\">",
        );
        for basis in costs.bases() {
            write!(self.text, "<li>{}</li>", escaped(&basis))?;
        }
        self.text.push_str("</ul>\n");
        Ok(())
    }
}
