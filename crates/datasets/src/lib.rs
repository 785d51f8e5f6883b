//! Where images come from: files are checked, decoded, resized and handed on as pixels in memory.
//!
//! ```text
//! folder ──discover──> CategoryFiles ──load──> Category { train, test }      (u8 images, ground-truth masks)
//! (in one of many       paths, pairs of         decoded once, in parallel,
//!  layouts)             image and mask          one size, order of the sorted file names
//! ```
//!
//! This is the only crate of the workspace that opens image files. Whatever is wrong with a folder or a file is found here,
//! before anything is returned; each error is one line that names the file ([`DatasetError`]).
//!
//! * [`CategoryFiles::discover`] knows the [layouts](Layout) that people have: MVTec AD's (`train/good`, `test/<defect>`,
//!   `ground_truth/<defect>`) and those of its relatives, VisA's, KolektorSDD's, folders by usual names (`normal/` or `ok/`,
//!   `defective/` or `ng/`, `masks/`), and images alone. Its [`Inventory`] says what was passed over, and why.
//! * [`load_rgb`] and [`load_gray`] decode one file within [`Limits`] that are checked against the header before pixels are
//!   allocated.
//! * [`resize`] is OpenCV's 8-bit bilinear resize, bit for bit, because that is what DRAEM feeds its networks.
//! * [`check`] tells what is wrong with a folder: each file once, nothing trained.
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
//! assert_eq!(category.train[0].image()?.dimensions(), (64, 64));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod alike;
mod appearance;
mod category;
pub mod check;
mod decode;
pub mod demo;
mod discover;
mod error;
mod files;
mod inventory;
mod jpeg;
mod layout;
mod levels;
mod limits;
mod loading;
mod look;
mod names;
mod note;
mod own;
mod pairing;
mod pixels;
mod region;
mod regions;
mod scale;
mod split;
mod survey;
mod test_image;
mod test_set;
mod textures;
mod tiff;
mod train_image;
mod truth;
mod walk;

pub use appearance::Appearance;
pub use category::Category;
pub use decode::{Picture, load_gray, load_picture, load_rgb, picture_size, read_picture};
pub use discover::{CategoryFiles, Purpose, TestFile, categories, is_category, read_folders};
pub use error::DatasetError;
pub use flawforge_resample::{Resampling, Resizing, Sizing, resize};
pub use inventory::{Inventory, Passed, Why};
pub use layout::{GOOD, Layout, Part, Role};
pub use limits::Limits;
pub use loading::Loading;
pub use look::{Look, SetDigest, SetLook};
pub use names::{counted, path_text, product_folder};
pub use note::{Note, Remark, lines as note_lines};
pub use own::{is_own as is_own_picture, mark_as_own};
pub use region::{REGION_FILE, RegionMismatch, RegionOfInterest};
pub use scale::PixelScale;
pub use split::parity_split;
pub use survey::{Survey, Surveyed};
pub use test_image::TestImage;
pub use test_set::{TestEntry, TestSet};
pub use textures::{load_texture_classes, load_textures, texture_files};
pub use train_image::TrainImage;
pub use truth::{Marks, MaskCounts};
pub use walk::{ImageFile, image_files, images_to_score};
