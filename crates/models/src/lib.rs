//! The networks that find anomalies, and the [`Detector`] trait that everything scores images through.
//!
//! ```text
//! image ──► Reconstructive ──► reconstruction ─┐
//!   └──────────────────────────────────────────┴─► Discriminative ──► softmax ──► AnomalyMap ──► image score
//! ```
//!
//! Networks are DRAEM's: [`Reconstructive`] redraws an image without its anomaly, [`Discriminative`] compares image and
//! reconstruction. Tensors are NHWC, colours RGB in \[0, 1\]. A network is a list of layers over [`Parameters`], which are
//! variables with DRAEM's names; two questions are kept apart:
//!
//! * where batch norms take their statistics from: [`Mode`](flawforge_ops::Mode), an argument of `forward`;
//! * whether gradients flow: always, unless the network is a [`frozen`](Reconstructive::frozen) view, which shares the weights.
//!
//! [`NsaNetwork`] marks anomalies in one pass; [`ResNet`] and [`EfficientNetLite`] compute the features
//! of trained networks.
//!
//! [`Draem`] joins two networks into a detector, their batch norms folded into the convolutions:
//!
//! ```
//! use candle_core::Device;
//! use flawforge_models::{Detector, Discriminative, Draem, Reconstructive};
//! use rand::SeedableRng;
//!
//! # fn main() -> Result<(), flawforge_models::ModelError> {
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
//! let reconstructive = Reconstructive::new(4, &mut rng, &Device::Cpu)?; // the paper's width: 128
//! let discriminative = Discriminative::new(4, &mut rng, &Device::Cpu)?; // the paper's width: 64
//! let detector = Draem::new(&reconstructive, &discriminative, 64, 32)?;
//!
//! let picture = image::RgbImage::from_pixel(200, 150, image::Rgb([90, 120, 40])); // of any size
//! let detection = &detector.inspect(&[&picture])?[0];
//! assert_eq!(detection.map.scores.len(), 200 * 150);
//! assert!((0.0..=1.0).contains(&detection.score));
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod anomaly_map;
mod center_crop;
mod classifier;
mod detector;
mod discriminative;
mod draem;
mod efficientnet_lite;
mod encoder_decoder;
mod error;
pub mod export;
mod flips;
pub mod forge;
mod images;
pub mod import;
pub mod init;
mod inside;
mod layers;
mod nsa;
mod nsa_detector;
mod parameters;
pub mod patchcore;
mod place;
mod prepared;
pub mod pytorch;
mod reconstructive;
mod residual;
mod resnet;
mod two_scales;
mod windowed;

pub use anomaly_map::AnomalyMap;
pub use center_crop::CenterCrop;
pub use classifier::{Classifier, cross_entropy};
pub use detector::{Detection, Detector, FieldOfView, MapScores};
pub use discriminative::Discriminative;
pub use draem::Draem;
pub use efficientnet_lite::{EFFICIENTNET_STAGES, EfficientNetLite, EfficientNetLiteKind};
pub use error::ModelError;
pub use flawforge_resample::{Resampling, Resizing, Sizing, Windows};
pub use flips::Flips;
pub use images::{bytes_to_tensor, images_to_tensor};
pub use inside::{Inside, quiet_outside};
pub use nsa::NsaNetwork;
pub use nsa_detector::NsaDetector;
pub use parameters::{ParameterSpec, Parameters, Role};
pub use place::Place;
pub use reconstructive::Reconstructive;
pub use resnet::{IMAGENET_MEAN, IMAGENET_STD, ResNet, ResNetKind, STAGES, imagenet_normalized};
pub use two_scales::{TwoScales, UsualScores};
pub use windowed::{Windowed, joined};
