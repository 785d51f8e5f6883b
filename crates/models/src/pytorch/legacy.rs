//! The layout before PyTorch 1.6: five pickles (a magic number, a version, facts of the machine, the state dict, the keys of
//! the storages), then each storage as a count and its numbers.

use std::collections::HashMap;

use super::Fault;
use super::pickle::{self, Objects, StorageSpec, Value};
use super::storage::Storages;

/// `0x1950a86a20f9469cfc6c`, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The only version there was.
const VERSION: i64 = 1001;

pub(super) struct Legacy<'a> {
    /// What follows the pickles.
    raw: &'a [u8],
    /// Keys in the order in which their storages lie.
    keys: Vec<String>,
    /// Where each storage's numbers begin, found once the lengths are known.
    begins: HashMap<String, usize>,
    lengths: HashMap<String, usize>,
}

pub(super) fn open(bytes: &[u8]) -> Result<(Objects, Legacy<'_>), Fault> {
    let unknown = || "neither a zip archive nor an older file of PyTorch".to_owned();
    let mut at = 0;
    let mut next = || -> Result<Objects, Fault> {
        let (objects, length) = pickle::run(&bytes[at..])?;
        at += length;
        Ok(objects)
    };
    let magic = next().map_err(|_| unknown())?;
    if !matches!(&magic.result, Value::Long(number) if **number == MAGIC) {
        return Err(unknown());
    }
    match next()?.result {
        Value::Int(VERSION) => {}
        _ => return Err("a version of the older layout that never was".into()),
    }
    next()?; // Facts of the machine; its numbers are little-endian, as everywhere.
    let state = next()?;
    let keys = next()?;
    let keys: Option<Vec<String>> = keys.list(&keys.result).and_then(|keys| {
        let text = |key: &Value| match key {
            Value::Text(key) => Some(key.to_string()),
            _ => None,
        };
        keys.iter().map(text).collect()
    });
    let mut lengths = HashMap::new();
    for tensor in &state.tensors {
        lengths.insert(tensor.storage.key.to_string(), tensor.storage.length()?);
    }
    let legacy = Legacy {
        raw: &bytes[at..],
        keys: keys.ok_or("no list of storages after its state dict")?,
        begins: HashMap::new(),
        lengths,
    };
    Ok((state, legacy))
}

impl Legacy<'_> {
    fn locate(&mut self) -> Result<(), Fault> {
        let mut at = 0usize;
        for key in &self.keys {
            let length = *self
                .lengths
                .get(key)
                .ok_or_else(|| format!("storage {key:?} belongs to no tensor"))?;
            let end = at.checked_add(8).and_then(|begin| begin.checked_add(length));
            if end.is_none_or(|end| end > self.raw.len()) {
                return Err(format!("cut short in storage {key:?}"));
            }
            self.begins.insert(key.clone(), at + 8);
            at += 8 + length;
        }
        Ok(())
    }
}

impl Storages for Legacy<'_> {
    fn bytes(&mut self, storage: &StorageSpec) -> Result<Vec<u8>, Fault> {
        if self.begins.is_empty() {
            self.locate()?;
        }
        let length = storage.length()?;
        let begin = self.begins.get(&*storage.key).copied();
        let begin = begin.ok_or_else(|| format!("storage {:?} is missing", storage.key))?;
        let count = &self.raw[begin - 8..begin];
        if self.lengths.get(&*storage.key) != Some(&length) || count != storage.count.to_le_bytes() {
            return Err(format!(
                "storage {:?} has another length than was said",
                storage.key
            ));
        }
        Ok(self.raw[begin..begin + length].to_vec())
    }
}
