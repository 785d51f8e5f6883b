//! The page: the proposal, the numbers behind it, and what each kind of anomaly would look like.

use std::fmt::Write;

use anyhow::Result;
use flawforge::augment::evidence::{Evidence, Finding, Measure, Proposal, Reading};
use flawforge::augment::{Fill, Kind, Materials, RotateNormals, Stream, to_bytes};
use flawforge::datasets::{Category, TrainImage};
use image::RgbImage;

use crate::command::html::{escaped, mask, photograph};
use crate::command::simulate::{Shown, only, spaced, visible};
use crate::command::source::shown_kinds;

/// Everything that is on the page.
pub(super) struct Page<'a> {
    pub(super) category: &'a Category,
    pub(super) evidence: &'a Evidence,
    pub(super) proposal: &'a Proposal,
    pub(super) toml: &'a str,
    pub(super) materials: Materials,
    /// Samples of each kind.
    pub(super) count: usize,
    pub(super) seed: u64,
}

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc } h3 { margin-bottom: .3rem }
table { border-collapse: collapse } td, th { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top }
.grid { display: grid; gap: 4px; overflow-x: auto } .grid img { width: 100%; display: block } .grid div { align-self: center; font-size: .85rem }
.on, .off, .ask { border-radius: .3rem; padding: .05rem .5rem; font-weight: 600; font-size: .9rem; color: #fff }
.on { background: #1b7a3d } .off { background: #777 } .ask { background: #b25b00 }
.bar { position: relative; width: 14rem; height: 1rem; background: #dde6ee; margin-top: .25rem }
.bar .between { position: absolute; height: 100%; background: #f2c27b } .bar .value { position: absolute; width: 4px; height: 140%; top: -20%; background: #111 }
.aside { color: #777 } pre { background: #f4f4f4; padding: 1rem; white-space: pre-wrap }
@media (max-width: 40rem) { .bar { width: 7rem } }
";

impl Page<'_> {
    /// The page as one HTML file that needs nothing beside itself: no script, no server, no other file.
    pub(super) fn render(&self) -> Result<String> {
        let name = escaped(&self.category.name);
        let mut text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>Selection for {name}</title>\n<style>{STYLE}</style>\n\
             </head><body>\n<h1>Which anomalies suit {name}?</h1>\n<p>A proposal, measured on {} of {} normal images. Numbers \
             cannot know what is a defect in this product: look, then confirm or change it.</p>\n",
            self.evidence.images,
            self.category.train.len(),
        );
        self.summary(&mut text)?;
        self.questions(&mut text)?;
        for kind in shown_kinds(&self.proposal.selection) {
            self.samples(&mut text, kind)?;
        }
        self.rotation(&mut text)?;
        write!(
            text,
            "<h2>The selection file</h2>\n<p>Change <code>on</code> where the pictures say otherwise, save it as a file, \
             and give it to <code>flawforge train</code> or <code>flawforge simulate</code> with <code>--selection</code>.</p>\n\
             <pre>{}</pre>\n</body></html>\n",
            escaped(self.toml)
        )?;
        Ok(text)
    }

    fn summary(&self, text: &mut String) -> Result<()> {
        let chosen = &self.proposal.selection;
        let positions = Some((&self.proposal.positions, "relative positions"));
        let orientation = Some((&self.proposal.orientation, "orientation"));
        let kinds = shown_kinds(chosen).map(|kind| {
            let (why, asked) = match kind {
                Kind::Transparent => ("a foreign texture shining through is always a defect", None),
                Kind::Opaque => ("a foreign texture on top is always a defect", None),
                Kind::NearDistribution => (
                    "on when parts have a fixed place, so that bending is a defect, and bending shows",
                    positions,
                ),
                _ => ("an anomaly of another method", None),
            };
            (kind.name().replace('-', "_"), chosen.enables(kind), why, asked)
        });
        let others = [
            (
                "rotate_normals",
                chosen.rotate_normals,
                "on when the product may lie at any angle, so that a turned one is normal",
                orientation,
            ),
            (
                "texture",
                chosen.texture,
                "on when any part of the image is as good as another, whatever its orientation",
                None,
            ),
            (
                "grey",
                chosen.grey,
                "on when no normal image has colors: then textures lose theirs, or color alone would give an anomaly away",
                None,
            ),
        ];
        let others = others.map(|(key, on, why, asked)| (key.to_owned(), on, why, asked));
        text.push_str("<h2>Proposal</h2>\n<table>\n");
        for (key, on, why, asked) in kinds.chain(others) {
            let asked = match asked {
                Some((finding, what)) => format!("{what}: {}", verdict(finding)),
                None => String::new(),
            };
            writeln!(
                text,
                "<tr><td><code>{key}</code></td><td>{}</td><td>{why}</td><td>{asked}</td></tr>",
                badge(on)
            )?;
        }
        text.push_str("</table>\n");
        Ok(())
    }

    fn questions(&self, text: &mut String) -> Result<()> {
        let found = self.evidence;
        let normals = self.normals(8)?;
        text.push_str("<h2>Normal images</h2>\n<p>The last picture is the mean of all: sharp where they coincide.</p>\n");
        let columns = normals.len() + 1;
        write!(
            text,
            "<div class=\"grid\" style=\"grid-template-columns: repeat({columns}, 1fr)\">"
        )?;
        for normal in &normals {
            text.push_str(&photograph(&normal.image, normal.name)?);
        }
        text.push_str(&photograph(
            &mean(&self.category.train)?,
            "mean of all normal images",
        )?);
        text.push_str("</div>\n");

        writeln!(
            text,
            "<h2>Would another orientation be a defect?</h2>\n<p>Measured: {}.</p>",
            verdict(&self.proposal.orientation)
        )?;
        measures(text, &self.proposal.orientation.measures)?;
        writeln!(
            text,
            "<p>Two images laid over each other unturned correlate by {:.2}; with one turned, {:.2} on average; at the best \
             angle, {:.2} (median of {} pairs). Gradients have a grain of {:.2} in common (light from one side alone makes up to \
             0.5) and a grid of {:.2}.</p>",
            found.similarity.upright,
            found.similarity.turned,
            found.similarity.best,
            found.similarity.pairs,
            found.direction.grain,
            found.direction.grid,
        )?;

        writeln!(
            text,
            "<h2>Would another relative position of parts be a defect?</h2>\n<p>Measured: {}. Things with the same outline but \
             irregular insides (nuts, stones) look fixed here though they are not.</p>",
            verdict(&self.proposal.positions)
        )?;
        measures(text, &self.proposal.positions.measures)?;
        text.push_str("<h3>Does bending show?</h3>\n");
        measures(text, std::slice::from_ref(&self.proposal.bending))?;
        writeln!(
            text,
            "<p>{:.0} % of {} tries made something visible, on {:.1} % of the image (median). Where bending hardly shows, \
             near-distribution anomalies are of little use.</p>",
            100.0 * found.bending.success,
            found.bending.tries,
            100.0 * found.bending.coverage,
        )?;
        Ok(())
    }

    fn samples(&self, text: &mut String, kind: Kind) -> Result<()> {
        let on = self.proposal.selection.enables(kind);
        writeln!(text, "<h2>{kind} {}</h2>", badge(on))?;
        let simulation = only(kind, &self.proposal.selection, &self.materials);
        let normals = self.normals(self.count)?;
        let samples = visible(&simulation, &normals, self.seed);
        self.open_rows(text, normals.len())?;
        text.push_str("<div>normal</div>");
        for normal in &normals {
            text.push_str(&photograph(&normal.image, normal.name)?);
        }
        text.push_str("\n<div>simulated</div>");
        for sample in &samples {
            text.push_str(&photograph(
                &to_bytes(&sample.image),
                &format!("{kind}, simulated"),
            )?);
        }
        text.push_str("\n<div>mask</div>");
        for sample in &samples {
            let about = format!(
                "{kind}, mask, {:.1} % of the image",
                100.0 * sample.mask.coverage()
            );
            text.push_str(&mask(&sample.mask.to_luma8(), &about)?);
        }
        text.push_str("\n<div></div>");
        for sample in &samples {
            match sample.kind {
                Some(_) => write!(text, "<div>{:.1} %</div>", 100.0 * sample.mask.coverage())?,
                None => text.push_str("<div>nothing visible</div>"),
            }
        }
        text.push_str("</div>\n");
        Ok(())
    }

    fn rotation(&self, text: &mut String) -> Result<()> {
        let chosen = &self.proposal.selection;
        writeln!(
            text,
            "<h2>rotation of normal images {}</h2>\n<p>These would be learnt as normal.</p>",
            badge(chosen.rotate_normals)
        )?;
        // The corners that a person would get who turns rotation on against the proposal.
        let fill = match chosen.fill {
            Fill::Black if !chosen.rotate_normals => Fill::Reflect,
            fill => fill,
        };
        let rotate = RotateNormals {
            probability: 1.0,
            fill,
            ..RotateNormals::default()
        };
        let normals = self.normals(self.count)?;
        self.open_rows(text, normals.len())?;
        text.push_str("<div>normal</div>");
        for normal in &normals {
            text.push_str(&photograph(&normal.image, normal.name)?);
        }
        text.push_str("\n<div>rotated</div>");
        for (index, normal) in (0..).zip(&normals) {
            let stream = Stream {
                seed: self.seed,
                step: 0,
                index,
            };
            let rotated = rotate.apply(&normal.image, &mut stream.rng("shown rotation"));
            let shown = rotated.as_ref().unwrap_or(normal.image.as_ref());
            text.push_str(&photograph(shown, &format!("{}, rotated", normal.name))?);
        }
        text.push_str("</div>\n");
        Ok(())
    }

    fn normals(&self, count: usize) -> Result<Vec<Shown<'_>>> {
        spaced(self.category, count.min(self.category.train.len()))
    }

    fn open_rows(&self, text: &mut String, columns: usize) -> Result<()> {
        write!(
            text,
            "<div class=\"grid\" style=\"grid-template-columns: 5rem repeat({columns}, 1fr)\">"
        )?;
        Ok(())
    }
}

fn badge(on: bool) -> &'static str {
    if on {
        "<span class=\"on\">on</span>"
    } else {
        "<span class=\"off\">off</span>"
    }
}

fn verdict(finding: &Finding) -> &'static str {
    match finding.fixed {
        Some(true) => "<b>fixed</b>",
        Some(false) => "<b>free</b>",
        None => "<span class=\"ask\">undecided: look at the pictures</span>",
    }
}

/// One row each: the number, where it lies beside the band in which it decides nothing, what it says.
fn measures(text: &mut String, measures: &[Measure]) -> Result<()> {
    text.push_str("<table>\n");
    for measure in measures {
        let percent = |value: f32| 100.0 * value.clamp(0.0, 1.0);
        let says = match measure.reading() {
            Reading::Low => measure.means[0],
            Reading::Between => "between: undecided",
            Reading::High => measure.means[1],
        };
        let (class, note) = if measure.counts {
            ("", "")
        } else {
            (" class=\"aside\"", " (does not count here)")
        };
        writeln!(
            text,
            "<tr{class}><td>{}{note}</td><td>{:.2}</td><td><div class=\"bar\" title=\"below {:.2}: {}; from {:.2}: {}\"><div \
             class=\"between\" style=\"left: {:.0}%; width: {:.0}%\"></div><div class=\"value\" style=\"left: {:.1}%\"></div></div>\
             </td><td>{says}</td></tr>",
            measure.name,
            measure.value,
            measure.band.low,
            measure.means[0],
            measure.band.high,
            measure.means[1],
            percent(measure.band.low),
            percent(measure.band.high - measure.band.low),
            percent(measure.value),
        )?;
    }
    text.push_str("</table>\n");
    Ok(())
}

/// The mean of images of one size, at least one.
fn mean(images: &[TrainImage]) -> Result<RgbImage> {
    let (width, height) = images.first().map_or((0, 0), TrainImage::dimensions);
    let mut sums = vec![0_u64; width as usize * height as usize * 3];
    for image in images {
        for (sum, &value) in sums.iter_mut().zip(image.image()?.as_raw()) {
            *sum += u64::from(value);
        }
    }
    let values = sums.iter().map(|sum| (sum / images.len() as u64) as u8).collect();
    Ok(RgbImage::from_raw(width, height, values).unwrap_or_default())
}
