//! What can be wrong with a folder, an image file or a mask. Every error is one line that names the file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::region::RegionMismatch;

/// An error in a data set. `Display` is one line that names the file and says what is wrong with it; only
/// [`DatasetError::Several`] is longer: one line of summary, then one line for each error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A folder that must be there is not (or is not a folder).
    #[error("{}: no such folder ({needed})", path.display())]
    MissingFolder {
        /// The folder looked for.
        path: PathBuf,
        /// What it should hold.
        needed: &'static str,
    },
    /// The folder has none of the layouts of a category.
    #[error("{}: no images of good parts: no image lies in it, and no folder called train, normal, good, ok or the like; it holds {found}", path.display())]
    UnknownLayout {
        /// The folder.
        path: PathBuf,
        /// What is in it instead.
        found: String,
    },
    /// The folder holds categories, and one was to be read.
    #[error("{}: is a folder of categories; name one of them: {}", path.display(), some(names))]
    SeveralCategories {
        /// The folder.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A table that belongs to the data set cannot be used.
    #[error("{}: {reason}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why, in one line.
        reason: String,
    },
    /// A folder has no category folders below it.
    #[error("{}: no category in it: none of its folders has folders such as train, normal, good or ok{hint}", path.display())]
    NoCategories {
        /// The root folder.
        path: PathBuf,
        /// What the person may have meant, with leading punctuation; may be empty.
        hint: &'static str,
    },
    /// A folder that must hold images holds none.
    #[error("{}: no image in it ({needed}; {} are read)", path.display(), crate::files::endings())]
    NoImages {
        /// The empty folder.
        path: PathBuf,
        /// What it should hold.
        needed: &'static str,
    },
    /// A category of that name does not exist.
    #[error("unknown category \"{name}\": there are {known}")]
    UnknownCategory {
        /// The name asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// A defective test image has no ground-truth mask.
    #[error("{}: no mask for this defective image ({} is not there)", image.display(), expected.display())]
    MissingMask {
        /// The defective image.
        image: PathBuf,
        /// Where its mask should be.
        expected: PathBuf,
    },
    /// A ground-truth mask belongs to no test image.
    #[error("{}: mask without an image (no image of that name is in {})", mask.display(), images.display())]
    OrphanMask {
        /// The mask.
        mask: PathBuf,
        /// The folder where its image should be.
        images: PathBuf,
    },
    /// Two test images of one folder differ only in their ending, so their masks and results cannot be told apart.
    #[error("{}: same name as {} but for the ending", second.display(), first.display())]
    SameName {
        /// The image that comes first in the order of names.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A mask and its image differ in size.
    #[error("{}: mask is {}x{} but its image {} is {}x{}{hint}", mask.display(), mask_size.0, mask_size.1, image.display(), image_size.0, image_size.1)]
    MaskSize {
        /// The mask.
        mask: PathBuf,
        /// Width and height of the mask in pixels.
        mask_size: (u32, u32),
        /// The image.
        image: PathBuf,
        /// Width and height of the image in pixels.
        image_size: (u32, u32),
        /// Whether EXIF orientation has to do with it, in parentheses; may be empty.
        hint: &'static str,
    },
    /// A mask's values are too faint: lossy compression has blurred what was marked with them.
    #[error("{}: mask values reach only {largest} and are blurred by lossy compression; write labels as PNG, or 0 where normal and 255 where anomalous", mask.display())]
    MaskValues {
        /// The mask.
        mask: PathBuf,
        /// Its largest value, 1 to 31.
        largest: u8,
    },
    /// The file could not be decoded: corrupt, truncated, or of a kind that is not read.
    #[error("{}: cannot be decoded: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The decoder's words, on one line.
        reason: String,
    },
    /// Floating-point, signed or 32-bit values beyond 0 to 1, and nothing says which of them is white: the training images
    /// had no such values.
    #[error("{}: its values go as far as {value}, and no image of this kind was trained on that would tell which value is white", path.display())]
    NoScale {
        /// The file.
        path: PathBuf,
        /// Its value farthest from 0 to 1.
        value: f32,
    },
    /// A region of interest that cannot be used.
    #[error("{}: {reason}", path.display())]
    Region {
        /// Its file or folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A region of interest of another aspect ratio than images; said once for all of them.
    #[error("{0}")]
    RegionAspect(RegionMismatch),
    /// Width or height is over [`crate::Limits::max_side`].
    #[error("{}: too large: {width}x{height} pixels, the limit is {max_side} a side", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Width in pixels, from the header.
        width: u32,
        /// Height in pixels, from the header.
        height: u32,
        /// The limit in pixels.
        max_side: u32,
    },
    /// Width times height is over [`crate::Limits::max_pixels`].
    #[error("{}: too large: {width}x{height} pixels, the limit is {max_pixels} in all", path.display())]
    TooManyPixels {
        /// The file.
        path: PathBuf,
        /// Width in pixels, from the header.
        width: u32,
        /// Height in pixels, from the header.
        height: u32,
        /// The limit in pixels.
        max_pixels: u64,
    },
    /// The file is longer than [`crate::Limits::max_file_bytes`].
    #[error("{}: too large: {bytes} bytes, the limit is {max_file_bytes}", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        max_file_bytes: u64,
    },
    /// An image that is decoded whenever it is wanted is no longer the one that was read first.
    #[error("{}: has changed since it was first read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A requested image size has a side of zero or over 16,384.
    #[error("images cannot be brought to {width}x{height} pixels: a side is 1 to {max_side}")]
    TargetSize {
        /// Requested width.
        width: u32,
        /// Requested height.
        height: u32,
        /// The largest side that is accepted.
        max_side: u32,
    },
    /// The demo data set is not generated in that size.
    #[error("the demo data set cannot be generated at {size}x{size} pixels: a side is {} to {}", crate::demo::SIZES.start(), crate::demo::SIZES.end())]
    DemoSize {
        /// Requested pixels a side.
        size: u32,
    },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// More than one error, in the order of the files.
    #[error("{}", SeveralLines(.0))]
    Several(
        /// The errors, at least two, none of them `Several` itself.
        Vec<DatasetError>,
    ),
}

impl DatasetError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source: Arc::new(source),
        }
    }

    /// The single errors in order: one, unless this is [`DatasetError::Several`].
    pub fn errors(&self) -> &[DatasetError] {
        match self {
            Self::Several(errors) => errors,
            one => std::slice::from_ref(one),
        }
    }

    /// [`DatasetError::errors`] by value.
    pub(crate) fn into_errors(self) -> Vec<DatasetError> {
        match self {
            Self::Several(errors) => errors,
            one => vec![one],
        }
    }

    /// One error of two, of which at least one is there.
    pub(crate) fn both(first: Option<Self>, second: Option<Self>) -> Self {
        match (first, second) {
            (Some(one), None) | (None, Some(one)) => one,
            (first, second) => {
                let errors = [first, second].into_iter().flatten();
                Self::Several(errors.flat_map(Self::into_errors).collect())
            }
        }
    }

    /// No error is success; one is returned unchanged; more become [`DatasetError::Several`], a region that fits none of several
    /// images one of them.
    pub(crate) fn check(errors: Vec<DatasetError>) -> Result<(), DatasetError> {
        let mut flat = RegionMismatch::once(errors.into_iter().flat_map(Self::into_errors).collect());
        match flat.len() {
            0 => Ok(()),
            1 => Err(flat.swap_remove(0)),
            _ => Err(Self::Several(flat)),
        }
    }
}

/// The first names of a list.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        format!("{shown}, ...")
    } else {
        shown
    }
}

/// A thousand broken files are not a thousand lines on somebody's terminal.
const ERRORS_SHOWN: usize = 20;

struct SeveralLines<'a>(&'a [DatasetError]);

impl fmt::Display for SeveralLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} errors:", self.0.len())?;
        for error in self.0.iter().take(ERRORS_SHOWN) {
            write!(f, "\n  {error}")?;
        }
        match self.0.len().saturating_sub(ERRORS_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  ... and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: usize) -> DatasetError {
        DatasetError::Decode {
            path: PathBuf::from(format!("{n}.png")),
            reason: "truncated".into(),
        }
    }

    #[test]
    fn one_fault_is_one_line() {
        let error = DatasetError::check(vec![sample(1)]).expect_err("an error");
        assert_eq!(error.to_string(), "1.png: cannot be decoded: truncated");
        assert_eq!(error.errors().len(), 1);
    }

    #[test]
    fn several_faults_are_flattened_and_listed_up_to_a_bound() {
        let inner = DatasetError::Several((0..3).map(sample).collect());
        let error = DatasetError::check(vec![inner, sample(9)]).expect_err("errors");
        assert_eq!(error.errors().len(), 4);
        assert_eq!(error.to_string().lines().count(), 5);
        let many = DatasetError::check((0..100).map(sample).collect())
            .expect_err("errors")
            .to_string();
        assert_eq!(many.lines().count(), 1 + ERRORS_SHOWN + 1);
        assert!(many.ends_with("and 80 more"));
    }
}
