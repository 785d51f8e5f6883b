//! Samples: normal images with and without anomalies.

use std::cell::RefCell;

use flawforge::augment::{self, Materials, Sample, SimulationSettings, Stream, Value, to_levels};
use image::{Rgb32FImage, RgbImage};
use numpy::{Element, PyReadonlyArray3};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::fault::{detached, raised};
use crate::images::{copies, planes, room, same_size, stacked};
use crate::pool;
use crate::selection::Selection;
use crate::textures::Textures;

/// Draws samples.
#[pyclass(frozen, module = "flawforge._flawforge")]
pub(crate) struct Simulation(augment::Simulation);

/// Samples between two looks at signals.
const CHUNK: usize = 128;

#[pymethods]
impl Simulation {
    /// Of a selection, or of settings in TOML.
    #[new]
    fn new(
        selection: &Selection,
        textures: &Textures,
        normals: Option<&Textures>,
        clean_probability: Option<f64>,
        settings: Option<&str>,
    ) -> PyResult<Self> {
        let mut wanted = match settings {
            Some(text) => toml::from_str(text).map_err(|fault| {
                let message: Vec<&str> = fault.message().split_whitespace().collect();
                PyValueError::new_err(format!("settings: {}", message.join(" ")))
            })?,
            None => SimulationSettings::selected(&selection.0),
        };
        if let Some(probability) = clean_probability {
            wanted.clean_probability = probability;
        }
        wanted.check().map_err(raised)?;
        let materials = Materials {
            textures: textures.0.clone(),
            normals: normals.map(|normals| normals.0.clone()),
        };
        Ok(Self(wanted.simulation(&materials)))
    }

    /// A sample of each image (height, width, 3), all of one size, with an index for each. `floats`: images of 32-bit floats from
    /// 0 to 1; otherwise bytes. Images, masks, kinds, parameters, and where they are wanted the normal images, maybe rotated.
    #[expect(clippy::too_many_arguments, reason = "the Python side names them")]
    fn draw<'py>(
        &self,
        py: Python<'py>,
        images: Vec<PyReadonlyArray3<'py, u8>>,
        seed: u64,
        step: u64,
        indices: Vec<u64>,
        floats: bool,
        normals: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if images.len() != indices.len() {
            let (images, indices) = (images.len(), indices.len());
            return Err(PyValueError::new_err(format!(
                "{images} images, but {indices} indices"
            )));
        }
        let images = copies(&images)?;
        let streams = streams(seed, step, &indices);
        match floats {
            true => self.drawn::<f32>(py, &images, &streams, normals),
            false => self.drawn::<u8>(py, &images, &streams, normals),
        }
    }
}

/// The places of samples in a run.
pub(crate) fn streams(seed: u64, step: u64, indices: &[u64]) -> Vec<Stream> {
    let stream = |&index| Stream { seed, step, index };
    indices.iter().map(stream).collect()
}

/// A type of values of images.
trait Level: Element + Default + Clone + Send {
    fn write(image: &Rgb32FImage, into: &mut [Self]);
}

impl Level for f32 {
    fn write(image: &Rgb32FImage, into: &mut [Self]) {
        into.copy_from_slice(image);
    }
}

impl Level for u8 {
    fn write(image: &Rgb32FImage, into: &mut [Self]) {
        to_levels(image, into);
    }
}

thread_local! {
    /// Memory of a thread for its samples.
    static SAMPLE: RefCell<Sample> = RefCell::default();
}

impl Simulation {
    fn drawn<'py, T: Level>(
        &self,
        py: Python<'py>,
        images: &[RgbImage],
        streams: &[Stream],
        wants_normals: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (width, height) = same_size(images)?;
        let size = (images.len(), width, height);
        let area = (width as usize * height as usize).max(1);
        let mut values = room::<T>(size, 3)?;
        let mut masks = room::<u8>(size, 1)?;
        let mut normals = if wants_normals {
            room::<T>(size, 3)?
        } else {
            Vec::new()
        };
        let mut told = vec![(None, Vec::new()); images.len()];
        let mut normals_left = normals.chunks_mut(3 * area);
        let mut work: Vec<_> = values
            .chunks_mut(3 * area)
            .zip(masks.chunks_mut(area))
            .zip(&mut told)
            .zip(images.iter().zip(streams))
            .map(|(((values, mask), told), from)| (values, mask, normals_left.next(), told, from))
            .collect();
        for chunk in work.chunks_mut(CHUNK) {
            detached(py, || {
                pool::run(|| {
                    // One takes ten times as long as another: each may go to another thread.
                    let each = chunk.par_iter_mut().with_max_len(1);
                    each.for_each(|(values, mask, normals, told, (image, stream))| {
                        // Taken, not borrowed: the work may be split further, and come back to this thread.
                        let mut sample = SAMPLE.take();
                        self.0.sample_into(image, **stream, &mut sample);
                        T::write(&sample.image, values);
                        mask.copy_from_slice(sample.mask.pixels());
                        if let Some(normals) = normals {
                            T::write(&sample.normal, normals);
                        }
                        told.0 = sample.kind.map(|kind| kind.name());
                        told.1 = sample.parameters.iter().collect();
                        SAMPLE.set(sample);
                    });
                    Ok(())
                })
            })?;
            py.check_signals()?;
        }
        drop(work);
        let mut kinds = Vec::with_capacity(told.len());
        let mut parameters = Vec::with_capacity(told.len());
        for (kind, values) in told {
            kinds.push(kind);
            let pairs: PyResult<Vec<_>> = values
                .into_iter()
                .map(|(key, value)| Ok((key, python_value(py, value)?)))
                .collect();
            parameters.push(pairs?);
        }
        let normals = match wants_normals {
            true => Some(stacked(py, normals, size)?),
            false => None,
        };
        let (values, masks) = (stacked(py, values, size)?, planes(py, masks, size)?);
        (values, masks, kinds, parameters, normals).into_bound_py_any(py)
    }
}

/// A number, or a text.
fn python_value(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    match value {
        Value::Number(number) => number.into_bound_py_any(py),
        Value::Text(text) => text.into_bound_py_any(py),
        other => other.to_string().into_bound_py_any(py),
    }
}
