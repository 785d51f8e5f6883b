//! Textures: what covers a surface.

use std::path::PathBuf;
use std::sync::Arc;

use flawforge::augment::{ProceduralTextures, TextureBank, TextureOperations, TextureSource};
use flawforge::source;
use image::RgbImage;
use numpy::{PyArray4, PyReadonlyArray3};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::fault::{detached, raised};
use crate::images::{copies, room, same_size, side, stacked};
use crate::pool;
use crate::simulation::streams;

/// A source of textures.
#[pyclass(frozen, module = "flawforge._flawforge")]
pub(crate) struct Textures(pub(crate) Arc<dyn TextureSource>);

#[pymethods]
impl Textures {
    /// Noise: so many patterns of a seed.
    #[staticmethod]
    fn procedural(seed: u64, patterns: usize) -> PyResult<Self> {
        if !(1..=4096).contains(&patterns) {
            return Err(PyValueError::new_err(format!(
                "patterns: needs 1 to 4096, not {patterns}"
            )));
        }
        Ok(Self(Arc::new(ProceduralTextures::new(seed, patterns))))
    }

    /// Images (height, width, 3), of any sizes.
    #[staticmethod]
    fn bank(images: Vec<PyReadonlyArray3<'_, u8>>) -> PyResult<Self> {
        Ok(Self(Arc::new(
            TextureBank::new(copies(&images)?).map_err(raised)?,
        )))
    }

    /// The images of a folder and its subfolders, at `side` x `side` pixels.
    #[staticmethod]
    fn read(py: Python<'_>, folder: PathBuf, side: u32) -> PyResult<Self> {
        detached(py, || {
            pool::run(|| {
                let textures = source::Textures::resolve(Some(&folder), None).map_err(raised)?;
                Ok(Self(textures.load(side).map_err(raised)?))
            })
        })
    }

    /// One texture of (height, width) for each index.
    fn draw<'py>(
        &self,
        py: Python<'py>,
        shape: (usize, usize),
        seed: u64,
        step: u64,
        indices: Vec<u64>,
    ) -> PyResult<Bound<'py, PyArray4<u8>>> {
        let size = (indices.len(), side(shape.1)?, side(shape.0)?);
        let mut values = room::<u8>(size, 3)?;
        let each = (shape.0 * shape.1 * 3).max(1);
        detached(py, || {
            pool::run(|| {
                let streams = streams(seed, step, &indices);
                values.par_chunks_exact_mut(each).zip(streams).for_each_init(
                    RgbImage::default,
                    |texture, (values, stream)| {
                        self.0
                            .texture_into(size.1, size.2, texture, &mut stream.rng("texture"));
                        values.copy_from_slice(texture);
                    },
                );
                Ok(())
            })
        })?;
        stacked(py, values, size)
    }

    /// What tells this source from others.
    fn identity(&self, py: Python<'_>) -> PyResult<String> {
        detached(py, || pool::run(|| Ok(self.0.identity())))
    }
}

/// Images of one size after three of DRAEM's operations each, with an index for each.
#[pyfunction]
pub(crate) fn changed<'py>(
    py: Python<'py>,
    images: Vec<PyReadonlyArray3<'py, u8>>,
    seed: u64,
    step: u64,
    indices: Vec<u64>,
) -> PyResult<Bound<'py, PyArray4<u8>>> {
    let images = copies(&images)?;
    let (width, height) = same_size(&images)?;
    let size = (images.len(), width, height);
    let mut values = room::<u8>(size, 3)?;
    let each = (width as usize * height as usize * 3).max(1);
    detached(py, || {
        pool::run(|| {
            let operations = TextureOperations::default();
            values
                .par_chunks_exact_mut(each)
                .zip(images)
                .zip(streams(seed, step, &indices))
                .for_each(|((values, image), stream)| {
                    let changed = operations.apply(image, &mut stream.rng("operations"));
                    values.copy_from_slice(&changed);
                });
            Ok(())
        })
    })?;
    stacked(py, values, size)
}
