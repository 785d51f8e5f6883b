//! *What* an anomaly looks like: seeded simulation of surface anomalies on normal images.
//!
//! A detector of anomalies is trained on images of good parts only. What it should find is *simulated*: a normal image
//! goes in, and out come the same image with a flaw, the mask of the flaw, and how it was made.
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
//! # The way to an anomaly
//!
//! <img alt="normal image, mask, texture, changed texture, mixture"
#![cfg_attr(doc, doc = concat!("src=\"data:image/png;base64,", include_str!("../docs/steps.base64"), "\">"))]
//!
//! From left to right: the normal image; a [`Perlin`] mask, which says *where*; a texture from a [`TextureSource`]
//! ([`TextureBank`]: images in memory; [`ProceduralTextures`]: noise, when there are none); the texture changed by three of
//! DRAEM's ten [`TextureOperations`]; and the mixture of image and texture inside the mask.
//!
//! # The kinds
//!
//! <img alt="normal, transparent, opaque, near-distribution; two products"
#![cfg_attr(doc, doc = concat!("src=\"data:image/png;base64,", include_str!("../docs/kinds.base64"), "\">"))]
//!
//! Two products of the demo data, and on them [`Transparent`], [`Opaque`] and [`NearDistribution`], above their masks.
//! The first two *cover* the surface with something foreign; the third bends the surface itself (NDAA). Which of them is
//! a flaw depends on the product: a bent pin is one, a bent grain of leather is not. A [`Selection`] holds these answers
//! for a category: [`Selections::builtin`] for the 15 of MVTec AD, [`Selections::from_toml`] for other products, and
//! [`evidence`] proposes them from the normal images, with numbers.
//!
//! <img alt="CutPaste, NSA, CutOut, foreign patch"
#![cfg_attr(doc, doc = concat!("src=\"data:image/png;base64,", include_str!("../docs/others.base64"), "\">"))]
//!
//! The kinds of other methods: [`CutPaste`], [`Nsa`] (with [Poisson blending](poisson) and soft labels), [`CutOut`] and
//! [`ForeignPatch`]. A selection may choose them as well ([`Kind::ALL`]), and [`Relocated`], our own: material of the image that lies
//! at a wrong place or is gone.
//!
//! Everything that makes anomalies is an [`AnomalySimulator`], and so is any closure; [`OneOf`], [`Chance`], [`Retry`],
//! [`OnObject`] and [`Grey`] make simulators of simulators. Each constant is a public field whose default is that of the
//! literature, or marked as a proposal; each anomaly comes with its [`Kind`] and its [`Parameters`].
//!
//! # Training samples
//!
//! A [`Simulation`] draws them: [`Simulation::draem`], or [`Simulation::selected`] for the kinds of a selection.
//! [`SimulationSettings`] are the same as plain data, with every constant of every kind: what a settings file holds.
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
//! let sample = simulation.sample(&normal, Stream::of_run(1));
//! match sample.kind {
//!     Some(kind) => println!("{kind}: {:.1} % of the pixels", 100.0 * sample.mask.coverage()),
//!     None => println!("clean"),
//! }
//! ```
//!
//! Everything random is a function of a [`Stream`] (seed, step, index): [`Simulation::batch`] works on all cores and
//! gives the same bytes for any number of threads. [`Simulation::sample_into`], [`Simulation::batch_into`] and
//! [`AnomalySimulator::simulate_into`] write over earlier results; a loop over them takes no memory once it runs.
//!
//! # Simulators of a downstream program
//!
//! A simulator implements [`AnomalySimulator`]; [`Kind::custom`] names its kind, and a [`Choice`] puts it into a
//! [`Simulation`], alone or beside others:
//!
//! ```
//! use std::sync::Arc;
//!
//! use flawforge_augment::image::{Rgb, RgbImage};
//! use flawforge_augment::rand::RngCore;
//! use flawforge_augment::{
//!     AnomalySimulator, Choice, CustomNameError, Kind, OnFailure, ProceduralTextures, Simulated, Simulation, Stream, to_float,
//! };
//!
//! /// A dark spot in the middle.
//! struct BurnMark(Kind);
//!
//! impl AnomalySimulator for BurnMark {
//!     fn kind(&self) -> Kind {
//!         self.0
//!     }
//!
//!     fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, _: &mut dyn RngCore) -> bool {
//!         let (x, y) = (normal.width() / 2, normal.height() / 2);
//!         made.image = to_float(normal);
//!         made.image.put_pixel(x, y, Rgb([0.0; 3]));
//!         made.mask.reset(normal.width(), normal.height());
//!         made.mask.set(x, y, true);
//!         made.kind = self.kind();
//!         made.parameters.clear();
//!         true
//!     }
//! }
//!
//! let mut simulation = Simulation::draem(Arc::new(ProceduralTextures::default()));
//! simulation.choices.push(Choice {
//!     simulator: Arc::new(BurnMark(Kind::custom("burn-mark")?)),
//!     weight: 2.0,
//!     on_failure: OnFailure::Another,
//! });
//! let normal = RgbImage::from_pixel(64, 64, Rgb([120; 3]));
//! let sample = simulation.sample(&normal, Stream::of_run(1));
//! # Ok::<(), CustomNameError>(())
//! ```
//!
//! # Images
//!
//! Images are RGB bytes; [`simulate_any`] takes grey images and images of floats as well. The crate knows nothing of files
//! and tensors. The pictures above are made by the example `gallery`; the example `simulate` does the same to an image
//! that is given.

mod any_image;
mod kind;
mod parameters;
mod photometric;
mod pixels;
mod rotation;
mod selection;
mod settings;
mod simulation;
mod simulators;
mod textures;

/// The crate whose [`RgbImage`](image::RgbImage) the simulators here take, in the version that they take.
pub use image;
/// The crate whose [`RngCore`](rand::RngCore) the traits here take, in the version that they take.
pub use rand;

pub use any_image::{AnyImage, Gray32FImage, ImageError, MIN_SIDE, simulate_any};
pub use flawforge_masks::{AspectLaw, Mask, MaskError, MaskGenerator, Perlin, Rectangle, Scar, Stream};
pub use kind::{CustomNameError, Kind, UnknownKind};
pub use parameters::{Parameters, Value};
pub use photometric::Photometric;
pub use pixels::{to_bytes, to_float, to_levels, to_values};
pub use rotation::{Fill, RotateNormals, rotate};
pub use selection::{Answer, Selection, SelectionError, Selections, Source, evidence};
pub use settings::{Constants, KindSettings, Materials, SettingsError, SimulationSettings};
pub use simulation::{Choice, OnFailure, Sample, Simulation, keep_inside};
pub use simulators::{
    AnomalySimulator, Axis, Background, Chance, ColorChange, ColorJitter, CutOut, CutPaste, Distortion,
    Erased, ForeignPatch, ForeignPatchSettings, Gamma, Grey, LabelKind, Logistic, NearDistribution, Nsa,
    NsaError, NsaSample, NsaSettings, Objects, OnObject, OneOf, Opaque, OpaqueSettings, Preparation,
    Relocated, Retry, Simulated, TextureOverlay, Transparent, TransparentSettings, WeightError, is_grey,
    poisson,
};
pub use textures::{
    ColorSpace, ProceduralTextures, TextureBank, TextureError, TextureOperation, TextureOperations,
    TextureSource,
};
