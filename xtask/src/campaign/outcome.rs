//! What a part of the campaign tried and found.

use std::collections::BTreeMap;

use serde::Serialize;

/// Something that must not happen, and how to see it again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// A command that shows it.
    pub again: String,
}

/// What came of a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub part: String,
    /// How often each thing was tried.
    pub tried: BTreeMap<String, u64>,
    /// Measured values, by what they are.
    pub figures: BTreeMap<String, f64>,
    /// What was not tried here, and why.
    pub skipped: Vec<String>,
    /// What must not have happened.
    pub findings: Vec<Finding>,
    /// Time it took.
    pub seconds: f64,
}

impl Report {
    /// Nothing tried yet.
    pub fn new(part: &str) -> Self {
        Self {
            part: part.to_owned(),
            tried: BTreeMap::new(),
            figures: BTreeMap::new(),
            skipped: Vec::new(),
            findings: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Counts a try.
    pub fn tried(&mut self, what: &str) {
        *self.tried.entry(what.to_owned()).or_default() += 1;
    }

    /// Keeps a finding, and says it at once.
    pub fn find(&mut self, what: String, again: &str) {
        println!("FOUND {what}\n      again: {again}");
        self.findings.push(Finding {
            what,
            again: again.to_owned(),
        });
    }

    /// Says once what is not tried here.
    pub fn skip(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("skipped: {what}");
        self.skipped.push(what);
    }

    /// All tries.
    pub fn tries(&self) -> u64 {
        self.tried.values().sum()
    }

    /// The report in a line.
    pub fn line(&self) -> String {
        let tried: Vec<String> = self
            .tried
            .iter()
            .map(|(what, times)| format!("{what} {times}"))
            .collect();
        format!(
            "{}: {} tries in {:.0} s, {} findings ({})",
            self.part,
            self.tries(),
            self.seconds,
            self.findings.len(),
            tried.join(", ")
        )
    }
}

/// All parts, a row each; then what was measured, skipped and found.
pub fn table(reports: &[Report]) -> String {
    let mut text = String::from("| part | tries | seconds | findings |\n|---|---:|---:|---:|\n");
    for report in reports {
        text.push_str(&format!(
            "| {} | {} | {:.0} | {} |\n",
            report.part,
            report.tries(),
            report.seconds,
            report.findings.len()
        ));
    }
    for report in reports {
        for (what, value) in &report.figures {
            text.push_str(&format!("{}: {what}: {value}\n", report.part));
        }
        for what in &report.skipped {
            text.push_str(&format!("{}: skipped: {what}\n", report.part));
        }
        for finding in &report.findings {
            text.push_str(&format!(
                "{}: FOUND {}\n  again: {}\n",
                report.part, finding.what, finding.again
            ));
        }
    }
    text
}
