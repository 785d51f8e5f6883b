//! Selections: which kinds of anomaly suit a product.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flawforge::augment::evidence::Evidence;
use flawforge::augment::{self, Answer, Kind, Selections};
use flawforge::source::Images;
use numpy::PyReadonlyArray3;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::fault::{Error, detached, in_a_file, raised};
use crate::images::copies;
use crate::pool;

/// Which kinds count as defects, how often each is drawn, and whether normal images may be rotated.
#[pyclass(frozen, eq, module = "flawforge._flawforge")]
#[derive(PartialEq)]
pub(crate) struct Selection(pub(crate) augment::Selection);

#[pymethods]
impl Selection {
    /// Kinds by name, with weights.
    #[new]
    fn new(kinds: BTreeMap<String, f64>, rotate_normals: bool) -> PyResult<Self> {
        let mut selection = augment::Selection {
            kinds: BTreeMap::new(),
            rotate_normals,
            ..augment::Selection::default()
        };
        for (name, weight) in kinds {
            let kind: Kind = name
                .parse()
                .map_err(|fault: augment::UnknownKind| PyValueError::new_err(fault.to_string()))?;
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(PyValueError::new_err(format!(
                    "kind {name}: weight {weight} is not a number of at least 0"
                )));
            }
            let answer = Answer {
                on: true,
                weight,
                source: None,
            };
            selection.kinds.insert(kind, answer);
        }
        if selection.enabled().next().is_none() {
            return Err(PyValueError::new_err(
                "a selection needs at least one kind with a weight greater than 0",
            ));
        }
        Ok(Self(selection))
    }

    /// The default: the paper's three kinds, no rotation.
    #[staticmethod]
    fn paper() -> Self {
        Self(augment::Selection::default())
    }

    /// That of a category of MVTec AD.
    #[staticmethod]
    fn mvtec(category: &str) -> PyResult<Self> {
        let known = Selections::builtin();
        known.get(category).cloned().map(Self).ok_or_else(|| {
            let names: Vec<&str> = known.names().collect();
            PyValueError::new_err(format!(
                "no category {category:?} in MVTec AD; there are {}",
                names.join(", ")
            ))
        })
    }

    /// A file's table for a category, or its table `default`.
    #[staticmethod]
    fn read(path: PathBuf, category: &str) -> PyResult<Self> {
        let found = Images::Demo.selection(category, Some(&path)).map_err(in_a_file)?;
        Ok(Self(found.selection))
    }

    /// The enabled kinds with their weights.
    #[getter]
    fn kinds(&self) -> Vec<(&'static str, f64)> {
        self.0
            .enabled()
            .map(|(kind, weight)| (kind.name(), weight))
            .collect()
    }

    #[getter]
    fn rotate_normals(&self) -> bool {
        self.0.rotate_normals
    }

    #[getter]
    fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The form of a file, as the table of a category.
    fn to_toml(&self, category: &str) -> PyResult<String> {
        let table = BTreeMap::from([(category, &self.0)]);
        toml::to_string(&table).map_err(|fault| Error::new_err(fault.to_string()))
    }
}

/// What normal images speak for: the selection, its TOML text, what is said of orientation and positions (`None`: undecided), and all
/// measures with their names.
type Proposed = (
    Selection,
    String,
    Option<bool>,
    Option<bool>,
    Vec<(&'static str, f32)>,
);

/// Measures normal images (height, width, 3) and proposes a selection.
#[pyfunction]
pub(crate) fn propose(
    py: Python<'_>,
    images: Vec<PyReadonlyArray3<'_, u8>>,
    category: &str,
) -> PyResult<Proposed> {
    let images = copies(&images)?;
    let proposal = detached(py, || {
        pool::run(|| {
            let normals: Vec<_> = images.iter().collect();
            Ok(Evidence::measure(&normals).map_err(raised)?.propose())
        })
    })?;
    let measures = (proposal.orientation.measures.iter())
        .chain(&proposal.positions.measures)
        .chain([&proposal.bending])
        .map(|measure| (measure.name, measure.value))
        .collect();
    Ok((
        Selection(proposal.selection.clone()),
        proposal.to_toml(category),
        proposal.orientation.fixed,
        proposal.positions.fixed,
        measures,
    ))
}
