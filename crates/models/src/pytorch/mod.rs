//! Weights in PyTorch's own files, read without running any of their code.
//!
//! A `.pth` file is a pickle, a program for a small stack machine that may call any Python function, with the numbers
//! beside it. Here the machine knows only what the pickle of a state dict needs (the module `pickle`): dictionaries, tuples, texts,
//! numbers, and "the tensor of this shape in that storage". Any other name stops it. Both layouts of the last ten years are
//! read: the zip archive of PyTorch 1.6 and later, and the row of pickles and raw storages before it, which torchvision's
//! older files still have. The tar archives of PyTorch 0.1 are refused.

mod archive;
mod legacy;
mod pickle;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;

use self::pickle::{StorageSpec, Value};
use self::storage::Storages;
use crate::ModelError;

/// Larger weight files are surely something else.
const LARGEST: u64 = 4 << 30;

/// What is wrong with a file, in a few words.
type Fault = String;

/// Reads the tensors of a state dict by name: floating-point numbers as f32, whole numbers as i64. The state dict may also
/// be the entry `state_dict` of a larger dictionary, whose other entries are then ignored.
///
/// # Errors
/// [`ModelError::File`] when the file cannot be read, [`ModelError::PyTorch`] when it is damaged, of a layout or with a name
/// that is not known here, or holds something else than tensors.
pub fn read(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    let file = |source| ModelError::File {
        path: path.into(),
        source,
    };
    let length = std::fs::metadata(path).map_err(file)?.len();
    let fault = |fault| ModelError::PyTorch {
        path: path.into(),
        fault,
    };
    if length > LARGEST {
        return Err(fault(format!("{length} bytes are more than any weights have")));
    }
    parse(&std::fs::read(path).map_err(file)?).map_err(fault)
}

/// Reads weights from a safetensors file or, where its name ends in `.pth`, `.pt`, `.pckl` or `.pkl`, from PyTorch's own.
///
/// # Errors
/// As [`read`] and [`crate::import::tensors`].
pub fn read_any(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("pth" | "pt" | "pckl" | "pkl") => read(path),
        _ => crate::import::tensors(path),
    }
}

/// Writes the weights of PyTorch's file `from` to the safetensors file `to`, which appears whole or not at all.
///
/// # Errors
/// As [`read`]; and when the file cannot be written.
pub fn convert(from: &Path, to: &Path) -> Result<(), ModelError> {
    crate::import::write_tensors(&read(from)?, to)
}

fn parse(bytes: &[u8]) -> Result<HashMap<String, Tensor>, Fault> {
    if bytes.get(257..262) == Some(b"ustar".as_slice()) {
        return Err(
            "a tar archive of PyTorch 0.1, which is not read; save it anew with a later PyTorch".into(),
        );
    }
    if bytes.starts_with(b"PK") {
        let mut archive = archive::Archive::open(bytes)?;
        let program = archive.program()?;
        let (objects, _) = pickle::run(&program)?;
        tensors(&objects, &mut archive)
    } else {
        let (objects, mut storages) = legacy::open(bytes)?;
        tensors(&objects, &mut storages)
    }
}

/// The tensors of the dictionary that a pickle left behind.
fn tensors(objects: &pickle::Objects, storages: &mut dyn Storages) -> Result<HashMap<String, Tensor>, Fault> {
    let mut entries = objects
        .dictionary(&objects.result)
        .ok_or("holds no dictionary of tensors")?;
    let inner = entries
        .iter()
        .find(|(key, _)| matches!(key, Value::Text(name) if &**name == "state_dict"));
    if let Some(inner) = inner.and_then(|(_, value)| objects.dictionary(value)) {
        entries = inner;
    }
    let mut wanted = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let Value::Text(name) = key else {
            return Err("a name in its dictionary is not a text".into());
        };
        let Value::Tensor(place) = value else {
            return Err(format!("{name:?} is not a tensor"));
        };
        wanted.push((&**name, &objects.tensors[*place]));
    }
    // Tensors of one storage side by side: each storage is read once.
    wanted.sort_by(|(_, a), (_, b)| a.storage.key.cmp(&b.storage.key));
    let mut found = HashMap::with_capacity(wanted.len());
    let mut last: Option<(&StorageSpec, Vec<u8>)> = None;
    let mut total = 0;
    for (name, spec) in wanted {
        let in_tensor = |fault: Fault| format!("{name:?}: {fault}");
        // Many views of one storage could need more memory than the file has bytes.
        total += spec.count().map_err(in_tensor)?;
        if total as u64 > LARGEST / 4 {
            return Err("its tensors are larger than any weights".into());
        }
        let bytes = match last.take() {
            Some((storage, bytes)) if *storage == spec.storage => bytes,
            _ => storages.bytes(&spec.storage)?,
        };
        found.insert(name.to_owned(), storage::tensor(spec, &bytes).map_err(in_tensor)?);
        last = Some((&spec.storage, bytes));
    }
    if found.is_empty() {
        return Err("holds no tensors".into());
    }
    Ok(found)
}
