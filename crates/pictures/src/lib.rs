//! What detectors see and say, as pictures.
//!
//! ```text
//! image, mask, AnomalyMap ──> HeatMap, outline, mask_image ──> ContactSheet ──> RgbImage ──write_png──> file
//! ```
//!
//! Everything turns slices and images into an [`image::RgbImage`] in memory; [`write_png`] writes one as a file that is
//! whole or absent. [`HeatMapSheet`] shows a detector's maps of test images, [`training_grid`] its maps of simulated
//! samples during training. A sheet of anomaly maps is made like this:
//!
//! ```
//! use flawforge_pictures::{ContactSheet, HeatMap, Scale, mask_image, outline};
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
//! let mut sheet = ContactSheet::new(&["input", "truth", "map", "overlay"]);
//! sheet.title("bottle, seed 0");
//! sheet.row("broken_large/000", [image, mask_image(&truth), heat.colors(), overlay]);
//! let picture: RgbImage = sheet.render();
//! assert!(picture.width() > 4 * 64 && picture.height() > 48);
//! ```

pub mod axis;
mod contact_sheet;
mod heat_map;
mod heat_map_sheet;
mod map_pictures;
mod outline;
mod png;
mod text;
mod threshold_scale;
mod training_grid;

pub use contact_sheet::{Cell, ContactSheet};
pub use heat_map::{HeatMap, Scale, heat_color};
pub use heat_map_sheet::HeatMapSheet;
pub use map_pictures::MapPictures;
pub use outline::{contour, mask_image, outline, unit_image};
pub use png::{encode_png, write_png};
pub use text::{draw_text, text_size, wrap};
pub use threshold_scale::ThresholdScale;
pub use training_grid::training_grid;

/// Side of an image of a sheet in pixels: small images are enlarged by whole pixels, so that they stay honest and captions
/// fit; large ones are reduced.
const SIDE: u32 = 128;
