//! The methods that can be trained: each in a folder of its own, all of them in one table.
//!
//! | folder | holds |
//! |---|---|
//! | [`draem`] | two U-Nets: DRAEM, Lin & Yan, and the ablations of their table 4 |
//! | [`nsa`] | one network on soft labels, patches of normal images blended in |
//! | [`forge`] | memory banks of a small pretrained network, and a head on simulated anomalies |
//! | [`patchcore`] | a memory bank of a pretrained network's features |
//!
//! [`backbone`] has the pretrained networks of the last two.
//!
//! A new method is a folder with its settings, its [`Recipe`] and its batches, a row of the table of names below, and one of the
//! table of families in `experiment/method_settings.rs`.

mod additions;
#[macro_use]
mod names;
pub mod backbone;
pub mod draem;
pub mod forge;
mod normals;
pub mod nsa;
mod one_pass;
pub mod patchcore;
pub(crate) mod spaced;
mod unseen;

pub use names::{NameError, UnknownMethod};
pub(crate) use normals::Checked;
pub use normals::NormalImages;

use std::sync::Arc;

use candle_core::Device;
use flawforge_augment::{Kind, Materials, Simulation, SimulationSettings, TextureSource};
use flawforge_datasets::{Category, Loading};
use flawforge_ops::Precision;

use crate::error::Result;
use crate::recipe::{BatchSource, Pool, Recipe};
use crate::settings::{Intervals, Schedule};
use crate::windowing::{Windowing, step};

methods! {
    /// DRAEM (Zavrtanik et al., ICCV 2021): transparent anomalies, rotated normals, joint training.
    Draem "draem";
    /// Lin & Yan (AAAI 2024): anomalies selected per category, split training.
    LinYan "lin-yan";
    /// NSA (Schlüter et al., ECCV 2022): patches of normal images blended in, one network on soft labels.
    Nsa "nsa";
    /// PatchCore (Roth et al., CVPR 2022): a memory bank of a trained network's features, nothing simulated.
    PatchCore "patchcore";
    /// Memory banks of a small pretrained network at two sizes, and a head on simulated anomalies (proposal).
    Forge "forge";
    /// DRAEM without rotation of normals (Lin & Yan, table 4, "D.NoRot").
    DraemNoRotation "draem-no-rotation";
    /// DRAEM's joint training on the selected anomalies, without rotation of normals (table 4, "D.Our").
    DraemOurSimulation "draem-our-simulation";
    /// Split training on DRAEM's anomalies, with rotation of normals (table 4, "Our.D").
    SplitDraemSimulation "split-draem-simulation";
}

/// What a method is told of an experiment beside its own settings.
pub(crate) struct Frame<'a> {
    pub(crate) seed: u64,
    pub(crate) image_size: u32,
    pub(crate) profile: &'a str,
    pub(crate) every: &'a Intervals,
    /// Normal images whose scores are wanted for thresholds, at most.
    pub(crate) calibrated: usize,
    /// How images of any size are seen; without, every image is a square as [`Assembly::loading`] wants it.
    pub(crate) windowing: Option<Windowing>,
    /// Whether images tell a region of interest.
    pub(crate) inside: bool,
}

impl Frame<'_> {
    /// Width and height of what is seen at once, by a method whose squares have `side` pixels.
    pub(crate) fn size(&self, side: u32) -> (u32, u32) {
        self.windowing
            .map_or((side, side), |windowing| windowing.windows.frame)
    }
}

/// How a finished run goes on with further normal images: what `flawforge train --from` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continuation {
    /// Not at all: it is trained anew on all of them.
    None,
    /// They are [added](crate::add_normals) to its memory banks.
    AddsNormals,
    /// A training on them and the earlier ones [begins with its weights](crate::train_from).
    BeginsWithWeights,
}

/// What a method must say, so that the loop, checkpoints, evaluation and the commands need not tell methods apart.
pub(crate) trait Assembly {
    /// Checks the range of every setting of the method.
    fn check(&self, frame: &Frame<'_>) -> Result<()>;

    /// Changes a profile's intervals where they do not suit the method.
    fn adapt(&self, every: &mut Intervals) {
        let _ = every;
    }

    /// Images as the method wants them, scored on masks of `side` pixels.
    fn loading(&self, side: u32) -> Loading;

    /// Sides in pixels of the square images that the method takes, and of their central part that it sees, where images are
    /// scored at `side`.
    fn seen(&self, side: u32) -> (u32, u32);

    /// Pixels by which what it sees at once may be moved, and its map moves with it, borders aside.
    fn step(&self, side: u32) -> u32 {
        let (_, seen) = self.seen(side);
        step(32, seen, &[seen])
    }

    /// Whether it sees rectangles as well as squares.
    fn takes_rectangles(&self) -> bool {
        false
    }

    /// Whether long images of one shape keep it where nobody asks for a view; the papers squeeze all images into squares.
    fn keeps_long_shape(&self) -> bool {
        false
    }

    /// Precision of the convolutions.
    fn precision(&self) -> Precision {
        Precision::default()
    }

    /// How the learning rate goes; of methods that learn by gradients.
    fn schedule(&self) -> Option<&Schedule> {
        None
    }

    /// Steps of a training on `images` images.
    fn steps(&self, images: usize) -> u64;

    /// Which of the images to train on feed which part of a batch; or why they do not suffice.
    fn pools(&self, images: Vec<usize>) -> std::result::Result<Vec<Pool>, String>;

    /// The recipe with its initial weights.
    fn recipe(&self, frame: &Frame<'_>, device: &Device) -> Result<Box<dyn Recipe>>;

    /// The batches of a run.
    fn batches<'a>(&self, frame: &Frame<'_>, data: &Data<'a>) -> Box<dyn BatchSource + 'a>;

    /// Whether the method scores each of its normal images as if it had not seen it, so that none need be held out.
    fn leaves_one_out(&self) -> bool {
        false
    }

    /// Whether that holds for images that it sees in windows, or a region of.
    fn leaves_out_in_parts(&self) -> bool {
        false
    }

    /// How a finished run of the method goes on with further images.
    fn continuation(&self) -> Continuation {
        Continuation::None
    }

    /// What stands behind the method's name at the head of its column in a table: settings that make another method of it, such as
    /// another network. Empty with those of its publication.
    fn column(&self) -> String {
        String::new()
    }

    /// The anomalies that calibrate the decision threshold.
    fn calibration(&self, data: &Data<'_>) -> Simulation;

    /// What a person should know before a training on so many images, in sentences.
    fn notices(&self, images: usize) -> Vec<String> {
        let _ = images;
        Vec::new()
    }

    /// In which settings an experiment differs from the method's publication, in sentences.
    fn deviations(&self, frame: &Frame<'_>, steps: u64) -> Vec<String>;
}

/// What batches are made of.
pub(crate) struct Data<'a> {
    pub(crate) category: &'a Category,
    pub(crate) textures: Arc<dyn TextureSource>,
    /// Images to train on, by part of a batch.
    pub(crate) pools: Vec<Pool>,
    /// All normal images, to take patches from.
    pub(crate) normals: Option<Arc<NormalImages>>,
    /// Whether images tell a region of interest.
    pub(crate) inside: bool,
}

impl Data<'_> {
    /// The simulation that settings describe, made of the textures and, where a kind takes patches of other normal images, of
    /// the category's.
    pub(crate) fn simulation(&self, settings: &SimulationSettings) -> Simulation {
        let takes = |kind: &Kind| matches!(kind, Kind::Nsa | Kind::ForeignPatch);
        let normals = settings.kinds.keys().any(takes).then(|| self.normals()).flatten();
        Simulation {
            inside: self.inside,
            ..settings.simulation(&Materials {
                textures: self.textures.clone(),
                normals,
            })
        }
    }

    /// The category's normal images as a source of patches.
    pub(crate) fn normals(&self) -> Option<Arc<dyn TextureSource>> {
        Some(self.normals.clone()? as Arc<dyn TextureSource>)
    }

    /// All images to train on.
    pub(crate) fn kept(&self) -> Vec<usize> {
        self.pools.iter().flat_map(|pool| pool.images.clone()).collect()
    }
}
