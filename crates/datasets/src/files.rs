//! Listing folders: which files count as images, in which order.

use std::path::{Path, PathBuf};

use crate::{DatasetError, REGION_FILE};

/// File name endings that count as images, compared without case.
const ENDINGS: [&str; 12] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "tif", "tiff", "webp", "pgm", "ppm", "pnm",
];

/// The endings for people: "png, jpg and bmp".
pub(crate) fn endings() -> String {
    match ENDINGS.split_last() {
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Hidden entries (macOS leaves `._000.png` beside `000.png` on foreign disks) are nobody's data.
pub(crate) fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

pub(crate) fn is_image(path: &Path) -> bool {
    if path.file_name().is_some_and(|name| name == REGION_FILE) {
        return false;
    }
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(e)))
}

/// The name of a file without its ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The last part of a path as text.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The entries of a folder sorted by name, without hidden ones. `needed` says what the folder is for, should it be missing.
fn entries(dir: &Path, needed: &'static str) -> Result<Vec<PathBuf>, DatasetError> {
    if !dir.is_dir() {
        return Err(DatasetError::MissingFolder {
            path: dir.to_path_buf(),
            needed,
        });
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| DatasetError::io(dir, e))? {
        found.push(entry.map_err(|e| DatasetError::io(dir, e))?.path());
    }
    found.retain(|path| !is_hidden(path));
    // Paths of one folder compare by their last part; by bytes, like Python's sorted(glob(...)) on ASCII names.
    found.sort();
    Ok(found)
}

/// The image files directly in a folder, sorted by name. Other files (`readme.txt`) are passed over.
pub(crate) fn images(dir: &Path, needed: &'static str) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = entries(dir, needed)?;
    found.retain(|path| is_image(path) && path.is_file());
    Ok(found)
}

/// The folders directly in a folder, sorted by name.
pub(crate) fn folders(dir: &Path, needed: &'static str) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = entries(dir, needed)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_ending_without_case_and_sorted() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in [
            "b.PNG",
            "a.jpeg",
            "c.TiF",
            "readme.txt",
            "._a.jpeg",
            ".hidden.png",
            "noending",
            "a.webp",
        ] {
            std::fs::write(dir.path().join(file), b"").expect("written");
        }
        std::fs::create_dir(dir.path().join("folder.png")).expect("made");
        let names: Vec<String> = images(dir.path(), "")
            .expect("listed")
            .iter()
            .map(|p| name(p))
            .collect();
        assert_eq!(names, ["a.jpeg", "a.webp", "b.PNG", "c.TiF"]);
        assert_eq!(folders(dir.path(), "").expect("listed").len(), 1);
        let missing = images(&dir.path().join("none"), "test images")
            .expect_err("missing")
            .to_string();
        assert!(
            missing.contains("none: no such folder (test images)"),
            "{missing}"
        );
    }
}
