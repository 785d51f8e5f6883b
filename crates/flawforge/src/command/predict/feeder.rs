//! The first stage: which inputs are scored, in which order, and which of them have their row already.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::UNIX_EPOCH;

use super::inputs::{Input, Inputs, Places, from_stdin, picture_name, why};
use super::ledger::{Found, Known};
use super::pictures::Pictures;
use super::row::{Row, hash};
use super::stages::Decoded;
use super::watch::Watch;

/// An input on its way.
#[derive(Debug)]
pub(super) struct Job {
    /// Its place among all jobs.
    pub(super) number: u64,
    pub(super) input: Input,
    /// What is known of its row: everything but what its pixels say.
    pub(super) row: Row,
    /// Why it cannot be read, if that is known.
    pub(super) fault: Option<String>,
    /// The row that is there already: this one is tried again, or its pictures are missing.
    pub(super) earlier: Option<Known>,
}

/// What comes of an input, in the order of the inputs.
#[derive(Debug)]
pub(super) enum Slot {
    /// It is being decoded; its number, and where it arrives.
    Work(u64, Receiver<Decoded>),
    /// Its row is there.
    Known(String, Known),
    /// It was named before in this call.
    Twice,
}

/// Gives out inputs.
pub(super) struct Feeder {
    pub(super) settings: String,
    pub(super) out: Option<PathBuf>,
    pub(super) pictures: Pictures,
    pub(super) stop: Arc<AtomicBool>,
    /// Rows that are there; `None` for those of this call.
    rows: HashMap<u64, Option<Known>>,
    names: HashMap<u64, u64>,
    places: Places,
    number: u64,
    jobs: SyncSender<(Job, SyncSender<Decoded>)>,
    slots: SyncSender<Slot>,
}

/// Nobody takes any more.
pub(super) struct Ended;

impl Feeder {
    pub(super) fn new(
        found: Found,
        jobs: SyncSender<(Job, SyncSender<Decoded>)>,
        slots: SyncSender<Slot>,
        settings: String,
        out: Option<PathBuf>,
        pictures: Pictures,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            settings,
            out,
            pictures,
            stop,
            rows: found
                .rows
                .into_iter()
                .map(|(key, known)| (key, Some(known)))
                .collect(),
            names: found.names,
            places: Places::default(),
            number: 0,
            jobs,
            slots,
        }
    }

    /// Gives out everything; for a watched folder until a signal.
    pub(super) fn run(mut self, inputs: Inputs, watch: Option<Watch>) {
        for input in inputs.known {
            if self.give(input).is_err() {
                return;
            }
        }
        if inputs.stdin {
            for path in from_stdin() {
                let path = match path {
                    Ok(path) => path,
                    Err(fault) => {
                        log::error!("standard input: {fault}");
                        break;
                    }
                };
                // A folder that somebody else names line by line is read as those on the command line are.
                let listed = match path.is_dir() {
                    true => Inputs::gather(&[path], &[], self.out.as_deref()),
                    false => Ok(Inputs::of(path)),
                };
                match listed {
                    Ok(listed) => {
                        for input in listed.known {
                            if self.give(input).is_err() {
                                return;
                            }
                        }
                    }
                    Err(fault) => log::error!("{}", flawforge::fault::in_one_line(fault.as_ref())),
                }
            }
        }
        if let Some(watch) = watch {
            watch.run(&mut self);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A row whose input is to be tried again as if it had not been seen.
    pub(super) fn forget(&mut self, key: u64) {
        self.rows.remove(&key);
    }

    /// Gives out one input, waiting for room.
    pub(super) fn give(&mut self, input: Input) -> Result<(), Ended> {
        if self.is_stopped() {
            return Err(Ended);
        }
        let mut row = Row {
            image: self.places.stable(&input.path),
            settings: self.settings.clone(),
            ..Row::default()
        };
        let fault = match fs::metadata(&input.path) {
            Ok(data) if data.is_dir() => Some("is a folder".to_owned()),
            Ok(data) => {
                (row.bytes, row.modified) = stamp(&data);
                None
            }
            Err(fault) => Some(why(&fault)),
        };
        let key = row.key();
        let earlier = match self.rows.get(&key) {
            None => None,
            Some(None) => return self.slots.send(Slot::Twice).map_err(|_| Ended),
            Some(Some(known)) if known.error.is_none() && self.has_pictures(known) => {
                let slot = Slot::Known(row.image, known.clone());
                self.rows.insert(key, None);
                return self.slots.send(slot).map_err(|_| Ended);
            }
            Some(Some(known)) => Some(known.clone()),
        };
        self.rows.insert(key, None);
        let image = hash(&row.image);
        row.name = match &earlier {
            Some(known) => known.name.to_string(),
            None => picture_name(&input, &row.image, |name| {
                self.names
                    .get(&hash(&name.to_lowercase()))
                    .is_some_and(|&other| other != image)
            }),
        };
        self.names.insert(hash(&row.name.to_lowercase()), image);
        let job = Job {
            number: self.number,
            input,
            row,
            fault,
            earlier,
        };
        self.number += 1;
        let (sender, receiver) = sync_channel(1);
        // The slot first: whoever waits for this job can then say that it is the one wanted.
        self.slots
            .send(Slot::Work(job.number, receiver))
            .map_err(|_| Ended)?;
        self.jobs.send((job, sender)).map_err(|_| Ended)
    }

    /// Whether an image that has its row has the pictures too that are wanted of it.
    fn has_pictures(&self, known: &Known) -> bool {
        match &self.out {
            Some(out) if self.pictures.wants(&known.verdict) => {
                super::pictures::last_of(out, &known.name).is_file()
            }
            _ => true,
        }
    }
}

/// Bytes and time of the last change in nanoseconds since 1970.
pub(super) fn stamp(data: &Metadata) -> (Option<u64>, Option<u64>) {
    let changed = data
        .modified()
        .and_then(|time| time.duration_since(UNIX_EPOCH).map_err(io::Error::other));
    (
        Some(data.len()),
        changed
            .ok()
            .and_then(|since| u64::try_from(since.as_nanos()).ok()),
    )
}
