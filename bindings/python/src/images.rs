//! Arrays of numpy as images and slices, and back.

use flawforge::augment::MIN_SIDE;
use image::RgbImage;
use numpy::{
    Element, PyArray, PyArray1, PyArrayMethods, PyReadonlyArray, PyReadonlyArray3, PyUntypedArrayMethods,
};
use numpy::{Ix3, Ix4};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The values of an array, row by row.
pub(crate) fn contiguous<'a, T: Element, D: numpy::ndarray::Dimension>(
    array: &'a PyReadonlyArray<'_, T, D>,
) -> PyResult<&'a [T]> {
    array
        .as_slice()
        .map_err(|_| PyValueError::new_err("an array is not C-contiguous"))
}

/// Copies of images (height, width, 3), so that nobody changes them while others work on them.
pub(crate) fn copies(images: &[PyReadonlyArray3<'_, u8>]) -> PyResult<Vec<RgbImage>> {
    images.iter().map(copy).collect()
}

fn copy(array: &PyReadonlyArray3<'_, u8>) -> PyResult<RgbImage> {
    let shape = array.shape();
    let (height, width) = (side(shape[0])?, side(shape[1])?);
    let image = match shape[2] {
        3 => RgbImage::from_raw(width, height, contiguous(array)?.to_vec()),
        _ => None,
    };
    image.ok_or_else(|| {
        PyValueError::new_err(format!("an image needs shape (height, width, 3), not {shape:?}"))
    })
}

/// A length of an array as that of an image.
pub(crate) fn side(length: usize) -> PyResult<u32> {
    u32::try_from(length)
        .map_err(|_| PyValueError::new_err(format!("{length} pixels are too many for a side")))
}

/// Checks that images are of one size on which anomalies can be simulated; width and height of it.
pub(crate) fn same_size(images: &[RgbImage]) -> PyResult<(u32, u32)> {
    let (width, height) = images.first().map_or((0, 0), RgbImage::dimensions);
    if images.iter().any(|image| image.dimensions() != (width, height)) {
        return Err(PyValueError::new_err("images of one call need one size"));
    }
    if !images.is_empty() && width.min(height) < MIN_SIDE {
        return Err(PyValueError::new_err(format!(
            "an image of {width}x{height} pixels is too small; both sides need at least {MIN_SIDE}"
        )));
    }
    Ok((width, height))
}

/// Values as an array (number, height, width, 3), without a copy.
pub(crate) fn stacked<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    (number, width, height): (usize, u32, u32),
) -> PyResult<Bound<'_, PyArray<T, Ix4>>> {
    PyArray1::from_vec(py, values).reshape([number, height as usize, width as usize, 3])
}

/// Values as an array (number, height, width), without a copy.
pub(crate) fn planes<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    (number, width, height): (usize, u32, u32),
) -> PyResult<Bound<'_, PyArray<T, Ix3>>> {
    PyArray1::from_vec(py, values).reshape([number, height as usize, width as usize])
}

/// Room for values of `number` images of `width` x `height` pixels with `channels` values a pixel: zeros.
pub(crate) fn room<T: Default + Clone>(size: (usize, u32, u32), channels: usize) -> PyResult<Vec<T>> {
    let mut values = empty_room(size, channels)?;
    values.resize(
        size.0 * size.1 as usize * size.2 as usize * channels,
        T::default(),
    );
    Ok(values)
}

/// The same without values yet: at least that capacity. Zeros that are written over cost as much time as the copies of images do.
pub(crate) fn empty_room<T>((number, width, height): (usize, u32, u32), channels: usize) -> PyResult<Vec<T>> {
    let length = [width as usize, height as usize, channels]
        .into_iter()
        .try_fold(number, usize::checked_mul);
    let too_many = || {
        PyValueError::new_err(format!(
            "{number} images of {width}x{height} pixels do not fit into memory"
        ))
    };
    let length = length.ok_or_else(too_many)?;
    let mut values = Vec::new();
    values.try_reserve_exact(length).map_err(|_| too_many())?;
    Ok(values)
}
