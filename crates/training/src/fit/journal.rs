//! `metrics.jsonl`: one line of JSON each logging interval.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainingError};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps that were done, counted from 1.
    pub step: u64,
    /// Mean of each loss over the interval that ends here, and their sum as `total`; empty for a method without losses.
    pub losses: BTreeMap<String, f64>,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Seconds of training so far, over all sessions.
    pub seconds: f64,
}

/// Reads a `metrics.jsonl`; a last line cut short by a killed process is left out.
///
/// # Errors
/// If the file cannot be read.
pub fn read_journal(path: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).map_err(TrainingError::io(path))?;
    Ok(text
        .lines()
        .map_while(|line| serde_json::from_str(line).ok())
        .collect())
}

/// The open `metrics.jsonl` of a run.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal for a run that continues after `step`: lines beyond it, of work that a killed process did
    /// not save, are dropped. Returns the seconds of training up to there.
    pub(crate) fn open(path: &Path, step: u64) -> Result<(Self, f64)> {
        // Kept as they are: reading and writing a number again could change its last digit.
        let mut text = String::new();
        let mut seconds = 0.0;
        if path.exists() {
            let found = std::fs::read_to_string(path).map_err(TrainingError::io(path))?;
            for line in found.lines() {
                match serde_json::from_str::<Line>(line) {
                    Ok(known) if known.step <= step => {
                        seconds = known.seconds;
                        text.push_str(line);
                        text.push('\n');
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        flawforge_files::write(path, text.as_bytes()).map_err(TrainingError::Write)?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(TrainingError::io(path))?;
        Ok((
            Self {
                file,
                path: path.to_path_buf(),
            },
            seconds,
        ))
    }

    /// Appends a line; it reaches the system at once.
    pub(crate) fn append(&mut self, line: &Line) -> Result<()> {
        let bytes = encode(line)?;
        self.file.write_all(&bytes).map_err(TrainingError::io(&self.path))
    }

    /// Makes the lines so far survive a power cut; called before a checkpoint that counts on them.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(TrainingError::io(&self.path))
    }
}

fn encode(line: &Line) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line).map_err(|fault| TrainingError::SettingsText {
        origin: "metrics.jsonl".to_owned(),
        fault: fault.to_string(),
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Losses summed since the last line. Saved in the checkpoint bit for bit, so that a resumed run writes the same means.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Interval {
    count: u64,
    /// Sums by name, as the bits of an `f64`: decimal text may lose the last bit.
    sums: BTreeMap<String, u64>,
}

impl Interval {
    pub(crate) fn add(&mut self, losses: &[(&'static str, f32)]) {
        self.count += 1;
        for &(name, value) in losses {
            let sum = self.sums.entry(name.to_owned()).or_insert_with(|| 0f64.to_bits());
            *sum = (f64::from_bits(*sum) + f64::from(value)).to_bits();
        }
    }

    /// The means, with their sum as `total`, or nothing if there were no losses; the interval begins anew.
    pub(crate) fn finish(&mut self) -> BTreeMap<String, f64> {
        let count = self.count.max(1) as f64;
        let mut means: BTreeMap<String, f64> = std::mem::take(&mut self.sums)
            .into_iter()
            .map(|(name, bits)| (name, f64::from_bits(bits) / count))
            .collect();
        self.count = 0;
        if !means.is_empty() && !means.contains_key("total") {
            means.insert("total".to_owned(), means.values().sum());
        }
        means
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> Line {
        let losses = BTreeMap::from([("total".to_owned(), 0.1 + step as f64)]);
        Line {
            step,
            losses,
            learning_rate: 1e-3,
            seconds: 2.0 * step as f64,
        }
    }

    #[test]
    fn reopening_drops_later_and_torn_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let (mut journal, seconds) = Journal::open(&path, 0).unwrap();
        assert_eq!(seconds, 0.0);
        for step in 1..=4 {
            journal.append(&line(step)).unwrap();
        }
        journal.file.write_all(b"{\"step\":5,\"los").unwrap();
        let (mut journal, seconds) = Journal::open(&path, 2).unwrap();
        assert_eq!(seconds, 4.0);
        journal.append(&line(3)).unwrap();
        assert_eq!(read_journal(&path).unwrap(), [line(1), line(2), line(3)]);
    }

    #[test]
    fn an_interval_survives_json_bit_for_bit() {
        let mut interval = Interval::default();
        interval.add(&[("ssim", 0.1), ("l2", 0.7)]);
        let text = serde_json::to_string(&interval).unwrap();
        let mut again: Interval = serde_json::from_str(&text).unwrap();
        assert_eq!(interval, again);
        interval.add(&[("ssim", 0.2), ("l2", 0.3)]);
        again.add(&[("ssim", 0.2), ("l2", 0.3)]);
        assert_eq!(interval.finish(), again.finish());
        assert!(interval.finish().is_empty());
    }
}
