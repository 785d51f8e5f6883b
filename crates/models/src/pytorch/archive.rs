//! The zip archive of PyTorch 1.6 and later: `NAME/data.pkl` and `NAME/data/KEY`, stored without compression.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::Fault;
use super::pickle::StorageSpec;
use super::storage::Storages;

/// Longest program that is unpacked.
const LONGEST_PROGRAM: u64 = 64 << 20;

pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder in the archive, with its slash.
    folder: String,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let zip =
            ZipArchive::new(Cursor::new(bytes)).map_err(|fault| format!("a damaged archive ({fault})"))?;
        let is_program = |name: &str| name == "data.pkl" || name.ends_with("/data.pkl");
        let program = zip
            .file_names()
            .filter_map(Result::ok)
            .find(|name| is_program(name));
        let folder = program.and_then(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let folder = folder.ok_or("an archive without data.pkl: not of PyTorch")?;
        let mut archive = Self { zip, folder };
        // Archives without the entry are older, and little-endian.
        if archive
            .zip
            .index_for_name(&format!("{}byteorder", archive.folder))
            .is_some()
            && archive.entry("byteorder", 16)? != b"little"
        {
            return Err("its numbers are not little-endian".into());
        }
        Ok(archive)
    }

    pub(super) fn program(&mut self) -> Result<Vec<u8>, Fault> {
        self.entry("data.pkl", LONGEST_PROGRAM)
    }

    fn entry(&mut self, name: &str, most: u64) -> Result<Vec<u8>, Fault> {
        let name = format!("{}{name}", self.folder);
        let mut entry = self
            .zip
            .by_name(&name)
            .map_err(|fault| format!("{name:?}: {fault}"))?;
        let size = entry.size();
        if size > most {
            return Err(format!("{name:?} has {size} bytes instead of at most {most}"));
        }
        // Memory grows with what is really there, not with what the archive says.
        let mut bytes = Vec::new();
        let read = entry.by_ref().take(most).read_to_end(&mut bytes);
        read.map_err(|fault| format!("{name:?}: {fault}"))?;
        Ok(bytes)
    }
}

impl Storages for Archive<'_> {
    fn bytes(&mut self, storage: &StorageSpec) -> Result<Vec<u8>, Fault> {
        let length = storage.length()?;
        let bytes = self.entry(&format!("data/{}", storage.key), length as u64)?;
        if bytes.len() != length {
            return Err(format!(
                "storage {:?} has {} bytes instead of {length}",
                storage.key,
                bytes.len()
            ));
        }
        Ok(bytes)
    }
}
