//! Metrics of scores and ground truth.

use flawforge::metrics::{self, MapWithTruth};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::fault::{detached, raised};
use crate::images::contiguous;
use crate::pool;

/// Area under the ROC curve of N scores, N truths (0: normal, 1: anomalous).
#[pyfunction]
pub(crate) fn auroc(
    py: Python<'_>,
    scores: PyReadonlyArray1<'_, f32>,
    truths: PyReadonlyArray1<'_, u8>,
) -> PyResult<f64> {
    let (scores, truths) = (contiguous(&scores)?, contiguous(&truths)?);
    detached(py, || {
        pool::run(|| metrics::auroc(scores, truths).map_err(raised))
    })
}

/// Average precision of N scores, N truths (0: normal, 1: anomalous).
#[pyfunction]
pub(crate) fn average_precision(
    py: Python<'_>,
    scores: PyReadonlyArray1<'_, f32>,
    truths: PyReadonlyArray1<'_, u8>,
) -> PyResult<f64> {
    let (scores, truths) = (contiguous(&scores)?, contiguous(&truths)?);
    detached(py, || {
        pool::run(|| metrics::average_precision(scores, truths).map_err(raised))
    })
}

/// AUPRO of anomaly maps (height, width), each with its mask (height, width), up to a false positive rate.
#[pyfunction]
pub(crate) fn aupro(
    py: Python<'_>,
    maps: Vec<PyReadonlyArray2<'_, f32>>,
    masks: Vec<PyReadonlyArray2<'_, u8>>,
    limit: f64,
) -> PyResult<f64> {
    let pairs: PyResult<Vec<MapWithTruth<'_, u8>>> = maps
        .iter()
        .zip(&masks)
        .map(|(map, mask)| {
            Ok(MapWithTruth {
                scores: contiguous(map)?,
                mask: contiguous(mask)?,
                width: map.shape()[1],
                height: map.shape()[0],
            })
        })
        .collect();
    let pairs = pairs?;
    detached(py, || pool::run(|| metrics::aupro(&pairs, limit).map_err(raised)))
}

/// Numbers of 32 bits in the same order as N scores of 64 bits, ties included: metrics only ask which of two is larger. Scores that
/// fit into 32 bits stay as they are; NaN stays NaN.
#[pyfunction]
pub(crate) fn ranks<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray1<'py, f64>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let scores = contiguous(&scores)?;
    let ranked = detached(py, || pool::run(|| Ok(in_order(scores))))?;
    Ok(PyArray1::from_vec(py, ranked))
}

fn in_order(scores: &[f64]) -> Vec<f32> {
    let fits = |&score: &f64| score.is_nan() || f64::from(score as f32) == score;
    if scores.par_iter().all(fits) {
        return scores.par_iter().map(|&score| score as f32).collect();
    }
    let mut order: Vec<usize> = (0..scores.len()).filter(|&i| !scores[i].is_nan()).collect();
    order.par_sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut ranked = vec![f32::NAN; scores.len()];
    let (mut rank, mut before) = (0_u32, None);
    for place in order {
        if before.is_some_and(|before: f64| before != scores[place]) {
            rank += 1;
        }
        before = Some(scores[place]);
        // Positive floats are ordered as their bits are; there are two thousand million of them.
        ranked[place] = f32::from_bits(rank);
    }
    ranked
}
