//! Where images come from: files are checked, decoded, resized and handed on as pixels in memory.
//!
//! ```text
//! folder ──discover──> CategoryFiles ──load──> Category { train, test }      (u8 images, ground-truth masks)
//! (MVTec layout or      paths, pairs of         decoded once, in parallel,
//!  a plain folder)      image and mask          one size, order of the sorted file names
//! ```
//!
//! This is the only crate of the workspace that opens image files. Whatever is wrong with a folder or a file is found here,
//! before anything is returned; each error is one line that names the file ([`DatasetError`]).
//!
//! * [`CategoryFiles::discover`] knows two layouts: MVTec AD's (`train/good`, `test/<defect>`, `ground_truth/<defect>`) and a
//!   plain folder (`normal/`, and optionally `normal_test/`, `defective/` and `masks/`).
//! * [`load_rgb`] and [`load_gray`] decode one file within [`Limits`] that are checked against the header before pixels are
//!   allocated.
//! * [`resize`] is OpenCV's 8-bit bilinear resize, bit for bit, because that is what DRAEM feeds its networks.
//! * [`demo`] generates a small data set that needs no files at all.
//!
//! ```
//! use flawforge_datasets::{Category, CategoryFiles, Limits, Loading};
//! use image::{Rgb, RgbImage};
//!
//! // A folder with nothing but normal images is enough to train on.
//! let folder = tempfile::tempdir()?;
//! std::fs::create_dir(folder.path().join("normal"))?;
//! for level in [90u8, 110] {
//!     RgbImage::from_pixel(103, 222, Rgb([level; 3])).save(folder.path().join(format!("normal/{level}.png")))?;
//! }
//! let files = CategoryFiles::discover(folder.path())?;
//! let category = Category::load(&files, &Loading::opencv(64, 64), &Limits::default())?;
//! assert_eq!(category.train.len(), 2);
//! assert_eq!(category.train[0].image.dimensions(), (64, 64));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod alike;
mod category;
mod decode;
pub mod demo;
mod error;
mod files;
mod jpeg;
mod layout;
mod levels;
mod limits;
mod loading;
mod note;
mod pixels;
mod regions;
mod scale;
mod split;
mod textures;
mod tiff;
mod truth;

pub use category::{Category, TestImage, TrainImage};
pub use decode::{Picture, load_gray, load_picture, load_rgb, picture_size};
pub use error::DatasetError;
pub use flawforge_resample::{Resampling, Resizing, resize};
pub use layout::{CategoryFiles, GOOD, TestFile, categories};
pub use limits::Limits;
pub use loading::Loading;
pub use note::{Note, Remark, lines as note_lines};
pub use scale::PixelScale;
pub use split::parity_split;
pub use textures::{load_texture_classes, load_textures};
pub use truth::{Marks, MaskCounts};
