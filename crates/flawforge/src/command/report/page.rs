//! The page: everything that it shows, prepared for its template. Markup is made elsewhere; text is escaped by the template.

use askama::Template;

use super::facts::Fact;

/// The page as one HTML file that needs nothing beside itself.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    /// Name of the category.
    pub(super) name: String,
    /// What matters most, in a sentence each.
    pub(super) headlines: Vec<String>,
    /// What a person should know before relying on it.
    pub(super) warnings: Vec<String>,
    pub(super) trained: Vec<Fact>,
    pub(super) decided: Vec<Fact>,
    /// Simulated anomalies found: sort, found, of.
    pub(super) found: Vec<(String, usize, usize)>,
    pub(super) counted: Option<Counted>,
    pub(super) tested: Option<TestedPart>,
    /// Figures of unusual normal images, and of simulated anomalies.
    pub(super) unusual: Vec<String>,
    pub(super) samples: Vec<String>,
    /// Why figures of normal images are missing.
    pub(super) missing: Option<String>,
    pub(super) selection: String,
    pub(super) losses: Option<String>,
    /// Why there are no losses.
    pub(super) no_losses: &'static str,
    /// What the colors and outlines of heat maps mean.
    pub(super) legend: String,
    /// Whether the run's own sheet of unusual images is there.
    pub(super) has_unusual: bool,
    pub(super) deviations: Vec<String>,
    /// All settings, TOML.
    pub(super) settings: String,
    pub(super) version: &'static str,
    pub(super) hash: String,
}

/// Scores against the threshold.
pub(super) struct Counted {
    pub(super) histograms: String,
    pub(super) threshold: String,
    pub(super) rows: Vec<CountedRow>,
    /// JSON for the script.
    pub(super) json: String,
}

/// A row of the table that the slider counts anew.
pub(super) struct CountedRow {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) above_is: &'static str,
    pub(super) below: usize,
    pub(super) above: usize,
    pub(super) share: String,
}

/// What test images tell.
pub(super) struct TestedPart {
    pub(super) facts: Vec<Fact>,
    pub(super) judged: Option<JudgedPart>,
    pub(super) metrics: Vec<MetricRow>,
    /// How intervals were found.
    pub(super) intervals: String,
    pub(super) curves: Vec<String>,
    pub(super) galleries: Vec<GalleryPart>,
}

/// Verdicts on test images.
pub(super) struct JudgedPart {
    /// Whether an image can be "look".
    pub(super) has_look: bool,
    /// Sort of images, called normal, to look at, anomalous.
    pub(super) calls: Vec<(String, u64, u64, u64)>,
    pub(super) rates: Vec<Fact>,
}

/// A metric with its interval, or why there is none.
pub(super) struct MetricRow {
    pub(super) title: &'static str,
    pub(super) value: String,
    pub(super) interval: String,
    pub(super) rule: &'static str,
}

/// Figures of one sort.
pub(super) struct GalleryPart {
    pub(super) title: &'static str,
    pub(super) about: String,
    pub(super) figures: Vec<String>,
}
