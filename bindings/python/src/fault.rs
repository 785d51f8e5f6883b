//! Errors of the libraries as exceptions of Python, with the same words.

use std::any::Any;
use std::error::Error as StdError;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flawforge::augment::evidence::EvidenceError;
use flawforge::augment::{SelectionError, SettingsError, TextureError};
use flawforge::fault::{in_one_line, printable};
use flawforge::metrics::MetricError;
use flawforge::source::SourceError;
use flawforge::training::TrainingError;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    flawforge,
    Error,
    PyRuntimeError,
    "What went wrong in files, images and runs, or the work on them, in one line with the file: one that is not there as well as one \
     that is damaged. What is wrong with the value of an argument is a ValueError."
);

/// The exception for an error: a `ValueError` for the value of an argument, otherwise [`Error`], also where the system refused
/// something.
pub(crate) fn raised(fault: impl StdError + 'static) -> PyErr {
    match is_about_arguments(&fault) {
        true => PyValueError::new_err(said(&fault)),
        false => Error::new_err(said(&fault)),
    }
}

/// The exception for a file that was named, whatever is wrong with it or in it.
pub(crate) fn in_a_file(fault: impl StdError + 'static) -> PyErr {
    Error::new_err(said(&fault))
}

fn said(fault: &(dyn StdError + 'static)) -> String {
    printable(&in_one_line(fault))
}

fn is_about_arguments(fault: &(dyn StdError + 'static)) -> bool {
    let training = matches!(
        fault.downcast_ref::<TrainingError>(),
        Some(TrainingError::Setting { .. } | TrainingError::SettingsText { .. })
    );
    let source = matches!(
        fault.downcast_ref::<SourceError>(),
        Some(SourceError::UnknownCategory { .. })
    );
    training
        || source
        || fault.is::<MetricError>()
        || fault.is::<SelectionError>()
        || fault.is::<SettingsError>()
        || fault.is::<EvidenceError>()
        || fault.is::<TextureError>()
}

/// Does work without the GIL. A panic, which would be a fault of ours, becomes an [`Error`].
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .unwrap_or_else(|panic| {
            Err(Error::new_err(format!(
                "fault of flawforge: {}",
                words(panic.as_ref())
            )))
        })
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}
