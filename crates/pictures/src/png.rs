//! A picture as a PNG file.

use std::io;
use std::path::Path;

use image::{DynamicImage, ImageFormat, RgbImage};

/// A picture as the bytes of a PNG file, marked as one of this program, so that it is never read as input
/// ([`mark_as_own`](flawforge_datasets::mark_as_own)).
///
/// # Errors
/// If it cannot be encoded.
pub fn encode_png(picture: &DynamicImage) -> io::Result<Vec<u8>> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut bytes = bytes.into_inner();
    flawforge_datasets::mark_as_own(&mut bytes);
    Ok(bytes)
}

/// Writes a picture as [`encode_png`] encodes it. The file appears whole or not at all.
///
/// # Errors
/// If it cannot be encoded or written; the text names the file.
pub fn write_png(path: &Path, picture: &RgbImage) -> io::Result<()> {
    let mut bytes = io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    let mut bytes = bytes.into_inner();
    flawforge_datasets::mark_as_own(&mut bytes);
    flawforge_files::write(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_back_and_an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let picture = RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let path = folder.path().join("a.png");
        write_png(&path, &picture).unwrap();
        let read = image::load_from_memory(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.to_rgb8(), picture);
        let (images, inventory) = flawforge_datasets::image_files(folder.path()).unwrap();
        assert!(images.is_empty(), "it is no input");
        assert_eq!(inventory.count(flawforge_datasets::Why::OwnPicture), 1);

        let error = write_png(&folder.path().join("missing/b.png"), &picture).unwrap_err();
        assert!(error.to_string().contains("b.png"), "{error}");
    }
}
