//! A folder of texture images, the source of anomalies' looks.

use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::alike::load_alike;
use crate::{DatasetError, Inventory, Limits, files, image_files, resize};

/// The texture images of `dir` and of its subfolders, sorted by path, and what was passed over. The root of an unpacked DTD
/// (`images/` beside `labels/`) may be given as well as its `images` folder.
///
/// # Errors
/// A missing folder, or no images at all.
pub fn texture_files(dir: &Path) -> Result<(Vec<PathBuf>, Inventory), DatasetError> {
    const NEEDED: &str = "texture images";
    let below = dir.join("images");
    let is_dtd = below.is_dir() && dir.join("labels").is_dir();
    let root = if is_dtd { below.as_path() } else { dir };
    if !root.is_dir() {
        return Err(DatasetError::MissingFolder {
            path: root.to_path_buf(),
            needed: NEEDED,
        });
    }
    let (paths, inventory) = image_files(root)?;
    if paths.is_empty() {
        return Err(DatasetError::NoImages {
            path: root.to_path_buf(),
            needed: NEEDED,
        });
    }
    Ok((paths, inventory))
}

/// Loads the images that [`texture_files`] finds, each brought to `width × height` ignoring the aspect ratio, as DRAEM does with
/// DTD.
///
/// # Errors
/// A missing folder, no images at all, or any file that cannot be decoded; all errors are collected before returning.
pub fn load_textures(
    dir: &Path,
    width: u32,
    height: u32,
    limits: &Limits,
) -> Result<Vec<RgbImage>, DatasetError> {
    crate::category::check_target(width, height)?;
    let (paths, _) = texture_files(dir)?;
    load(&paths, (width, height), limits)
}

/// Loads the images of each folder of `dir` as a class of its own, named after the folder, sorted by name; otherwise as
/// [`load_textures`]. Images that lie in no such folder are left out.
///
/// # Errors
/// As [`load_textures`]; fewer than two classes.
pub fn load_texture_classes(
    dir: &Path,
    width: u32,
    height: u32,
    limits: &Limits,
) -> Result<Vec<(String, Vec<RgbImage>)>, DatasetError> {
    const NEEDED: &str = "folders of texture images, one a class, at least two";
    crate::category::check_target(width, height)?;
    let below = dir.join("images");
    let is_dtd = below.is_dir() && dir.join("labels").is_dir();
    let root = if is_dtd { below.as_path() } else { dir };
    let mut folders = files::folders(root, NEEDED)?;
    folders.sort();
    let mut classes = Vec::new();
    for folder in folders {
        let mut paths = files::images(&folder, NEEDED)?;
        paths.sort();
        if paths.is_empty() {
            continue;
        }
        classes.push((files::stem(&folder), load(&paths, (width, height), limits)?));
    }
    if classes.len() < 2 {
        return Err(DatasetError::NoImages {
            path: root.to_path_buf(),
            needed: NEEDED,
        });
    }
    Ok(classes)
}

/// Textures of more than 8 bits have a scale of their own, that of all of them together.
fn load(
    paths: &[PathBuf],
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<Vec<RgbImage>, DatasetError> {
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let make = |_, image: RgbImage, _| Ok(resize::bilinear_rgb(&image, width, height));
    load_alike(&paths, None, limits, make, &mut |_| ()).whole()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn save(path: &Path, level: u8) {
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        RgbImage::from_pixel(9, 7, Rgb([level; 3]))
            .save(path)
            .expect("saved");
    }

    fn levels(dir: &Path) -> Vec<u8> {
        let textures = load_textures(dir, 4, 4, &Limits::default()).expect("loaded");
        textures.iter().map(|t| t.get_pixel(0, 0)[0]).collect()
    }

    #[test]
    fn folders_flat_files_and_the_dtd_root_are_read_in_order() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        save(&dir.path().join("images/b/2.png"), 2);
        save(&dir.path().join("images/a/1.bmp"), 1);
        save(&dir.path().join("images/c.png"), 3);
        std::fs::create_dir(dir.path().join("labels")).expect("made");
        assert_eq!(levels(dir.path()), [1, 2, 3]);
        assert_eq!(levels(&dir.path().join("images")), [1, 2, 3]);
    }

    #[test]
    fn folders_are_classes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        save(&dir.path().join("b/2.png"), 2);
        save(&dir.path().join("loose.png"), 3);
        let load = || load_texture_classes(dir.path(), 4, 4, &Limits::default());
        assert!(matches!(load(), Err(DatasetError::NoImages { .. })));
        save(&dir.path().join("a/1.bmp"), 1);
        let classes = load().expect("loaded");
        let names: Vec<&str> = classes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!((classes[0].1.len(), classes[1].1[0].get_pixel(0, 0)[0]), (1, 2));
    }

    #[test]
    fn an_empty_folder_and_broken_files_are_told() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let none = load_textures(dir.path(), 4, 4, &Limits::default()).expect_err("no images");
        assert!(matches!(none, DatasetError::NoImages { .. }));
        for file in ["x.png", "y.png"] {
            std::fs::write(dir.path().join(file), b"not a picture").expect("written");
        }
        let both = load_textures(dir.path(), 4, 4, &Limits::default()).expect_err("errors");
        assert_eq!(both.errors().len(), 2);
    }
}
