//! The region of interest beside images.

use std::path::{Path, PathBuf};

use flawforge_datasets::{Limits, Loading, REGION_FILE, RegionOfInterest};
use flawforge_training::settings::Region;

/// Folders of a category where its region may lie.
const AMONG: [&str; 3] = ["", "train", "train/good"];

/// The [file of a region](REGION_FILE) among the images of a category's folder, if there is one.
pub fn region_beside(dir: &Path) -> Option<PathBuf> {
    let paths = AMONG.iter().map(|folder| dir.join(folder).join(REGION_FILE));
    paths.into_iter().find(|path| path.is_file())
}

/// Tells images that are loaded with this region which file or folder it is of, if it is of that one.
pub fn tell_region(loading: &mut Loading, region: &Region, path: &Path) {
    // A file that became another one since tells nothing of a run.
    let Ok(named) = RegionOfInterest::open(path, &Limits::default()) else {
        return;
    };
    if Region::of(&named) == *region {
        loading.region = match named {
            RegionOfInterest::Fixed { .. } => loading.region.take().map(|own| own.of_file(path)),
            each => Some(each),
        };
    }
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
