//! Masks: where anomalies go.

use flawforge::masks::{Mask, MaskGenerator, Perlin, Rectangle, Scar};
use numpy::PyArray3;
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::fault::detached;
use crate::images::{planes, room, side};
use crate::pool;
use crate::simulation::streams;

type Masks<'py> = Bound<'py, PyArray3<u8>>;

/// DRAEM's masks: one of (height, width) for each index.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the Python side names them")]
pub(crate) fn perlin<'py>(
    py: Python<'py>,
    shape: (usize, usize),
    seed: u64,
    step: u64,
    indices: Vec<u64>,
    max_exponent: u32,
    threshold: f32,
    max_rotation_degrees: f32,
) -> PyResult<Masks<'py>> {
    let generator = Perlin {
        max_exponent,
        threshold,
        max_rotation_degrees,
    };
    drawn(py, &generator, shape, (seed, step, &indices))
}

/// CutPaste's patches: one of (height, width) for each index.
#[pyfunction]
pub(crate) fn rectangle<'py>(
    py: Python<'py>,
    shape: (usize, usize),
    seed: u64,
    step: u64,
    indices: Vec<u64>,
) -> PyResult<Masks<'py>> {
    drawn(py, &Rectangle::default(), shape, (seed, step, &indices))
}

/// CutPaste's scars: one of (height, width) for each index.
#[pyfunction]
pub(crate) fn scar<'py>(
    py: Python<'py>,
    shape: (usize, usize),
    seed: u64,
    step: u64,
    indices: Vec<u64>,
) -> PyResult<Masks<'py>> {
    drawn(py, &Scar::default(), shape, (seed, step, &indices))
}

fn drawn<'py>(
    py: Python<'py>,
    generator: &dyn MaskGenerator,
    (height, width): (usize, usize),
    (seed, step, indices): (u64, u64, &[u64]),
) -> PyResult<Masks<'py>> {
    let size = (indices.len(), side(width)?, side(height)?);
    let mut pixels = room::<u8>(size, 1)?;
    let each = (width * height).max(1);
    detached(py, || {
        pool::run(|| {
            let streams = streams(seed, step, indices);
            pixels.par_chunks_exact_mut(each).zip(streams).for_each_init(
                Mask::default,
                |mask, (pixels, stream)| {
                    generator.generate_into(size.1, size.2, mask, &mut stream.rng("mask"));
                    pixels.copy_from_slice(mask.pixels());
                },
            );
            Ok(())
        })
    })?;
    planes(py, pixels, size)
}
