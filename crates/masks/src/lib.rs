//! *Where* an anomaly goes: binary masks for simulated surface anomalies.
//!
//! ```text
//! Stream (seed, step, index) --purpose--> ChaCha8 --+
//!                                                    v
//! width, height --> Perlin | Rectangle | Scar | a closure --> Mask (0 | 1 per pixel)
//! ```
//!
//! A [`MaskGenerator`] turns a size and a random number generator into a [`Mask`]. [`Perlin`] is DRAEM's
//! generator, with its constants as the default; [`Rectangle`] and [`Scar`] are CutPaste's shapes. Closures
//! `Fn(u32, u32, &mut dyn RngCore) -> Mask` are generators too; [`Union`], [`Intersection`], [`OneOfMasks`],
//! [`Restricted`] and [`RetryEmpty`] make generators of generators. A [`Stream`] names the place of one sample in
//! a run and hands out one independent random number generator per purpose, so that results depend neither on
//! the number of threads nor on the order of the work.
//!
//! ```
//! use flawforge_masks::{MaskGenerator, Perlin, Stream};
//!
//! let stream = Stream { seed: 7, step: 0, index: 3 };
//! let mask = Perlin::default().generate(256, 256, &mut stream.rng("mask"));
//! println!("{:.1} % of the image is anomalous", 100.0 * mask.coverage());
//! assert_eq!(mask, Perlin::default().generate(256, 256, &mut stream.rng("mask")));
//! ```
//!
//! The crate knows nothing of files and tensors; everything in it works on sizes of one pixel and more.

#![forbid(unsafe_code)]

mod combine;
pub mod decimal;
mod generator;
mod lattice;
mod mask;
mod perlin;
mod rectangle;
mod region;
mod scar;
pub mod stream;
mod turn;

/// The crate whose [`RngCore`](rand::RngCore) the traits here take, in the version that they take.
pub use rand;

pub use combine::{Intersection, OneOfMasks, Restricted, RetryEmpty, Union, glass};
pub use generator::MaskGenerator;
pub use lattice::Lattice;
pub use mask::{Mask, MaskError};
pub use perlin::Perlin;
pub use rectangle::{AspectLaw, Rectangle};
pub use region::{NEAR_OUTSIDE, OUTSIDE, as_inside, inside, paint_outside};
pub use scar::Scar;
pub use stream::Stream;
