//! How well were the anomalies found?
//!
//! A detector gives every image an *anomaly map* (one score a pixel) and an *image score*. This crate
//! compares them with the ground truth. It knows nothing of files, networks or image types: scores are
//! `f32` slices, truths are slices of `bool` or of a mask's bytes ([`Truth`]), and results are `f64` fractions
//! between 0 and 1.
//!
//! ```text
//! anomaly map ──image_score──▶ image score ──▶ ImageScores ──finish──▶ ImageMetrics  (AUROC, AP, best F1)
//!      │                                          ▲ merge
//!      └── with the ground-truth mask ─────────▶ PixelScores ──finish──▶ PixelMetrics  (AUROC, AP, AUPRO)
//! ```
//!
//! The functions [`auroc`], [`average_precision`] and [`aupro`] take everything at once. The accumulators
//! [`ImageScores`] and [`PixelScores`] take an image at a time and can be merged: merging two halves gives
//! exactly what one pass gives, in any order. [`PixelScores::bounded`] keeps a histogram instead of the
//! scores and reports how far its metrics can be from the exact ones.
//!
//! How far a metric could have come out otherwise with other test images is told by drawing the images again ([`Bootstrap`]):
//! [`ImageScores::intervals`], [`PixelSamples::intervals`]. What verdicts are worth is told by counts ([`Confusion`]) and
//! rates with exact intervals ([`Rate`]).
//!
//! [`Metric`] lists what an evaluation reports, with names for files and titles for readers; [`Scores`] are values by
//! metric. The feature `serde` reads and writes both by name.
//!
//! Tied scores count as the literature has it: one half in AUROC, one common threshold in AP and AUPRO.
//! A NaN is an error, and so is a ground truth of one class only, for which none of the metrics is defined.
//!
//! ```
//! use flawforge_metrics::{AUPRO_LIMIT, PixelScores, verdict_score};
//!
//! # fn main() -> Result<(), flawforge_metrics::MetricError> {
//! // A 4×2 map whose anomalous left half scores high, but for one pixel, and a map of a normal image.
//! let found = [0.9, 0.8, 0.1, 0.2, 0.9, 0.1, 0.0, 0.1];
//! let truth = [1, 1, 0, 0, 1, 1, 0, 0];
//! let mut first = PixelScores::exact();
//! first.push(&found, &truth, 4, 2)?;
//! let mut second = PixelScores::exact();
//! second.push(&[0.05; 8], &[0; 8], 4, 2)?;
//!
//! first.merge(second)?;
//! let metrics = first.finish(AUPRO_LIMIT)?;
//! assert!(metrics.auroc > 0.9 && metrics.auroc < 1.0);
//! assert!(verdict_score(&found, 4, 2) > verdict_score(&[0.05; 8], 4, 2));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod accumulate;
mod aupro;
mod binomial;
mod bootstrap;
mod components;
mod confusion;
mod error;
mod histogram;
mod image_intervals;
mod image_score;
mod key;
mod metric;
mod pixel_bins;
mod pixel_samples;
mod promise;
mod radix;
mod ranking;
mod regions;
mod run_lengths;
mod sweep;
pub mod threshold;
mod truth;

pub use accumulate::{ErrorBound, ImageMetrics, ImageScores, PixelMetrics, PixelScores};
pub use aupro::{AUPRO_LIMIT, MapWithTruth, aupro};
pub use binomial::{Interval, proportion_interval};
pub use bootstrap::Bootstrap;
pub use confusion::{Calls, Confusion, Rate};
pub use error::MetricError;
pub use histogram::Bins;
pub use image_intervals::ImageIntervals;
pub use image_score::{
    HIGH_PIXELS, IMAGE_SCORE_WINDOW, high_pixel, image_score, image_score_window, verdict_score,
    verdict_score_window, windowed_score,
};
pub use metric::{Metric, Scores, UnknownMetric};
pub use pixel_samples::{PixelIntervals, PixelPoint, PixelSamples};
pub use promise::{Promise, promised_threshold};
pub use ranking::{auroc, average_precision};
pub use regions::{Region, Regions};
pub use run_lengths::RunLengths;
pub use threshold::best_f1;
pub use truth::{PixelTruth, Truth};
