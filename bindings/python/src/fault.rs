//! Errors of the libraries as exceptions of Python, with the same words.

use std::any::Any;
use std::error::Error as StdError;
use std::io;
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
    "What went wrong in images, runs or the work on them, in one line with the file. What is wrong with an argument is a \
     ValueError, what the system refuses an OSError."
);

/// The exception for an error: an `OSError` where the system refused something, a `ValueError` for what was asked for, otherwise
/// [`Error`].
pub(crate) fn raised(fault: impl StdError + 'static) -> PyErr {
    let said = printable(&in_one_line(&fault));
    let fault: &(dyn StdError + 'static) = &fault;
    match kind_of(fault) {
        // PyO3 takes the fitting subclass, such as FileNotFoundError.
        Some(kind) => io::Error::new(kind, said).into(),
        None if is_about_arguments(fault) => PyValueError::new_err(said),
        None => Error::new_err(said),
    }
}

/// What the system said, if it is among the causes.
fn kind_of(fault: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    if matches!(
        fault.downcast_ref::<SourceError>(),
        Some(SourceError::MissingFolder { .. })
    ) {
        return Some(io::ErrorKind::NotFound);
    }
    let mut cause = Some(fault);
    while let Some(one) = cause {
        if let Some(refused) = one.downcast_ref::<io::Error>() {
            return Some(refused.kind());
        }
        // Errors that are shown as their cause do not name it as one.
        if let Some(TrainingError::Write(refused)) = one.downcast_ref::<TrainingError>() {
            return Some(refused.kind());
        }
        cause = one.source();
    }
    None
}

fn is_about_arguments(fault: &(dyn StdError + 'static)) -> bool {
    let training = matches!(
        fault.downcast_ref::<TrainingError>(),
        Some(TrainingError::Setting { .. } | TrainingError::SettingsText { .. })
    );
    let source = matches!(
        fault.downcast_ref::<SourceError>(),
        Some(SourceError::UnknownCategory { .. } | SourceError::Selection { .. })
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
