//! `flawforge._flawforge`: what the Python package `flawforge` is made of.
//!
//! ```text
//! python/flawforge/*.py   what people call: arguments checked and brought to one form, documentation, types
//!          │ contiguous arrays of one size, numbers, names
//!          ▼
//! src/*.rs                conversion, exceptions, the GIL released ──> the facade crate `flawforge`
//! ```
//!
//! Nothing is computed here. Functions take what the Python side has checked already, and still refuse what would make them panic.

mod detector;
mod fault;
mod images;
mod logging;
mod masks;
mod metrics;
mod pool;
mod selection;
mod simulation;
mod textures;
mod training;

use pyo3::prelude::*;

#[pymodule]
mod _flawforge {
    use super::*;

    #[pymodule_export]
    use super::detector::Detector;
    #[pymodule_export]
    use super::fault::Error;
    #[pymodule_export]
    use super::masks::{perlin, rectangle, scar};
    #[pymodule_export]
    use super::metrics::{aupro, auroc, average_precision, ranks};
    #[pymodule_export]
    use super::selection::{Selection, propose};
    #[pymodule_export]
    use super::simulation::Simulation;
    #[pymodule_export]
    use super::textures::{Textures, changed};
    #[pymodule_export]
    use super::training::{keep_freed_memory, train};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::logging::start();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
