//! The first stage: which inputs are scored, in which order, and which of them have their row already.

use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::UNIX_EPOCH;

use flawforge::datasets::path_text;

use super::inputs::{Input, Inputs, Places, kind_fault, picture_name, why};
use super::ledger::{Known, Owner};
use super::list::{Ends, from_stdin};
use super::pictures::Pictures;
use super::row::Row;
use super::seen::{Named, Seen};
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
    /// Its row is there; its path as it was named.
    Known(String, Known),
    /// It was named before in this call.
    Twice,
    /// Something that names inputs cannot be read: why.
    Refused(String),
}

/// Gives out inputs.
pub(super) struct Feeder {
    pub(super) settings: String,
    pub(super) out: Option<PathBuf>,
    pub(super) pictures: Pictures,
    pub(super) stop: Arc<AtomicBool>,
    seen: Seen,
    /// Files that had changed since their row was written.
    changed: usize,
    places: Places,
    number: u64,
    jobs: SyncSender<(Job, SyncSender<Decoded>)>,
    slots: SyncSender<Slot>,
}

/// Files that have changed and are named on standard error; the rows name all.
const CHANGES_SAID: usize = 20;

/// Nobody takes any more.
pub(super) struct Ended;

impl Feeder {
    pub(super) fn new(
        seen: Seen,
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
            seen,
            changed: 0,
            places: Places::default(),
            number: 0,
            jobs,
            slots,
        }
    }

    /// Gives out everything; for a watched folder until a signal.
    pub(super) fn run(mut self, inputs: Inputs, ends: Ends, watch: Option<Watch>) {
        for input in inputs.known {
            if self.give(input).is_err() {
                return;
            }
        }
        if inputs.stdin {
            for path in from_stdin(ends) {
                let path = match path {
                    Ok(path) => path,
                    Err(fault) => {
                        let _ = self.slots.send(Slot::Refused(format!("standard input: {fault}")));
                        break;
                    }
                };
                let given = match Inputs::of_line(&path, self.out.as_deref()) {
                    Ok(listed) => listed.known.into_iter().try_for_each(|input| self.give(input)),
                    Err(fault) => {
                        let fault = flawforge::fault::in_one_line(fault.as_ref());
                        self.slots.send(Slot::Refused(fault)).map_err(|_| Ended)
                    }
                };
                if given.is_err() {
                    return;
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
    pub(super) fn forget(&mut self, key: u64, name: &str) {
        self.seen.forget(key, name);
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
            Ok(data) => match kind_fault(&data) {
                None => {
                    (row.bytes, row.modified) = stamp(&data);
                    None
                }
                Some(kind) => Some(kind.to_owned()),
            },
            Err(_) if input.path.is_symlink() => Some("is a link to nothing".to_owned()),
            // A name may begin so, and a person may mean it as a comment.
            Err(fault) if input.listed && input.path.as_os_str().as_encoded_bytes().starts_with(b"#") => {
                Some(format!("{}; a list knows no comments", why(&fault)))
            }
            Err(fault) => Some(why(&fault)),
        };
        let (key, owner) = (row.key(), Owner::of(&row));
        let earlier = match self.seen.row(key) {
            None => None,
            Some(None) => return self.slots.send(Slot::Twice).map_err(|_| Ended),
            Some(Some(known)) if known.error.is_none() && self.has_pictures(known) => {
                let known = known.clone();
                self.seen.add(key, &known.name, owner);
                return self
                    .slots
                    .send(Slot::Known(path_text(&input.path), known))
                    .map_err(|_| Ended);
            }
            Some(Some(known)) => Some(known.clone()),
        };
        row.name = match &earlier {
            Some(known) => known.name.to_string(),
            None => self.name(&input, owner),
        };
        self.seen.add(key, &row.name, owner);
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

    /// What its pictures are called; those of another file, or of this one before it changed, stay as they are.
    fn name(&mut self, input: &Input, owner: Owner) -> String {
        let mut was_there = false;
        let name = picture_name(input, owner.content, |name| {
            let has_pictures = || {
                let out = self.out.as_deref();
                out.is_some_and(|out| super::pictures::last_of(out, name).is_file())
            };
            let named = self.seen.named(name, owner, has_pictures);
            was_there |= named == Named::Earlier;
            named
        });
        if was_there && self.out.is_some() && self.pictures != Pictures::None {
            self.changed += 1;
            if self.changed <= CHANGES_SAID {
                log::info!(
                    "{}: was scored with another content before; its new pictures are called {name}",
                    input.path.display()
                );
            }
            if self.changed == CHANGES_SAID {
                log::info!("more files like these are named in the rows alone");
            }
        }
        name
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
