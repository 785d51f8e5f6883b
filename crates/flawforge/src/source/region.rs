//! The region of interest beside images.

use std::path::{Path, PathBuf};

use flawforge_datasets::REGION_FILE;

/// Folders of a category where its region may lie.
const AMONG: [&str; 3] = ["", "train", "train/good"];

/// The [file of a region](REGION_FILE) among the images of a category's folder, if there is one.
pub fn region_beside(dir: &Path) -> Option<PathBuf> {
    let paths = AMONG.iter().map(|folder| dir.join(folder).join(REGION_FILE));
    paths.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_lies_among_the_images() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(region_beside(dir.path()), None);
        let folder = dir.path().join("train/good");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("roi.png"), "").unwrap();
        assert_eq!(region_beside(dir.path()), Some(folder.join("roi.png")));
        std::fs::write(dir.path().join("roi.png"), "").unwrap();
        assert_eq!(region_beside(dir.path()), Some(dir.path().join("roi.png")));
    }
}
