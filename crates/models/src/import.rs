//! Weights in safetensors files, ours and DRAEM's published ones.
//!
//! DRAEM's files are PyTorch pickles of plain state dicts that were trained on **BGR** images; everything here is RGB.
//! They are read as they are, by [`pytorch`](crate::pytorch), which executes nothing in them, with [`ColorOrder::Bgr`].
//!
//! The colours are exchanged once, in the weights: the input channels of the first convolution of either network (both
//! triples of the discriminative one) and the output channels of the reconstructive network's last. A network with such
//! weights gives for an RGB image exactly what the original gives for the BGR one.
//!
//! [`read_reconstructive`] and [`read_discriminative`] read one network each; `flawforge import draem` makes a run of both. With both
//! networks, [`Draem::new`](crate::Draem::new) makes the detector.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};
use sha2::{Digest, Sha256};

use crate::{Discriminative, ModelError, Parameters, Reconstructive, ResNet, ResNetKind};

/// Order of the colour channels that weights were trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColorOrder {
    /// Red first: ours.
    Rgb,
    /// Blue first: DRAEM's published weights.
    Bgr,
}

/// Tensors whose colour channels must be exchanged: name and dimension.
const COLORED: [(&str, usize); 4] = [
    ("encoder.block1.0.weight", 1),
    ("decoder.fin_out.0.weight", 0),
    ("decoder.fin_out.0.bias", 0),
    ("encoder_segment.block1.0.weight", 1),
];

/// Reads a reconstructive network from a safetensors file, or from one of PyTorch's; its width is found from the file.
///
/// # Errors
/// [`ModelError::File`] when the file cannot be read, [`ModelError::Format`] or [`ModelError::PyTorch`] when it is no whole such file,
/// [`ModelError::Weights`] when it is not of this network (see [`Parameters::load`]).
pub fn read_reconstructive(
    path: &Path,
    order: ColorOrder,
    device: &Device,
) -> Result<Reconstructive, ModelError> {
    let tensors = read(path, order)?;
    Reconstructive::from_tensors(&tensors, device).map_err(in_file(path))
}

/// Reads a discriminative network; its width is found from the file.
///
/// # Errors
/// As [`read_reconstructive`].
pub fn read_discriminative(
    path: &Path,
    order: ColorOrder,
    device: &Device,
) -> Result<Discriminative, ModelError> {
    let tensors = read(path, order)?;
    Discriminative::from_tensors(&tensors, device).map_err(in_file(path))
}

/// Reads a residual network up to stage `last` from torchvision's state dict as a safetensors file; later stages and `fc`
/// may be there or not.
///
/// # Errors
/// As [`read_reconstructive`].
pub fn read_resnet(
    path: &Path,
    kind: ResNetKind,
    last: usize,
    device: &Device,
) -> Result<ResNet, ModelError> {
    let tensors = read(path, ColorOrder::Rgb)?;
    ResNet::from_tensors(kind, last, &tensors, device).map_err(in_file(path))
}

/// Writes a network's weights and running statistics to a safetensors file with DRAEM's names. The file appears whole
/// or not at all.
///
/// # Errors
/// [`ModelError::Write`] when it cannot be written, [`ModelError::Format`] when it cannot be put in this form.
pub fn write(parameters: &Parameters, path: &Path, order: ColorOrder) -> Result<(), ModelError> {
    let tensors: HashMap<String, Tensor> = parameters.tensors()?.into_iter().collect();
    write_tensors(&with_order(tensors, order)?, path)
}

/// Writes tensors by name to a safetensors file, which appears whole or not at all.
///
/// # Errors
/// As [`write`](fn@write).
pub fn write_tensors(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<(), ModelError> {
    let bytes = ::safetensors::serialize(tensors, None).map_err(|source| ModelError::Format {
        path: path.into(),
        source,
    })?;
    flawforge_files::write(path, &bytes).map_err(ModelError::Write)
}

/// SHA-256 of tensors, whatever file they came from: of their names, shapes and numbers as f32, by name; 64 hexadecimal digits.
///
/// # Errors
/// If a tensor cannot be read.
pub fn digest(tensors: &HashMap<String, Tensor>) -> Result<String, ModelError> {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let mut hasher = Sha256::new();
    for name in names {
        let tensor = &tensors[name];
        hasher.update(format!("{name}{:?}", tensor.dims()));
        let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        for value in values {
            hasher.update(value.to_le_bytes());
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

fn read(path: &Path, order: ColorOrder) -> Result<HashMap<String, Tensor>, ModelError> {
    with_order(crate::pytorch::read_any(path)?, order).map_err(in_file(path))
}

/// Reads the tensors of a safetensors file by name.
///
/// # Errors
/// [`ModelError::File`] when the file cannot be read, [`ModelError::Format`] when it is no whole safetensors file.
pub fn tensors(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::File {
        path: path.into(),
        source,
    })?;
    // candle's own errors may bring a backtrace along; this one is a line.
    ::safetensors::SafeTensors::deserialize(&bytes).map_err(|source| ModelError::Format {
        path: path.into(),
        source,
    })?;
    safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(ModelError::from)
        .map_err(in_file(path))
}

fn in_file(path: &Path) -> impl FnOnce(ModelError) -> ModelError {
    move |source| ModelError::Weights {
        path: path.into(),
        source: Box::new(source),
    }
}

/// Exchanges red and blue between RGB and the given order; its own inverse.
fn with_order(
    mut tensors: HashMap<String, Tensor>,
    order: ColorOrder,
) -> Result<HashMap<String, Tensor>, ModelError> {
    if order == ColorOrder::Rgb {
        return Ok(tensors);
    }
    for (name, dim) in COLORED {
        if let Some(tensor) = tensors.get_mut(name) {
            let channels = tensor.dims().get(dim).copied().unwrap_or(0);
            if channels == 0 || channels % 3 != 0 {
                continue; // not this network's: the shape check that follows says so
            }
            let reversed: Vec<u32> = (0..channels as u32).map(|i| i / 3 * 3 + 2 - i % 3).collect();
            *tensor = tensor.index_select(&Tensor::new(reversed, tensor.device())?, dim)?;
        }
    }
    Ok(tensors)
}

/// A network's width: the output channels of its first convolution.
pub(crate) fn width_of(tensors: &HashMap<String, Tensor>, first_conv: &str) -> Result<usize, ModelError> {
    let name = format!("{first_conv}.weight");
    match tensors.get(&name).map(|weight| weight.dims()) {
        None => Err(ModelError::MissingTensor { name }),
        Some(&[width, _, 3, 3]) if width > 0 => Ok(width),
        Some(found) => Err(ModelError::WrongShape {
            name,
            expected: vec![1, 3, 3, 3],
            found: found.to_vec(),
        }),
    }
}
