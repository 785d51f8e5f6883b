//! What a folder holds, in a form that two runs of the same command share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::Device;
use flawforge::training::Run;

/// Begins the names of files that are being written.
const UNFINISHED: &str = ".unfinished-";
/// Files to which rows are appended: what a broken write left of one is mended by the next command.
const APPENDED: [&str; 3] = ["scores.csv", "scores.jsonl", "metrics.jsonl"];

/// The files of a folder by their path in it, with `/`. Seconds are masked: they are the one thing that no two runs share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot(BTreeMap<String, Vec<u8>>);

impl Snapshot {
    /// Reads a folder; what is hidden is left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        walk(folder, "", &mut |name, path| {
            let bytes = fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
            files.insert(name.to_owned(), masked(name, bytes));
            Ok(())
        })?;
        Ok(Self(files))
    }

    /// The files' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The same without a file.
    #[must_use]
    pub fn without(&self, name: Option<&str>) -> Self {
        let mut others = self.clone();
        if let Some(name) = name {
            others.0.remove(name);
        }
        others
    }

    /// How this differs from the folder that an unbroken command leaves, in words; `None` where it does not.
    pub fn difference(&self, unbroken: &Self) -> Option<String> {
        let missing = unbroken.0.keys().find(|name| !self.0.contains_key(*name));
        let strange = self.0.keys().find(|name| !unbroken.0.contains_key(*name));
        let other = self
            .0
            .iter()
            .find(|(name, bytes)| unbroken.0.get(*name).is_some_and(|whole| whole != *bytes));
        match (missing, strange, other) {
            (Some(name), _, _) => Some(format!("{name} is missing")),
            (_, Some(name), _) => Some(format!("{name} should not be there")),
            (_, _, Some((name, bytes))) => Some(format!(
                "{name} has other bytes ({} of them, {} unbroken)",
                bytes.len(),
                unbroken.0[name].len()
            )),
            _ => None,
        }
    }

    /// A file that is neither absent nor old nor complete, and what is wrong with it. A file that is neither that of `before` nor
    /// that of `after` may be one of the states between them: then it must be whole by itself.
    pub fn half_file(&self, folder: &Path, before: &Self, after: &Self) -> Option<String> {
        self.0.iter().find_map(|(name, bytes)| {
            let is = |known: &Self| known.0.get(name) == Some(bytes);
            if is(before) || is(after) || APPENDED.iter().any(|end| name.ends_with(end)) {
                return None;
            }
            broken(&folder.join(name), bytes).map(|fault| format!("{name}: {fault}"))
        })
    }
}

/// Files that were begun and never finished, hidden ones, below a folder.
pub fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(UNFINISHED) {
                found.push(entry.path());
            } else if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found
}

fn walk(folder: &Path, name: &str, found: &mut dyn FnMut(&str, &Path) -> Result<()>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault).with_context(|| format!("{}: cannot be read", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        if own.starts_with('.') {
            continue;
        }
        let name = match name {
            "" => own,
            above => format!("{above}/{own}"),
        };
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), &name, found)?,
            false => found(&name, &entry.path())?,
        }
    }
    Ok(())
}

/// What is wrong with a file of its kind, if anything.
fn broken(path: &Path, bytes: &[u8]) -> Option<String> {
    let fault = match path.extension().and_then(|end| end.to_str()) {
        Some("safetensors") => Run::open_on(path, &Device::Cpu)
            .map(drop)
            .err()
            .map(|e| e.to_string()),
        Some("json") => serde_json::from_slice::<serde::de::IgnoredAny>(bytes)
            .err()
            .map(|e| e.to_string()),
        Some("toml") => toml::from_str::<toml::Table>(&String::from_utf8_lossy(bytes))
            .err()
            .map(|e| e.to_string()),
        Some("png") => image::load_from_memory(bytes).err().map(|e| e.to_string()),
        Some("csv") => rows(bytes),
        Some("md") => (!bytes.ends_with(b"\n")).then(|| "it ends within a line".to_owned()),
        _ => Some("it is neither the old file nor the new one".to_owned()),
    };
    fault.map(|fault| format!("a half file ({fault})"))
}

/// What is wrong with rows, if anything: the last one has an end, and all have as many commas (no text of ours has any).
fn rows(bytes: &[u8]) -> Option<String> {
    if !bytes.ends_with(b"\n") {
        return Some("it ends within a row".to_owned());
    }
    let commas = |row: &[u8]| row.iter().filter(|byte| **byte == b',').count();
    let mut rows = bytes.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
    let first = rows.next().map_or(0, commas);
    rows.any(|row| commas(row) != first)
        .then(|| "its rows have different numbers of columns".to_owned())
}

/// Bytes without the seconds that were measured: in texts the number after a name with "seconds", in checkpoints that in the header,
/// whose length says nothing then.
fn masked(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let header = match name.ends_with(".safetensors") {
        true => {
            let length = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
            let Some(end) = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8)) else {
                return bytes;
            };
            8..end.min(bytes.len())
        }
        false => match name.rsplit('.').next() {
            Some("json" | "jsonl" | "html" | "md" | "csv" | "toml" | "txt") => 0..bytes.len(),
            _ => return bytes,
        },
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = &bytes[header.clone()];
    const WORD: &[u8] = b"seconds";
    while let Some(at) = rest.windows(WORD.len()).position(|word| word == WORD) {
        let mut end = at + WORD.len();
        while end < rest.len() && b"\\\": ".contains(&rest[end]) {
            end += 1;
        }
        out.extend_from_slice(&rest[..end]);
        while end < rest.len() && (rest[end].is_ascii_digit() || b".e-+".contains(&rest[end])) {
            end += 1;
        }
        rest = &rest[end..];
    }
    out.extend_from_slice(rest);
    // Padding follows the header's length.
    while header.start == 8 && out.last() == Some(&b' ') {
        out.pop();
    }
    out.extend_from_slice(&bytes[header.end..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_masked_and_nothing_else() {
        let one = masked("a.json", br#"{"train_seconds": 1.25, "steps": 4}"#.to_vec());
        let two = masked("a.json", br#"{"train_seconds": 31e-2, "steps": 4}"#.to_vec());
        assert_eq!(one, two);
        assert_ne!(
            one,
            masked("a.json", br#"{"train_seconds": 1.25, "steps": 5}"#.to_vec())
        );
        assert_eq!(masked("a.png", b"seconds: 5".to_vec()), b"seconds: 5");
        let file = |header: &str| {
            [
                &(header.len() as u64).to_le_bytes()[..],
                header.as_bytes(),
                b"tensors",
            ]
            .concat()
        };
        let one = masked("a.safetensors", file(r#"{"m":"{\"seconds\":1.5}"}   "#));
        assert_eq!(
            one,
            masked("a.safetensors", file(r#"{"m":"{\"seconds\":12.25}"}"#))
        );
        assert_ne!(one, masked("a.safetensors", file(r#"{"m":"{\"second\":1.5}"}"#)));
    }

    #[test]
    fn half_files_and_strangers_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("a.json", "{\"a\": 1}");
        let before = Snapshot::of(dir.path()).unwrap();
        write("a.json", "{\"a\": 2}");
        let after = Snapshot::of(dir.path()).unwrap();
        assert_eq!(before.half_file(dir.path(), &before, &after), None);
        assert_eq!(after.half_file(dir.path(), &before, &after), None);
        write("a.json", "{\"a\": 1");
        let half = Snapshot::of(dir.path()).unwrap();
        let said = half.half_file(dir.path(), &before, &after).unwrap();
        assert!(said.starts_with("a.json: a half file"), "{said}");
        assert!(
            half.difference(&after)
                .unwrap()
                .contains("a.json has other bytes")
        );
        write("b.txt", "x");
        let strange = Snapshot::of(dir.path()).unwrap();
        assert!(
            strange
                .difference(&half)
                .unwrap()
                .contains("b.txt should not be there")
        );
        assert!(half.difference(&strange).unwrap().contains("b.txt is missing"));
        write(".unfinished-x", "");
        assert_eq!(leftovers(dir.path()).len(), 1);
        assert_eq!(Snapshot::of(dir.path()).unwrap(), strange);
    }
}
