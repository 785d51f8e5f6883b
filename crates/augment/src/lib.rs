//! *What* an anomaly looks like: seeded simulation of surface anomalies on normal images.
//!
//! ```text
//!                         +-- clean (probability 1/2) ---------------------------------+
//! normal image            |                                                            v
//!   -> rotated or not --> Simulation --> one kind: Transparent | Opaque | NearDistribution --> Sample
//!      (RotateNormals)    ^                        ^             ^                             normal, image,
//!                     Selection               TextureSource   the image itself                 mask, kind
//!                  (per category, TOML)     + TextureOperations
//! ```
//!
//! * [`Transparent`] and [`Opaque`] put a foreign texture into a [`Perlin`] mask; [`NearDistribution`] bends the
//!   surface itself (NDAA). Each is an [`AnomalySimulator`]; each constant is a public field whose default is
//!   that of the literature, or marked as a proposal.
//! * Further simulators: [`CutPaste`], [`Nsa`] (with [Poisson blending](poisson) and soft labels), [`CutOut`],
//!   [`ForeignPatch`], and any closure. [`OneOf`], [`Chance`] and [`Retry`] make simulators of simulators. Each
//!   anomaly comes with its [`Kind`] and its [`Parameters`].
//! * A [`TextureSource`] gives textures: [`TextureBank`] from images in memory, [`ProceduralTextures`] from noise
//!   when there are none. [`TextureOperations`] changes them in DRAEM's ten ways.
//! * A [`Selection`] says which kinds suit a category, and whether its normal images may be rotated.
//!   [`Selections::builtin`] holds the 15 categories of MVTec AD; [`Selections::from_toml`] reads one's own.
//! * [`evidence`] looks at normal images and proposes a selection, with numbers.
//! * A [`Simulation`] draws training samples: [`Simulation::draem`] or [`Simulation::selected`].
//!
//! ```
//! use std::sync::Arc;
//! use flawforge_augment::{ProceduralTextures, Selections, Simulation, Stream};
//! use image::{Rgb, RgbImage};
//!
//! let normal = RgbImage::from_fn(64, 64, |x, y| Rgb([120, (x ^ y) as u8 * 2, 90]));
//! let selections = Selections::builtin();
//! let selection = selections.get_or_default("my own parts");
//! let simulation = Simulation::selected(selection, Arc::new(ProceduralTextures::default()));
//!
//! let sample = simulation.sample(&normal, Stream { seed: 1, epoch: 0, index: 0 });
//! match sample.kind {
//!     Some(kind) => println!("{kind}: {:.1} % of the pixels", 100.0 * sample.mask.coverage()),
//!     None => println!("clean"),
//! }
//! ```
//!
//! Everything random is a function of a [`Stream`] (seed, epoch, index): batches are simulated on all cores and
//! have the same bytes for any number of threads. Images are RGB
//! bytes; [`simulate_any`] takes grey images and images of floats as well. The crate knows nothing of files and tensors.

mod any_image;
mod background;
mod buffer;
mod color_jitter;
mod combinators;
mod covering;
mod cut_out;
mod cut_paste;
mod distortion;
pub mod evidence;
mod foreign_patch;
mod kind;
mod near_distribution;
mod nsa;
mod on_object;
mod operations;
mod parameters;
pub mod poisson;
mod procedural;
mod rotate;
mod selection;
mod simulation;
mod simulator;
mod texture;

pub use any_image::{AnyImage, Gray32FImage, ImageError, MIN_SIDE, SimulatedAs, simulate_any};
pub use background::Background;
pub use buffer::{to_bytes, to_float};
pub use color_jitter::{ColorChange, ColorJitter};
pub use combinators::{Chance, OneOf, Retry, WeightError};
pub use covering::{Covering, Opaque, Transparent};
pub use cut_out::{CutOut, Erased};
pub use cut_paste::CutPaste;
pub use distortion::{Axis, Distortion};
pub use flawforge_masks::{Mask, MaskError, MaskGenerator, Perlin, Rectangle, Scar, Stream};
pub use foreign_patch::ForeignPatch;
pub use kind::{Kind, UnknownKind};
pub use near_distribution::NearDistribution;
pub use nsa::{Gamma, LabelKind, Logistic, Nsa, NsaError, NsaSample, NsaSettings, Objects};
pub use on_object::OnObject;
pub use operations::{ColorSpace, TextureOperation, TextureOperations};
pub use parameters::{Parameters, Value};
pub use procedural::ProceduralTextures;
pub use rotate::{Fill, RotateNormals, rotate};
pub use selection::{Selection, SelectionError, Selections, Source, Sources, Weights};
pub use simulation::{Choice, OnFailure, Sample, Simulation};
pub use simulator::{AnomalySimulator, Simulated};
pub use texture::{TextureBank, TextureError, TextureSource};
