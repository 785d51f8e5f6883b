//! One thing that is wrong with a folder, or may be, and what to do about it.

use std::fmt;

use serde::Serialize;

/// How bad a finding is, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A training does not start.
    StopsTraining,
    /// An evaluation does not start.
    StopsEvaluation,
    /// It deserves a look: a result may be wrong because of it.
    Look,
    /// To know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StopsTraining => "stops a training",
            Self::StopsEvaluation => "stops an evaluation",
            Self::Look => "deserves a look",
            Self::Note => "to know",
        })
    }
}

/// Files of a finding that are named; the rest is counted.
pub(super) const NAMED: usize = 5;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A short name that stays the same between versions, such as `unreadable` or `masks-empty`.
    pub kind: &'static str,
    /// What is wrong, in one line.
    pub what: String,
    /// The files, each maybe with what is wrong with it: the first few.
    pub files: Vec<String>,
    /// How many files it concerns.
    pub count: usize,
    /// What to do about it.
    pub advice: String,
}

impl Finding {
    /// A finding of another crate, about these lines, of which the first few are kept.
    pub fn of_lines(
        severity: Severity,
        kind: &'static str,
        what: impl Into<String>,
        lines: impl IntoIterator<Item = String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(severity, kind, what, lines, advice)
    }

    /// A finding about files, of which the first few are kept.
    pub(super) fn new(
        severity: Severity,
        kind: &'static str,
        what: impl Into<String>,
        files: impl IntoIterator<Item = String>,
        advice: impl Into<String>,
    ) -> Self {
        let (mut named, mut count) = (Vec::new(), 0);
        for file in files {
            count += 1;
            if named.len() < NAMED {
                named.push(file);
            }
        }
        Self {
            severity,
            kind,
            what: what.into(),
            files: named,
            count,
            advice: advice.into(),
        }
    }

    /// How many files are not named.
    pub fn more(&self) -> usize {
        self.count - self.files.len().min(self.count)
    }
}
