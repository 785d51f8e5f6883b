//! From calibration scores to verdicts: thresholds with a promise, a band of doubt, and what may be wrong with them.

mod rule;

pub use rule::{Rule, Verdict};

use std::collections::BTreeMap;

use flawforge_metrics::{Promise, promised_threshold};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};
use crate::fit::{Calibrated, CalibrationScore, Origin};

/// Fewest calibration parts that a threshold should rest on (proposal).
pub const FEWEST_PARTS: usize = 20;

/// How many simulated anomalies of one sort the threshold finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Which ones: a kind, or a range of sizes.
    pub what: String,
    /// Those found.
    pub found: usize,
    /// All.
    pub of: usize,
}

/// Thresholds, what they promise and what they find.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// An image whose verdict score is at least this is anomalous.
    pub threshold: f32,
    /// An image below that and at least at this is to be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_from: Option<f32>,
    /// How rarely a good part reaches that: is to be looked at, or called anomalous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_promise: Option<Promise>,
    /// How rarely a good part is called anomalous; `None` where the scores of good parts say nothing about later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// A pixel of an anomaly map whose score is at least this is called anomalous: so few of the good parts as the rule allows
    /// have [one pixel in a thousand](flawforge_metrics::HIGH_PIXELS) there.
    pub pixel_threshold: f32,
    /// Simulated anomalies found, by kind.
    pub found_by_kind: Vec<Found>,
    /// Simulated anomalies found, by the share of the image that they cover.
    pub found_by_size: Vec<Found>,
    /// Where the scores of good parts come from.
    pub origin: Origin,
    /// What a person should know before relying on it, in sentences.
    pub warnings: Vec<String>,
    /// The same in a few words each, for those who ask for verdicts every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_short: Vec<String>,
    /// The gravest of these in a few words, for every row of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

impl Decision {
    /// The verdict on an image by its verdict score. A score that is not a number is to be looked at.
    pub fn verdict(&self, score: f32) -> Verdict {
        if score.is_nan() {
            return Verdict::Look;
        }
        match self.look_from {
            _ if score >= self.threshold => Verdict::Anomalous,
            Some(from) if score >= from => Verdict::Look,
            _ => Verdict::Normal,
        }
    }
}

/// Ranges of the share of an image that a simulated anomaly covers, upper ends.
const SIZES: [(f32, &str); 4] = [
    (0.001, "below 0.1 % of the image"),
    (0.01, "0.1 to 1 % of the image"),
    (0.05, "1 to 5 % of the image"),
    (f32::INFINITY, "above 5 % of the image"),
];

/// The rates that a rule leaves to choose from, times the first (proposal).
const FACTORS: [f64; 3] = [1.0, 5.0, 12.0];
/// What a good part costs that is called anomalous, in anomalies missed (proposal).
const COST: f64 = 3.0;

/// A threshold, the rate it was sought for, and the confidence that its own promise was computed with.
struct Chosen {
    rate: f64,
    threshold: f32,
    promise: Promise,
    confidence: f64,
}

/// Warnings in a sentence and in a few words.
#[derive(Default)]
struct Told {
    warnings: Vec<String>,
    in_short: Vec<String>,
}

impl Told {
    fn both(&mut self, warning: impl Into<String>, in_short: impl Into<String>) {
        self.warnings.push(warning.into());
        self.in_short.push(in_short.into());
    }
}

/// Whether a promise is so weak that it reads "100 in 100".
fn says_nothing(promise: &Promise) -> bool {
    promise.rate > 0.99
}

impl Calibrated {
    /// Thresholds by a rule.
    ///
    /// Where the rule leaves a choice of rates, the one is taken for which the share of simulated anomalies found, less three times the
    /// share of good parts that may be called anomalous, is largest. Each of them is promised with so much more confidence that all hold
    /// together with that of the rule, so that the choice costs nothing of it (Bonferroni).
    ///
    /// # Errors
    /// A rate or confidence that is not above 0 and below 1; a threshold that is not finite; a score that is not a number; no scores of
    /// good parts.
    pub fn decide(&self, rule: &Rule) -> Result<Decision> {
        let normal: Vec<f32> = self.normal().map(|one| one.score).collect();
        let Chosen {
            rate,
            threshold: found,
            promise: best,
            confidence,
        } = self.chosen(&normal, rule)?;
        let mut told = Told::default();
        let (threshold, promise) = match rule.threshold {
            Some(given) if !given.is_finite() => {
                return Err(TrainingError::setting("threshold", "is not a finite number"));
            }
            Some(given) => {
                let above = normal.iter().filter(|&&score| score >= given).count();
                let promise = Promise::of(above, normal.len(), rule.confidence);
                if says_nothing(&promise) {
                    let what = format!("{above} of {} reach the threshold {given}", parts(normal.len()));
                    told.both(format!("{what}, so that nothing is promised"), what);
                }
                (given, promise)
            }
            None => (found, best),
        };
        let look = match rule.band {
            None => None,
            Some(band) => {
                let (low, promise) = promised_threshold(&normal, band, rule.confidence)?;
                if low >= threshold {
                    let why = match rule.threshold {
                        Some(given) => format!("its threshold {low} is not below {given}"),
                        None if band <= rate => format!(
                            "its {} are within the {} of false alarms that are allowed",
                            asked(band),
                            asked(rate)
                        ),
                        None => format!(
                            "{} cannot tell {} from {}",
                            parts(normal.len()),
                            asked(band),
                            asked(rate)
                        ),
                    };
                    let empty = format!("the band to look at is empty: {why}");
                    told.both(empty.clone(), empty);
                }
                Some((low, promise)).filter(|(low, _)| *low < threshold)
            }
        };
        let pixels: Vec<f32> = self.normal().map(|one| one.pixel).collect();
        let (pixel_threshold, _) = promised_threshold(&pixels, rate, confidence)?;
        let unseen = self.origin != Origin::Trained;
        let mut doubt = None;
        if rule.threshold.is_some() {
            // The person answers for it.
        } else if !unseen {
            let brief = "threshold from trained images";
            told.both(
                "the threshold rests on images that were trained on: good parts may score higher than these, and nothing is promised",
                format!("{brief}: nothing is promised"),
            );
            doubt = Some(brief.to_owned());
        } else if normal.len() < FEWEST_PARTS {
            let brief = format!("threshold from {}", parts(normal.len()));
            told.both(
                format!(
                    "the threshold rests on {}; {FEWEST_PARTS} or more give one to rely on",
                    parts(normal.len())
                ),
                brief.clone(),
            );
            doubt = Some(brief);
        }
        if self.origin == Origin::Assumed && rule.threshold.is_none() {
            told.both(
                format!(
                    "that the imported weights had not seen the {} is assumed: if they had, later ones score higher",
                    parts(normal.len())
                ),
                "parts assumed to be unseen",
            );
        }
        if rule.threshold.is_none() && rate > rule.false_alarms {
            let base = promised_threshold(&normal, rule.false_alarms, confidence)?.0;
            let found = |threshold: f32| self.simulated().filter(|one| one.score >= threshold).count();
            let brief = format!("{} of false alarms allowed, for more finds", asked(rate));
            told.both(
                format!(
                    "a threshold for {} of false alarms finds {} of {} simulated anomalies, one for {} finds {}: that is taken \
                     (--false-alarms {} forbids it)",
                    asked(rule.false_alarms),
                    found(base),
                    self.simulated().count(),
                    asked(rate),
                    found(threshold),
                    asked(rule.false_alarms).replace(' ', ""),
                ),
                brief,
            );
        } else if unseen && rule.threshold.is_none() && promise.rate > rate {
            let several = match confidence > rule.confidence {
                true => format!(
                    " (several rates were weighed, so that each has to be {:.1} % sure; for --false-alarms {} alone {} would do)",
                    100.0 * confidence,
                    asked(rate).replace(' ', ""),
                    Promise::parts_for(rate, rule.confidence)
                ),
                false => String::new(),
            };
            told.both(
                format!(
                    "{} of false alarms cannot be promised with {}, {} at best; {} would do{several}",
                    asked(rate),
                    parts(normal.len()),
                    percent(promise.rate),
                    Promise::parts_for(rate, confidence)
                ),
                format!(
                    "{} of false alarms promised, not {}",
                    percent(promise.rate),
                    asked(rate)
                ),
            );
        }
        let found_by_kind = self.found(threshold, |one| one.kind.clone());
        let missed: usize = found_by_kind.iter().map(|sort| sort.of - sort.found).sum();
        let all: usize = found_by_kind.iter().map(|sort| sort.of).sum();
        if all == 0 {
            told.both(
                "no anomaly could be simulated on the normal images: what the threshold finds is unknown",
                "what it finds is unknown",
            );
        } else if 2 * missed > all {
            let found = match all - missed {
                0 => format!("none of {all} simulated anomalies is"),
                1 => format!("only 1 of {all} simulated anomalies is"),
                some => format!("only {some} of {all} simulated anomalies are"),
            };
            told.both(
                format!("{found} found at the threshold"),
                format!("{} of {all} simulated anomalies found", all - missed),
            );
        }
        Ok(Decision {
            threshold,
            look_from: look.map(|(from, _)| from),
            look_promise: look.map(|(_, promise)| promise).filter(|_| unseen),
            promise: Some(promise).filter(|promise| unseen && !says_nothing(promise)),
            pixel_threshold,
            found_by_kind,
            found_by_size: self.found_by_size(threshold),
            origin: self.origin,
            warnings: told.warnings,
            in_short: told.in_short,
            doubt,
        })
    }

    /// The threshold of the best of the rule's rates.
    fn chosen(&self, normal: &[f32], rule: &Rule) -> Result<Chosen> {
        let rates: Vec<f64> = FACTORS
            .iter()
            .map(|factor| factor * rule.false_alarms)
            .filter(|&rate| rate <= rule.false_alarms.max(rule.most_false_alarms) && rate < 1.0)
            .collect();
        let confidence = 1.0 - (1.0 - rule.confidence) / rates.len().max(1) as f64;
        let simulated: Vec<f32> = self.simulated().map(|one| one.score).collect();
        let mut best: Option<(f64, Chosen)> = None;
        for rate in rates {
            let (threshold, promise) = promised_threshold(normal, rate, confidence)?;
            let found = simulated.iter().filter(|&&score| score >= threshold).count();
            let worth = found as f64 / simulated.len().max(1) as f64 - COST * promise.rate;
            let chosen = Chosen {
                rate,
                threshold,
                confidence,
                promise: Promise {
                    confidence: rule.confidence,
                    ..promise
                },
            };
            if best.as_ref().is_none_or(|(most, _)| worth > *most) {
                best = Some((worth, chosen));
            }
        }
        match best {
            Some((_, chosen)) => Ok(chosen),
            None => {
                let message = format!("{} is not above 0 and below 1", rule.false_alarms);
                Err(TrainingError::setting("false_alarms", message))
            }
        }
    }

    /// Of simulated anomalies, by what `sort` calls them.
    fn found(&self, threshold: f32, sort: impl Fn(&CalibrationScore) -> Option<String>) -> Vec<Found> {
        let mut sorts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for one in self.scores.iter().filter(|one| one.kind.is_some()) {
            if let Some(what) = sort(one) {
                let (found, of) = sorts.entry(what).or_default();
                *of += 1;
                *found += usize::from(one.score >= threshold);
            }
        }
        let found = |(what, (found, of))| Found { what, found, of };
        sorts.into_iter().map(found).collect()
    }

    fn found_by_size(&self, threshold: f32) -> Vec<Found> {
        let place = |share: f32| SIZES.iter().position(|&(below, _)| share < below);
        let by_place = self.found(threshold, |one| Some(place(one.share?)?.to_string()));
        let named = |found: Found| {
            let (_, what) = SIZES.get(found.what.parse::<usize>().ok()?)?;
            let what = (*what).to_owned();
            Some(Found { what, ..found })
        };
        by_place.into_iter().filter_map(named).collect()
    }
}

fn parts(count: usize) -> String {
    match count {
        1 => "1 good part".to_owned(),
        count => format!("{count} good parts"),
    }
}

/// A rate as it was asked for: "1 %", "0.04 %".
fn asked(rate: f64) -> String {
    format!("{} %", (rate * 1e10).round() / 1e8)
}

/// "1 %", "4.8 %": upwards, so that no promise is called better than it is.
fn percent(rate: f64) -> String {
    let tenths = (1000.0 * rate - 1e-9).ceil();
    match tenths % 10.0 == 0.0 {
        true => format!("{:.0} %", tenths / 10.0),
        false => format!("{:.1} %", tenths / 10.0),
    }
}

#[cfg(test)]
mod tests;
