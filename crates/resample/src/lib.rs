//! Where the pixels of a resized or rotated image come from, in the fixed-point arithmetic of OpenCV.
//!
//! ```text
//! resize:   target pixel --half-pixel centres, 11-bit weights--> two columns x two rows
//! rotation: target pixel --inverse map, 1/32 pixel-------------> (x, y) of the source, in thirty-seconds
//! ```
//!
//! The published results that this project follows were made with OpenCV, whose integer arithmetic no other library
//! repeats: textures, images and masks pass through here so that they have the same bytes. [`resize`] brings images to
//! a size, [`Resizing`] says to which and by which filter (OpenCV's, or an antialiased one with the numbers of
//! `image::imageops::resize`); [`Sizing`] finds the size from that of the file, [`Windows`] are parts that cover a large image;
//! [`Rotation`] is the sampling grid of `warpAffine`, from which masks and images are rotated.
//!
//! ```
//! use flawforge_resample::{Rotation, resize};
//! use image::GrayImage;
//!
//! let image = GrayImage::from_fn(90, 60, |x, y| image::Luma([(x + y) as u8]));
//! assert_eq!(resize::bilinear_gray(&image, 30, 20).dimensions(), (30, 20));
//! let mut columns = Vec::new();
//! let rotation = Rotation::new(30, 20, 0.0);
//! rotation.columns(&mut columns, 0..30);
//! assert_eq!(Rotation::source(rotation.row(7), columns[11]), [11 * 32, 7 * 32]);
//! ```

mod antialiased;
mod multiversion;
pub mod resize;
mod resizing;
mod rotation;
mod sizing;
mod windows;

pub use resizing::{Resampling, Resizing};
pub use rotation::{Rotation, SUBPIXELS};
pub use sizing::{Sizing, frame};
pub use windows::{Window, Windows};
