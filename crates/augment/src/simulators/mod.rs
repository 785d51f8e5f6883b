//! Everything that makes an anomaly: the trait, and a file for each kind.

pub(crate) mod background;
mod color_jitter;
mod combinators;
mod cut_out;
mod cut_paste;
mod distortion;
mod foreign_patch;
mod grey;
mod near_distribution;
mod nsa;
mod on_object;
mod opaque;
pub mod poisson;
mod relocated;
mod texture_overlay;
mod transparent;

use flawforge_masks::Mask;
use image::{Rgb32FImage, RgbImage};
use rand::RngCore;

pub use background::Background;
pub use color_jitter::{ColorChange, ColorJitter};
pub use combinators::{Chance, OneOf, Retry, WeightError};
pub use cut_out::{CutOut, Erased};
pub use cut_paste::CutPaste;
pub use distortion::{Axis, Distortion};
pub use foreign_patch::{ForeignPatch, ForeignPatchSettings};
pub use grey::{Grey, is_grey};
pub use near_distribution::NearDistribution;
pub use nsa::{Gamma, LabelKind, Logistic, Nsa, NsaError, NsaSample, NsaSettings, Objects, Preparation};
pub use on_object::OnObject;
pub use opaque::{Opaque, OpaqueSettings};
pub use relocated::Relocated;
pub use texture_overlay::TextureOverlay;
pub use transparent::{Transparent, TransparentSettings};

use crate::{Kind, Parameters};

/// An image with a simulated anomaly. Simulators make images of floats; [`simulate_any`](crate::simulate_any) gives the
/// image in the form of the normal one.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated<I = Rgb32FImage> {
    /// The anomalous image, of the size of the normal image and exactly the same outside of the mask; RGB in [0, 1] where it
    /// is an [`Rgb32FImage`].
    pub image: I,
    /// Where the image was replaced; same size; never empty.
    pub mask: Mask,
    /// What was done.
    pub kind: Kind,
    /// With which parameters.
    pub parameters: Parameters,
}

/// An image without pixels, for [`AnomalySimulator::simulate_into`] to write over.
impl Default for Simulated {
    fn default() -> Self {
        Self {
            image: Rgb32FImage::default(),
            mask: Mask::default(),
            kind: Kind::Other,
            parameters: Parameters::new(),
        }
    }
}

/// Makes anomalous images. Closures `Fn(&RgbImage, &mut dyn RngCore) -> Option<Simulated> + Send + Sync` are
/// simulators, too.
pub trait AnomalySimulator: Send + Sync {
    /// The kind of every anomaly made, or [`Kind::Other`] when they differ.
    fn kind(&self) -> Kind;

    /// Makes an anomaly on a copy of `normal`, written over `made`, all of whose fields are to be set. `false` when nothing
    /// visible could be made (the mask drawn is empty, or the surface is too uniform to be distorted), and `made` is then of
    /// no use but its memory. A function of the image and the numbers from `rng` only.
    ///
    /// The simulators of this crate use the memory again: a loop over images of one size takes none after the first few.
    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool;

    /// The same in new memory; `None` when nothing visible could be made.
    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated> {
        let mut made = Simulated::default();
        self.simulate_into(normal, &mut made, rng).then_some(made)
    }
}

/// Any function from an image and random numbers to an anomaly; its kind is [`Kind::Other`], what it makes may
/// say otherwise.
impl<F> AnomalySimulator for F
where
    F: Fn(&RgbImage, &mut dyn RngCore) -> Option<Simulated> + Send + Sync,
{
    fn kind(&self) -> Kind {
        Kind::Other
    }

    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        match self(normal, rng) {
            Some(new) => {
                *made = new;
                true
            }
            None => false,
        }
    }
}
