//! Contact sheets: labelled image grids, heat-map colours and overlays.
//!
//! Everything here turns slices and images into an [`image::RgbImage`] in memory; who calls decides where it
//! is written. A sheet of anomaly maps is made like this:
//!
//! ```
//! use flawforge_training::sheet::{HeatMap, Scale, Sheet, mask_image, outline};
//! use image::{GrayImage, Rgb, RgbImage};
//!
//! let image = RgbImage::from_pixel(64, 48, Rgb([90, 120, 90]));
//! let truth = GrayImage::from_fn(64, 48, |x, _| image::Luma([if x < 20 { 255 } else { 0 }]));
//! let scores: Vec<f32> = (0..64 * 48).map(|i| if i % 64 < 22 { 0.9 } else { 0.1 }).collect();
//!
//! let heat = HeatMap { scores: &scores, width: 64, height: 48, scale: Scale::UNIT };
//! let mut overlay = heat.over(&image, 0.6);
//! outline(&mut overlay, &truth, Rgb([0, 255, 255]));
//!
//! let mut sheet = Sheet::new(&["input", "truth", "map", "overlay"]);
//! sheet.title("bottle, seed 0");
//! sheet.row("broken_large/000", [image, mask_image(&truth), heat.colours(), overlay]);
//! let picture: RgbImage = sheet.render();
//! assert!(picture.width() > 4 * 64 && picture.height() > 48);
//! ```

mod grid;
mod heat;
mod outline;
mod text;

pub use grid::{Cell, Sheet};
pub use heat::{HeatMap, Scale, heat_colour};
pub use outline::{mask_image, outline, unit_image};
pub use text::{draw_text, text_size, wrap};
