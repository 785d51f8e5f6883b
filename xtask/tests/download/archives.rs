//! Archives made on the spot, sound and otherwise, and the data sets that describe them.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use xtask::download::{Bounds, DataSet, sha256_hex};

pub(crate) fn put(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &[u8], data: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_size(data.len() as u64);
    // The builder would refuse the names that these tests are about.
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    tar.append(&header, data).expect("appended");
}

pub(crate) fn gz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).expect("compressed");
    encoder.finish().expect("compressed")
}

pub(crate) fn xz(plain: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(plain).expect("compressed");
    encoder.finish().expect("compressed")
}

/// A sound archive with a top folder, some 40 kB of bytes that do not compress.
pub(crate) fn sound() -> Vec<u8> {
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(20_000)
    .collect();
    let mut tar = tar::Builder::new(Vec::new());
    put(&mut tar, tar::EntryType::Directory, b"./things/", b"");
    put(
        &mut tar,
        tar::EntryType::Regular,
        b"./things/images/a/1.jpg",
        &noise,
    );
    put(
        &mut tar,
        tar::EntryType::Regular,
        b"things/images/b/2.jpg",
        &noise,
    );
    tar.into_inner().expect("finished")
}

pub(crate) fn data_set(content: &[u8], archive: &str, addresses: Vec<String>) -> DataSet {
    DataSet {
        title: "Things: two of them".into(),
        archive: archive.into(),
        sha256: sha256_hex(content),
        bytes: content.len() as u64,
        root: "things".into(),
        contains: vec!["images/a".into()],
        unpacked: Bounds {
            files: 10,
            bytes: 100_000,
        },
        addresses,
        page: "http://example.org/things".into(),
        licence: "For tests only.".into(),
    }
}

/// The files below a folder, sorted.
pub(crate) fn list(root: &Path, dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("listed").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(list(root, &path)),
            path => found.push(path.strip_prefix(root).expect("below").display().to_string()),
        }
    }
    found.sort();
    found
}
