//! A tar archive to a folder, refusing everything that is not a plain file or folder below it.
//!
//! Never trusted: links of any kind and devices (refused), absolute paths and `..` (refused), two entries of one name
//! (refused), how much there is (bounded in files, in bytes, and in the bytes of names and headers), permissions, owners and
//! times (ignored).

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};
use tar::EntryType;

use super::meter::Meter;
use super::{DataSet, DownloadError, Show};

/// Most bytes of tar headers before one entry: long names and attributes, which are held in memory.
const HEADER_BYTES: u64 = 1 << 20;
/// Most memory for decompression; the largest xz preset needs 65 MiB.
const XZ_MEMORY: u64 = 512 << 20;
/// Deepest path.
const MAX_DEPTH: usize = 16;

/// Unpacks `archive` into the folder `target`, which must not exist yet. On failure the folder may be left half filled: it is
/// the caller's to remove.
///
/// # Errors
/// An archive that is damaged, holds anything but plain files and folders, exceeds the bounds, or lacks what it should contain.
pub fn unpack(archive: &Path, target: &Path, set: &DataSet, show: Show) -> Result<(), DownloadError> {
    let damaged = |fault: String| DownloadError::Damaged {
        archive: archive.to_path_buf(),
        fault,
    };
    let hostile = |fault: String| DownloadError::Hostile {
        archive: archive.to_path_buf(),
        fault,
    };
    let file = File::open(archive).map_err(DownloadError::io(archive))?;
    fs::create_dir(target).map_err(DownloadError::io(target))?;

    // Progress is that of the compressed file, the only length that is known.
    let read = Rc::new(Cell::new(0));
    let compressed = Counted {
        inner: BufReader::with_capacity(1 << 18, file),
        read: read.clone(),
    };
    let plain: Box<dyn Read> = if set.archive.ends_with(".xz") {
        let stream =
            Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(|e| damaged(e.to_string()))?;
        Box::new(XzDecoder::new_stream(compressed, stream))
    } else {
        Box::new(MultiGzDecoder::new(compressed))
    };
    let allowance = Rc::new(Cell::new(HEADER_BYTES));
    let mut tar = tar::Archive::new(Allowed {
        inner: plain,
        allowance: allowance.clone(),
    });
    let mut meter = Meter::new(show, &format!("Unpacking {}", set.archive), set.bytes);
    let (mut files, mut bytes, mut shown) = (0, 0u64, 0);

    for entry in tar.entries().map_err(|e| damaged(e.to_string()))? {
        let mut entry = entry.map_err(|e| damaged(e.to_string()))?;
        let name = entry.path().map_err(|e| damaged(e.to_string()))?.into_owned();
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        files += 1;
        if files > set.unpacked.files {
            return Err(hostile(format!("more than {} files", set.unpacked.files)));
        }
        let below = safe_path(&name).map_err(|fault| hostile(format!("{}: {fault}", name.display())))?;
        let below = below.strip_prefix(&set.root).unwrap_or(&below);
        let path = target.join(below);
        match kind {
            EntryType::Directory => fs::create_dir_all(&path).map_err(DownloadError::io(&path))?,
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                bytes = bytes.saturating_add(size);
                if bytes > set.unpacked.bytes {
                    return Err(hostile(format!(
                        "more than {} bytes in its files",
                        set.unpacked.bytes
                    )));
                }
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent).map_err(DownloadError::io(parent))?;
                }
                let mut out = match OpenOptions::new().write(true).create_new(true).open(&path) {
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                        return Err(hostile(format!("{}: there twice", name.display())));
                    }
                    other => other.map_err(DownloadError::io(&path))?,
                };
                allowance.set(size.saturating_add(HEADER_BYTES));
                let copied = copy(&mut entry, &mut out, &path).map_err(|e| match e {
                    CopyError::From(e) => damaged(format!("{}: {e}", name.display())),
                    CopyError::To(error) => error,
                })?;
                if copied != size {
                    return Err(damaged(format!(
                        "{}: ends after {copied} of {size} bytes",
                        name.display()
                    )));
                }
            }
            other => {
                return Err(hostile(format!(
                    "{}: {} is not unpacked",
                    name.display(),
                    describe(other)
                )));
            }
        }
        allowance.set(HEADER_BYTES);
        meter.add(read.get() - shown);
        shown = read.get();
    }
    if files == 0 {
        return Err(damaged("it is empty".into()));
    }
    for needed in &set.contains {
        if !target.join(needed).exists() {
            return Err(damaged(format!("{needed} is not in it")));
        }
    }
    meter.finish();
    Ok(())
}

/// The path of an entry as a relative path of plain names, or why it is not one.
fn safe_path(path: &Path) -> Result<PathBuf, &'static str> {
    let mut safe = PathBuf::new();
    let mut depth = 0;
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out of the folder (\"..\")"),
            Component::RootDir | Component::Prefix(_) => return Err("is an absolute path"),
            Component::Normal(name) => {
                // Separators and drive letters of another system are not names on this one either.
                if name
                    .as_encoded_bytes()
                    .iter()
                    .any(|b| matches!(b, b'\\' | b':' | 0..=31))
                {
                    return Err("has a character that no file name should have");
                }
                depth += 1;
                safe.push(name);
            }
        }
    }
    if depth > MAX_DEPTH {
        Err("is nested too deeply")
    } else {
        Ok(safe)
    }
}

fn describe(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "an entry of unknown kind",
    }
}

enum CopyError {
    From(io::Error),
    To(DownloadError),
}

/// [`io::copy`] that tells which side failed: a full disk is not a damaged archive.
fn copy(from: &mut impl Read, to: &mut File, path: &Path) -> Result<u64, CopyError> {
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer).map_err(CopyError::From)?;
        if read == 0 {
            return Ok(copied);
        }
        io::Write::write_all(to, &buffer[..read]).map_err(|e| CopyError::To(DownloadError::io(path)(e)))?;
        copied += read as u64;
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.set(self.read.get() + read as u64);
        Ok(read)
    }
}

/// Fails once more is read than is allowed at the moment. The tar reader keeps long names in memory however long they are;
/// this is what bounds them.
struct Allowed<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.allowance.get()).unwrap_or(usize::MAX);
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("headers or padding without end"));
        }
        let length = buffer.len().min(left);
        let read = self.inner.read(&mut buffer[..length])?;
        self.allowance.set(self.allowance.get() - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_safe() {
        assert_eq!(safe_path(Path::new("./a/b.png")), Ok(PathBuf::from("a/b.png")));
        for path in ["../a", "a/../../b", "/etc/passwd", "a\\..\\b", "C:/x", "a\nb"] {
            assert!(safe_path(Path::new(path)).is_err(), "{path}");
        }
        assert!(safe_path(Path::new(&"a/".repeat(17))).is_err());
    }
}
