//! The middle of the line: the network, and the rows of what it says, in the order of the inputs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Result;
use flawforge::datasets::{Note, path_text};
use flawforge::models::{Detection, Detector};
use flawforge::training::Marked;
use image::RgbImage;
use rayon::prelude::*;

use super::super::output::still_open;
use super::super::signals::Signals;
use super::feeder::Slot;
use super::judge::Judge;
use super::ledger::{Known, Ledger};
use super::pictures::{Faults, Painted, Painters, Pictures, last_of};
use super::progress::Progress;
use super::row::Row;
use super::stages::{Decoded, Eyes};
use super::summary::Summary;
use super::watch::Unfinished;

/// Time between two looks whether a signal came.
const PAUSE: Duration = Duration::from_millis(50);
/// Unreadable files that are named on standard error; the rows name all.
const FAULTS_SAID: usize = 20;
/// Notes about files that are kept for the end; the rows have all doubts.
const NOTES_KEPT: usize = 1000;

/// How a scoring ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All inputs are scored.
    All,
    /// A signal came.
    Stopped,
    /// Nobody reads the lines of JSON, which were all that was asked for.
    NobodyReads,
}

/// Everything between decoded images and rows.
pub(super) struct Line {
    pub(super) judge: Judge,
    pub(super) detector: Arc<dyn Detector>,
    pub(super) batch: usize,
    pub(super) slots: Receiver<Slot>,
    pub(super) eyes: Arc<Eyes>,
    pub(super) ledger: Option<Ledger>,
    pub(super) painters: Option<Painters>,
    /// Pictures that were given up, so that rows find room.
    pub(super) unpainted: Faults,
    pub(super) pictures: Pictures,
    pub(super) unfinished: Unfinished,
    pub(super) json: bool,
    /// Whether standard output takes no more, while rows go on.
    pub(super) mute: bool,
    /// Whether each row is told in words.
    pub(super) tells: bool,
    pub(super) progress: Progress,
    pub(super) summary: Summary,
    pub(super) notes: Vec<Note>,
    pub(super) faults_said: usize,
    /// Words about a single image, for the end, when its pictures are there.
    pub(super) told: Vec<String>,
}

impl Line {
    /// Scores what comes, until nothing more comes or a signal does.
    ///
    /// # Errors
    /// A network that fails, rows that cannot be written; those before are whole.
    pub(super) fn run(&mut self, signals: &Signals) -> Result<End> {
        loop {
            if signals.heard() {
                return Ok(End::Stopped);
            }
            let first = match self.slots.recv_timeout(PAUSE) {
                Ok(slot) => slot,
                Err(RecvTimeoutError::Timeout) => continue,
                // The feeder also ends at a signal.
                Err(RecvTimeoutError::Disconnected) if signals.heard() => return Ok(End::Stopped),
                Err(RecvTimeoutError::Disconnected) => return Ok(End::All),
            };
            let mut batch = Vec::with_capacity(self.batch);
            self.take(first, &mut batch);
            while batch.len() < self.batch {
                match self.slots.try_recv() {
                    Ok(slot) => self.take(slot, &mut batch),
                    Err(_) => break,
                }
            }
            if !self.score(batch)? {
                return Ok(End::NobodyReads);
            }
        }
    }

    fn take(&mut self, slot: Slot, batch: &mut Vec<Decoded>) {
        match slot {
            Slot::Work(number, arrives) => {
                self.eyes.wanted.store(number, Ordering::Relaxed);
                // A thread that decodes answers always.
                batch.extend(arrives.recv());
            }
            Slot::Known(path, known) => {
                self.summary.add(&path, &known, true);
                self.progress.step(false);
            }
            Slot::Refused(fault) => {
                self.summary.refused += 1;
                self.progress.aside(|| log::error!("{fault}"));
            }
            Slot::Twice => {
                self.summary.twice();
                self.progress.step(false);
            }
        }
    }

    /// Scores a batch and writes its rows; whether anybody still wants more.
    fn score(&mut self, batch: Vec<Decoded>) -> Result<bool> {
        let prepared: Vec<&RgbImage> = batch
            .iter()
            .filter_map(|one| one.seen.as_ref().ok())
            .map(|seen| &seen.prepared)
            .collect();
        let mut detections = match prepared.is_empty() {
            true => Vec::new(),
            false => self.detector.detect(&prepared)?,
        }
        .into_iter();
        let paired: Vec<(Decoded, Option<Detection>)> = batch
            .into_iter()
            .map(|one| {
                let detection = if one.seen.is_ok() { detections.next() } else { None };
                (one, detection)
            })
            .collect();
        let judge = &self.judge;
        let judged: Vec<(Decoded, Option<Detection>, Row, Option<Marked>)> = paired
            .into_par_iter()
            .map(|(one, detection)| {
                let mut row = one.job.row.clone();
                let mut marked = None;
                match (&one.seen, &detection) {
                    (Ok(seen), Some(detection)) => {
                        row.warnings = seen.unlike.clone();
                        row.trained_on = seen.trained_on;
                        let doubts = seen.notes.iter().filter(|note| note.remark.is_doubt());
                        row.warnings.extend(doubts.map(|note| note.remark.to_string()));
                        marked = judge.fill(&mut row, detection, seen.size);
                    }
                    (Err(fault), _) => row.error = fault.clone(),
                    (Ok(_), None) => row.error = "the network said nothing of it".to_owned(),
                }
                (one, detection, row, marked)
            })
            .collect();
        let mut wanted = true;
        for (one, detection, row, marked) in judged {
            wanted &= self.write(one, detection, row, marked)?;
        }
        Ok(wanted)
    }

    fn write(
        &mut self,
        one: Decoded,
        detection: Option<Detection>,
        row: Row,
        marked: Option<Marked>,
    ) -> Result<bool> {
        let Decoded { job, seen } = one;
        if !row.error.is_empty() {
            if job.input.watched && self.unfinished.put_off(&job.input.path, row.key(), &row.name) {
                return Ok(true);
            }
            self.say_fault(&job.input.path, &row.error);
        }
        if job.input.watched {
            self.unfinished.done(&job.input.path);
        }
        let known = Known::of(&row);
        // A row that says the same is there already: the input was tried again, or its pictures were missing.
        let is_there = job
            .earlier
            .as_ref()
            .is_some_and(|earlier| earlier.error == known.error);
        if !is_there {
            self.add(&row)?;
        }
        let mut wanted = true;
        if self.json && !is_there {
            wanted = self.say(&row.json()?)? || self.ledger.is_some();
        }
        let path = path_text(&job.input.path);
        self.summary.add(&path, &known, is_there);
        self.progress.step(row.error.is_empty());
        let mut painted = false;
        if let (Ok(seen), Some(detection)) = (seen, detection) {
            if !seen.unlike.is_empty() {
                self.summary.unlike(&path, &seen.unlike);
            }
            let room = NOTES_KEPT.saturating_sub(self.notes.len());
            self.notes.extend(seen.notes.into_iter().take(room));
            if let (Some(image), true) = (
                seen.image,
                self.pictures.wants(&row.verdict) && row.error.is_empty(),
            ) {
                match &self.painters {
                    Some(painters) => painters.paint(Painted {
                        name: row.name.clone(),
                        image,
                        map: detection.map,
                        marked,
                        held: seen.held,
                    }),
                    None => self.unpainted.count += 1,
                }
                painted = self.painters.is_some();
            }
        }
        if self.tells && row.error.is_empty() {
            self.tell(&job.input.path, job.input.watched, &row, painted)?;
        }
        Ok(wanted)
    }

    /// Adds a row. Where there is no room, pictures are given up for it: what is left of those in hand is taken away.
    fn add(&mut self, row: &Row) -> Result<()> {
        let Some(ledger) = &mut self.ledger else {
            return Ok(());
        };
        let Err(fault) = ledger.add(row) else {
            return Ok(());
        };
        let Some(painters) = self.painters.take() else {
            return Err(fault);
        };
        painters.give_up();
        self.unpainted.join(painters.finish());
        // What is said of the pictures is why they were given up.
        if self.unpainted.first.is_empty() {
            self.unpainted.first = format!("{fault:#}");
        }
        ledger.add(row)
    }

    /// Writes to standard output; whether anybody reads on. Where it takes nothing, the rows in files go on without it.
    fn say(&mut self, words: &str) -> Result<bool> {
        if self.mute {
            return Ok(true);
        }
        match still_open(words) {
            Err(fault) if self.ledger.is_some() => {
                self.mute = true;
                self.progress
                    .aside(|| log::error!("{fault}; the rows go on in the files alone"));
                Ok(true)
            }
            said => said,
        }
    }

    fn say_fault(&mut self, path: &Path, fault: &str) {
        self.faults_said += 1;
        match self.faults_said {
            ..=FAULTS_SAID => self.progress.aside(|| log::error!("{}: {fault}", path.display())),
            said if said == FAULTS_SAID + 1 => {
                self.progress
                    .aside(|| log::error!("more files like these are named in the rows alone"));
            }
            _ => {}
        }
    }

    /// One image in words.
    fn tell(&mut self, path: &Path, at_once: bool, row: &Row, painted: bool) -> Result<()> {
        let mut words = format!("{}: score {:.4}", path_text(path), row.score.unwrap_or_default());
        if !row.verdict.is_empty() {
            let verdict = if row.verdict == "look" {
                "to look at"
            } else {
                &row.verdict
            };
            words.push_str(&format!(", {verdict}"));
        }
        if let Some(threshold) = row.threshold {
            words.push_str(&format!(" (threshold {threshold:.4})"));
        }
        if let Some(found) = row.regions_found.filter(|found| *found > 0) {
            words.push_str(&format!(", {}", flawforge::datasets::counted(found, "region")));
        }
        for warning in &row.warnings {
            words.push_str(&format!("; {warning}"));
        }
        if let (true, Some(painters)) = (painted, &self.painters) {
            words.push_str(&format!("; {}", last_of(&painters.out, &row.name).display()));
        }
        words.push('\n');
        match at_once {
            true => drop(self.say(&words)?),
            false => self.told.push(words),
        }
        Ok(())
    }
}
