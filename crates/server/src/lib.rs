//! Anomaly detectors behind HTTP: scores, metrics and a page.
//!
//! ```text
//! connection ── routes ── body (bytes, time) ──> queue ──> threads that decode ──> queue ──> network ──> queue ──> threads that judge
//! (async threads: they wait, and never compute)  bounded    (pixels)                         (batches)              (regions, pictures)
//!                                  ^                                                                                       │
//!                                  └───────────────────────────────── answer (JSON, PNG) <─────────────────────────────────┘
//! ```
//!
//! * [`serve`] listens until it is told to end, finishes what it has accepted, and returns.
//! * Images come in by the same door as files ([`flawforge_datasets::read_picture`]) and are judged by the same judge
//!   ([`flawforge_training::Judge`]), so that a served score is that of `flawforge predict`.
//! * Everything that is held has an end: connections, bytes of bodies and pictures, images in the queue, time for each stage
//!   ([`Settings`]). What is beyond it is answered with 413, 422, 408, 504, or 503 and a time to come back.
//! * A run that is replaced on disk is loaded beside the one in use, and takes its place when it is whole.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//! use flawforge_server::{Prepared, Settings, Source, serve};
//!
//! let bracket = Source::new(Path::new("runs/bracket"), Arc::new(|run| Prepared::of(run)))?;
//! let stop = Arc::new(AtomicBool::new(false)); // set it, and the server ends
//! serve(Settings::default(), vec![bracket], stop, |address| println!("http://{address}"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod answer;
mod app;
mod body;
mod budget;
mod connections;
mod drain;
mod error;
mod facts;
mod fault;
mod job;
mod line;
mod metrics;
mod page;
mod queue;
mod reload;
mod routes;
mod runs;
mod score;
mod served;
mod server;
mod settings;
mod stages;
mod token;
mod upload;

pub use error::ServerError;
pub use served::{Prepare, Prepared, Source};
pub use server::serve;
pub use settings::Settings;
pub use token::Token;
