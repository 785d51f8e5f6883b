//! Samples: normal images with and without anomalies.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use flawforge::augment::{self, Materials, Sample, SimulationSettings, Stream, Value, to_levels, to_values};
use image::{Rgb32FImage, RgbImage};
use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray3};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rayon::prelude::*;

use crate::fault::{Error, detached, raised};
use crate::images::{copies, empty_room, planes, same_size};
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
    /// 0 to 1; otherwise bytes. (1, N, height, width, 3): the images; (2, …) where the normal images, maybe rotated, are wanted behind
    /// them. Then masks, kinds, parameters.
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

/// A type of values of images. Both write every one of the values of an image.
trait Level: Element + Copy + Send {
    /// Of values in [0, 1].
    fn write(image: &Rgb32FImage, into: &mut [MaybeUninit<Self>]);

    /// Of levels.
    fn write_levels(image: &RgbImage, into: &mut [MaybeUninit<Self>]);
}

/// Values that are converted at once: they lie in the innermost cache until they are copied.
const PIECE: usize = 2048;

/// Converts values piece by piece.
fn converted<A, B: Copy + Default>(from: &[A], into: &mut [MaybeUninit<B>], convert: fn(&[A], &mut [B])) {
    let mut piece = [B::default(); PIECE];
    for (from, into) in from.chunks(PIECE).zip(into.chunks_mut(PIECE)) {
        let piece = &mut piece[..from.len()];
        convert(from, piece);
        into.write_copy_of_slice(piece);
    }
}

impl Level for f32 {
    fn write(image: &Rgb32FImage, into: &mut [MaybeUninit<Self>]) {
        into.write_copy_of_slice(image);
    }

    fn write_levels(image: &RgbImage, into: &mut [MaybeUninit<Self>]) {
        converted(image, into, to_values);
    }
}

impl Level for u8 {
    fn write(image: &Rgb32FImage, into: &mut [MaybeUninit<Self>]) {
        converted(image, into, to_levels);
    }

    fn write_levels(image: &RgbImage, into: &mut [MaybeUninit<Self>]) {
        into.write_copy_of_slice(image);
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
        let area = width as usize * height as usize;
        // One block for all images: the GNU C library gives memory back when more than twice the largest block of late lies free, and
        // with two blocks and masks every call would pay for its pages anew.
        let images_drawn = images.len() * if wants_normals { 2 } else { 1 };
        let mut values = empty_room::<T>((images_drawn, width, height), 3)?;
        let mut masks = empty_room::<u8>(size, 1)?;
        let mut told = vec![(None, Vec::new()); images.len()];
        let (drawn, normals) = values.spare_capacity_mut().split_at_mut(images.len() * 3 * area);
        let normals = if wants_normals { normals } else { &mut [] };
        let mut normals_left = normals.chunks_exact_mut(3 * area.max(1));
        let mut work: Vec<_> = drawn
            .chunks_exact_mut(3 * area.max(1))
            .zip(masks.spare_capacity_mut().chunks_exact_mut(area.max(1)))
            .zip(&mut told)
            .zip(images.iter().zip(streams))
            .map(|(((values, mask), told), from)| (values, mask, normals_left.next(), told, from))
            .collect();
        let prepared = work.len();
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
                        mask.write_copy_of_slice(sample.mask.pixels());
                        if let Some(normals) = normals {
                            T::write_levels(&sample.normal, normals);
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
        if prepared != images.len() {
            return Err(Error::new_err("room for images is missing"));
        }
        // SAFETY: there was a part of `3 * area` values, and one of `area`, for each of the images, one after the other from the first
        // value on, and behind them as many for the normal images where they are wanted. Each was written as a whole, or copying would
        // have panicked, which returns above.
        unsafe {
            values.set_len(images_drawn * 3 * area);
            masks.set_len(images.len() * area);
        }
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
        let blocks = images_drawn.checked_div(images.len()).unwrap_or(1);
        let shape = [blocks, images.len(), height as usize, width as usize, 3];
        let values = PyArray1::from_vec(py, values).reshape(shape)?;
        let masks = planes(py, masks, size)?;
        (values, masks, kinds, parameters).into_bound_py_any(py)
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
