//! The trait of everything that makes an anomaly.

use flawforge_masks::Mask;
use image::{Rgb32FImage, RgbImage};
use rand::RngCore;

use crate::{Kind, Parameters};

/// An image with a simulated anomaly.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The anomalous image, RGB, values in [0, 1], same size as the normal image.
    pub image: Rgb32FImage,
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

    /// Makes an anomaly on a copy of `normal`. `None` when nothing visible could be made: the mask drawn is
    /// empty, or the surface is too uniform to be distorted. A function of the image and the numbers from `rng` only.
    fn simulate(&self, normal: &RgbImage, rng: &mut dyn RngCore) -> Option<Simulated>;

    /// The same, written over `made`; `false` when nothing could be made, and `made` is then of no use but its
    /// memory. The simulators of this crate use the memory again: a loop over images of one size takes none
    /// after the first few.
    fn simulate_into(&self, normal: &RgbImage, made: &mut Simulated, rng: &mut dyn RngCore) -> bool {
        match self.simulate(normal, rng) {
            Some(new) => {
                *made = new;
                true
            }
            None => false,
        }
    }
}

/// What `simulate` returns for a simulator that implements `simulate_into`.
pub(crate) fn fresh(make: impl FnOnce(&mut Simulated) -> bool) -> Option<Simulated> {
    let mut made = Simulated::default();
    make(&mut made).then_some(made)
}
