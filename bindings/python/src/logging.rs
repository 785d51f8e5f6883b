//! What the libraries say, as records of Python's logger `flawforge`.
//!
//! One name for all crates, which a program can be expected to know; so not pyo3-log, which names a logger for each module of Rust.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::intern;
use pyo3::prelude::*;

use flawforge::fault::printable_line;

struct ToPython;

impl Log for ToPython {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().trim_start_matches('_').starts_with("flawforge");
        ours && metadata.level() <= Level::Info
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let said = printable_line(&record.args().to_string());
        // Whoever says something has released the GIL, or holds it on this very thread. An interpreter that ends hears nothing more.
        let _ = Python::try_attach(|py| {
            if let Err(fault) = pass_on(py, record.level(), &said) {
                fault.write_unraisable(py, None);
            }
        });
    }

    fn flush(&self) {}
}

/// Levels of Python's `logging`.
fn level(level: Level) -> u8 {
    match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug | Level::Trace => 10,
    }
}

fn pass_on(py: Python<'_>, severity: Level, said: &str) -> PyResult<()> {
    let logger = py
        .import(intern!(py, "logging"))?
        .call_method1(intern!(py, "getLogger"), (intern!(py, "flawforge"),))?;
    // As an argument, so that a percent sign in the name of a file is none of a format.
    logger.call_method1(intern!(py, "log"), (level(severity), "%s", said))?;
    Ok(())
}

/// Begins to pass on. Whoever embeds Python and has a logger already keeps it.
pub(crate) fn start() {
    if log::set_logger(&ToPython).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}
