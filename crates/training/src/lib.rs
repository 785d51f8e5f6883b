//! How a detector learns: recipes, the training loop, checkpoints and evaluation.
//!
//! ```text
//! Config (method, profile, seed) ── validate ──┐
//! Category, TextureSource, Selection ── check ─┴─> train ──> run directory ──> Run::open ──> Detector
//!     batches prepared on another thread ──────────> Recipe::step                               │
//!     checkpoint, metrics.jsonl, panels now and then                                            v
//!                                                        Category (test images) ──> evaluate ──> Scores
//! ```
//!
//! * [`Config`] holds every setting of a run; what the papers leave open is a setting with a documented default.
//!   [`Profile`] says how much computing a run may cost.
//! * [`train`] checks everything, then runs the loop. What a batch holds depends only on the seed and the number of its
//!   step, so that a run which was killed and resumed ends, on the CPU, bit for bit as an unbroken one.
//! * [`Recipe`] is what a method must say about itself; [`TwoNetworks`] is the recipe of DRAEM and of Lin & Yan, whose
//!   ablations are settings, [`NsaRecipe`] that of NSA. [`recipe_for`] makes a method's recipe, [`loading_for`] says how it wants its images.
//! * [`evaluate`] scores a detector by the published protocol; nothing is ever chosen on test images.
//!
//! ```
//! use std::sync::Arc;
//! use flawforge_augment::{ProceduralTextures, Selection};
//! use flawforge_datasets::{Loading, demo};
//! use flawforge_training::{Config, Length, Method, Profile, Run, TrainOptions, evaluate, train};
//!
//! let mut config = Config::for_method(Method::LinYan, &Profile::builtin("smoke")?, 0);
//! config.schedule.length = Length::Steps(2);
//! let mut category = demo::category(demo::CATEGORIES[0], &Loading::opencv(config.image_size, config.image_size), 0)?;
//! category.train.truncate(8);
//! let textures = Arc::new(ProceduralTextures::default());
//! let out = tempfile::tempdir()?;
//! train(&config, &category, textures, &Selection::default(), out.path(), &TrainOptions::default())?;
//!
//! let detector = Run::open(out.path())?.detector()?;
//! let evaluation = evaluate(detector.as_ref(), &category)?;
//! println!("image AUROC after two steps: {:?}", evaluation.scores.image_auroc);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assembly;
pub mod backbone;
mod batch;
mod calibrate;
mod checkpoint;
mod config;
mod device;
mod error;
mod evaluate;
mod journal;
mod method;
mod nsa;
mod patchcore;
mod plan;
mod prefetch;
mod profile;
mod progress;
mod recipe;
mod run;
mod simulation;
mod trainer;
mod two_networks;

pub use assembly::{Subject, loading_for, recipe_for};
pub use batch::{Batch, BatchSource, Part, Pool, SimulatedBatches};
pub use calibrate::Threshold;
pub use config::{
    Adam, Backbone, BackboneWeights, Batches, Calibration, Config, Decay, Draw, Evaluated, GroundTruth,
    Intervals, Length, Losses as LossSettings, Networks, NormMode, Nsa as NsaGroup, PatchCoreBudget,
    PatchCoreSettings, RotateWhen, Rotation, RotationFill, Schedule, Simulated, Simulator, Split, SsimRange,
};
pub use device::{default_device, gpu_available};
pub use error::{Result, TrainingError};
pub use evaluate::{
    Evaluation, ImageResult, NativeScores, Scorer, Scores, evaluate, evaluate_each, evaluate_with,
};
pub use journal::{Line, read_journal};
pub use method::{Architecture, Method, UnknownMethod};
pub use nsa::NsaRecipe;
pub use patchcore::PatchCoreRecipe;
pub use profile::{NsaBudget, Profile};
pub use progress::ProgressStyle;
pub use recipe::{Losses, Recipe};
pub use run::{Run, RunFiles};
pub use simulation::simulation;
pub use trainer::{TrainOptions, TrainReport, train};
pub use two_networks::TwoNetworks;
