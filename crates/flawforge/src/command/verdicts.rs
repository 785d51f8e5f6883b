//! Options of verdicts, for every command that gives them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use flawforge::datasets::path_text;
use flawforge::training::fit::{CalibrationScore, Origin};
use flawforge::training::{Decision, Rule, Run};

use super::numbers::finite;

/// How verdicts are made. Nothing is trained anew for another choice.
#[derive(Args, Debug, Clone, Copy, Default)]
pub(crate) struct VerdictArgs {
    /// Share of good parts that may be called anomalous, as 1% or 0.01 [default: as trained: 1%, or 5% or 12% where simulated
    /// anomalies show that these find many more]
    ///
    /// The threshold is the lowest that promises it from the run's own scores of good parts. Where there are too few of them, it
    /// lies above them all, and what it does promise is said.
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    false_alarms: Option<Rate>,
    /// A larger share: what lies between its threshold and the first is "look", for a person to look at
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    band: Option<Rate>,
    /// Threshold on the verdict score, instead of the one found
    #[arg(
        long,
        value_name = "SCORE",
        allow_hyphen_values = true,
        value_parser = finite,
        conflicts_with = "false_alarms"
    )]
    threshold: Option<f32>,
}

impl VerdictArgs {
    /// The threshold that was given.
    pub(crate) fn threshold(&self) -> Option<f32> {
        self.threshold
    }

    /// Whether a threshold was given, which makes sense for one run only.
    pub(crate) fn has_threshold(&self) -> bool {
        self.threshold.is_some()
    }

    /// The rule: the run's own, changed by the options given.
    pub(crate) fn rule(&self, run: &Run) -> Rule {
        let own = run.rule();
        Rule {
            false_alarms: self.false_alarms.map_or(own.false_alarms, |rate| rate.0),
            most_false_alarms: self.false_alarms.map_or(own.most_false_alarms, |rate| rate.0),
            band: self.band.map(|rate| rate.0).or(own.band),
            threshold: self.threshold.or(own.threshold),
            ..own
        }
    }

    /// The thresholds of a run; what a person should know of them is logged, once.
    ///
    /// # Errors
    /// A rate that is not above 0 and below 1, a threshold that is not finite.
    pub(crate) fn decision(&self, run: &Run) -> Result<Option<Decision>> {
        let decision = run.decision(&self.rule(run))?;
        match &decision {
            Some(decision) => decision
                .warnings
                .iter()
                .for_each(|warning| log::warn!("{warning}")),
            None => self.say_none(run),
        }
        Ok(decision)
    }

    /// As [`decision`](Self::decision), but what a person should know is logged in one line: for who judges every day.
    ///
    /// # Errors
    /// As [`decision`](Self::decision).
    pub(crate) fn decision_in_short(&self, run: &Run) -> Result<Option<Decision>> {
        let decision = run.decision(&self.rule(run))?;
        match &decision {
            Some(decision) if decision.in_short.is_empty() => {}
            Some(decision) => log::warn!(
                "mind: {} (`flawforge report` says more)",
                decision.in_short.join("; ")
            ),
            None => self.say_none(run),
        }
        Ok(decision)
    }

    /// Why there are no verdicts.
    fn say_none(&self, run: &Run) {
        // The person's own threshold needs no scores.
        if self.threshold.is_some() {
            return;
        }
        if run.step() < run.total_steps() {
            let folder = run
                .file()
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            log::warn!(
                "the run is not finished (step {} of {}), so there are no verdicts; `flawforge train --resume --out {}` goes on",
                run.step(),
                run.total_steps(),
                folder.unwrap_or(Path::new(".")).display()
            );
        } else {
            log::warn!("the run has no scores of normal images, so there are no verdicts");
        }
    }
}

/// A share above 0 and below 1, written as a fraction or in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (number, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 0.01),
            None => (text, 1.0),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| "is no number; write 1% or 0.01".to_owned())?;
        let rate = number * scale;
        match rate > 0.0 && rate < 1.0 {
            true => Ok(Self(rate)),
            false => Err("must be above 0 and below 1 (100%); write 1% or 0.01".to_owned()),
        }
    }
}

/// A decision in one line: "decision threshold 0.4213 calls at most 1 in 20 good parts anomalous (90 % sure, from 47 calibration
/// parts); finds 93 of 100 simulated anomalies".
pub(crate) fn said(decision: &Decision) -> String {
    let promise = match decision.promise {
        Some(promise) => format!(" calls at most {}", promise.as_calls()),
        None => String::new(),
    };
    // Whoever reads the scores later should know whose they are.
    let by = match decision.origin {
        Origin::CrossFitted => {
            "; the parts were scored by short trainings on others, a little higher than the detector scores new ones"
        }
        _ => "",
    };
    let found: usize = decision.found_by_kind.iter().map(|sort| sort.found).sum();
    let of: usize = decision.found_by_kind.iter().map(|sort| sort.of).sum();
    format!(
        "decision threshold {:.4}{promise}; finds {found} of {of} simulated anomalies{by}",
        decision.threshold
    )
}

/// Where the band to look at begins and what that promises; nothing without one.
pub(crate) fn band(decision: &Decision) -> Option<String> {
    let from = decision.look_from?;
    let promise = match decision.look_promise {
        Some(promise) => format!(": {promise}, reach it"),
        None => String::new(),
    };
    Some(format!(
        "look from {from:.4} on{promise}; what is to be looked at counts as neither a miss nor a false alarm"
    ))
}

/// The normal images that were least like the others, the highest score first: "part/good/zz.png (11.55), ...". `files` says where
/// they are, as far as that is known.
pub(crate) fn odd<'a>(
    scores: impl Iterator<Item = &'a CalibrationScore>,
    files: &HashMap<String, PathBuf>,
) -> String {
    const NAMED: usize = 3;
    let mut scores: Vec<_> = scores.collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    let named = scores.iter().take(NAMED).map(|one| {
        let name = match files.get(&one.image) {
            Some(path) => path_text(path),
            None => one.image.clone(),
        };
        format!("{name} ({:.4})", one.score)
    });
    named.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_fractions_or_percent() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.0);
        assert_eq!(rate("1%"), Ok(0.01));
        assert_eq!(rate("2.5 %"), Ok(0.025));
        assert_eq!(rate("0.05"), Ok(0.05));
        for bad in ["0", "1", "100%", "-1%", "NaN", "one"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
