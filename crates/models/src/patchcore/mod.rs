//! PatchCore (Roth et al., CVPR 2022): a memory bank of what patches of normal images look like to a trained network.
//!
//! ```text
//! image ─► FeatureExtractor ─► maps ─► Embedding ─► one vector a patch ─► Coreset ─► MemoryBank   (training)
//!                                                              └─► nearest neighbour in the bank ─► map, score
//! ```
//!
//! Nothing is learnt by gradients: the network is frozen, training means to collect the vectors of all normal images and
//! to keep a few that cover them. A patch is as anomalous as its vector is far from everything in the bank.
//!
//! The steps are those of the official code (docs/method.md, section 15): squared distance to one neighbour, the largest of them as
//! image score, no re-weighting. The paper's re-weighting is an option ([`Scoring::reweight`]).

mod coreset;
mod detector;
mod embedding;
mod extractor;
mod memory;
mod onnx;
mod scoring;
mod smoothing;
#[cfg(test)]
mod tests;
mod uncovered;

pub use coreset::Coreset;
pub use detector::{PatchCore, SizeBank, patches};
pub use embedding::{Embedding, Patches};
pub use extractor::{COARSE, FeatureExtractor, LiteStages, OFFICIAL_STRIDES, STRIDES, Stages};
pub use memory::MemoryBank;
pub use onnx::GraphMap;
pub(crate) use onnx::{as_maps, at_places};
pub use scoring::{Compared, Scoring};
pub(crate) use smoothing::blur_kernel;
pub use smoothing::gaussian_blur;
pub use uncovered::Uncovered;
