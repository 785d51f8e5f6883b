//! Where a command takes images, textures and selections from: one lookup for everybody.
//!
//! ```text
//! --data DIR, else the downloaded MVTec AD, else the demo data ──> Images   ── load ──> Category
//! --textures DIR, else the downloaded DTD, else noise ───────────> Textures ── load ──> TextureSource
//! --selection FILE, else what is known of the images ────────────> Selected { selection, origin }
//! ```
//!
//! A selection says which anomalies suit a category. It is looked up in this order, and [`Selected`] says where it was found:
//!
//! 1. the file that was given: its table for the category, else its table `default`; one with neither is an error;
//! 2. the demo data's own selections, for the generated images alone;
//! 3. the built-in selections, for what is known to be MVTec AD by name *and* layout ([`Images::is_mvtec`]);
//! 4. the default: the paper's three kinds of anomaly, no rotation of normal images.
//!
//! A name alone proves nothing: somebody's folder `bottle` gets the default.
//!
//! ```
//! use flawforge::source::{Images, Origin, Textures};
//!
//! // Nothing was given and nothing is downloaded: the demo data, and textures made of noise.
//! let images = Images::resolve(None, None)?;
//! let textures = Textures::resolve(None, None)?;
//! assert_eq!((images.describe(), textures.describe()), ("generated demo data".into(), "procedural".into()));
//! let found = images.selection("leather", None)?;
//! assert_eq!(found.origin, Origin::Demo);
//! assert!(found.selection.rotate_normals);
//! # Ok::<(), flawforge::source::SourceError>(())
//! ```

mod error;
mod images;
mod mvtec;
mod place;
mod region;
mod selected;
mod textures;
mod view;

pub use error::SourceError;
pub use images::{DEMO_SEED, Images};
pub use place::{probe_new_file, probe_writable, real_path};
pub use region::{region_beside, tell_region};
pub use selected::{Origin, Selected, selection_lines};
pub use textures::Textures;
pub use view::AskedView;

use place::full_path;
