//! Memory banks of a small pretrained network at several sizes of the image, and a head that learns from simulated anomalies.
//!
//! ```text
//!            ┌─ 256 px ─► network ─► maps ─► means of 3×3 ─► Weights ─► SizedBank ─► distances ─┐
//! image ─────┤                          └──► Standard ─► Head ─► probabilities ───────────────────┼─► Fusion ─► map, score
//!            └─ 384 px ─► network ─► maps ─► means of 3×3 ─► Weights ─► SizedBank ─► distances ─┘
//! ```
//!
//! Beside the bank of the first size, one of details compares the finest map alone.
//!
//! A proposal of ours, after PatchCore (Roth et al., CVPR 2022): the network, the sizes and the head are others. What is far, and
//! how much each part counts, is told by *leave-one-out* maps: each normal image compared with the patches of all others.

mod bank;
mod detector;
mod feature_map;
mod fusion;
mod head;
mod head_training;
mod onnx;
mod patches;

pub use bank::{SizedBank, smoothed};
pub use detector::{Forge, compared, finest, seen};
pub use feature_map::FeatureMap;
pub use fusion::{Details, Fusion, Normal};
pub use head::{Head, Standard};
pub use head_training::{HeadTraining, Places};
pub use patches::{Spread, Weights};
