//! How a detector learns: recipes, the training loop, checkpoints and evaluation.
//!
//! ```text
//! Experiment (method, category, every setting) ── validate ──┐
//! Category, TextureSource ───────────────────────── check ───┴─> train ──> run directory ──> Run::open ──> Run::score
//!     batches prepared on another thread ──────────> Recipe::step                               │
//!     checkpoint, metrics.jsonl, panels now and then                                            v
//!                                                        Category (test images) ──> evaluate ──> Scores
//! ```
//!
//! * [`Experiment`] holds everything that decides what a run learns: one TOML text, one hash. What the papers leave open is a
//!   setting with a documented default. [`Profile`] says how much computing a run may cost, [`Product`] what is known of the
//!   category.
//! * [`train`] checks everything, then runs the loop. What a batch holds depends only on the seed and the number of its
//!   step, so that a run which was killed and resumed ends, on the CPU, bit for bit as an unbroken one.
//! * Layers, from below: [`settings`], [`recipe`], [`methods`], [`experiment`], [`fit`].
//! * [`methods`] has a folder for each method. [`Recipe`] and [`recipe::BatchSource`] are what a method says about its training;
//!   [`train_with`] trains those of your own.
//! * [`evaluate`] scores a detector by the published protocol; nothing is ever chosen on test images.
//!
//! ```
//! use std::sync::Arc;
//! use flawforge_augment::{ProceduralTextures, Selection};
//! use flawforge_datasets::demo;
//! use flawforge_metrics::Metric;
//! use flawforge_training::{Experiment, Method, Overrides, Product, Profile, Run, TrainOptions, evaluate, train};
//!
//! let product = Product::new(demo::CATEGORIES[0], Selection::default());
//! let experiment = Experiment::new(Method::LinYan, &Profile::builtin("smoke")?, &product, 0)?
//!     .with(&Overrides::from_toml("[schedule]\nlength = \"2 steps\"", "example")?)?;
//! let mut category = demo::category(&product.name, &experiment.loading(), 0)?;
//! category.train.truncate(8);
//! let textures = Arc::new(ProceduralTextures::default());
//! let out = tempfile::tempdir()?;
//! train(&experiment, &category, textures, out.path(), &TrainOptions::default())?;
//!
//! let run = Run::open(out.path())?;
//! let scored = run.score(&category.test[0].image)?;
//! println!("score {}, verdict {:?}", scored.verdict_score, scored.verdict);
//! let evaluation = evaluate(run.detector()?.as_ref(), &category)?;
//! println!("image AUROC after two steps: {:?}", evaluation.scores.get(&Metric::ImageAuroc));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod additions;
pub mod decision;
mod device;
mod drift;
mod error;
pub mod estimate;
mod evaluate;
pub mod experiment;
pub mod fit;
mod graph;
mod judge;
pub mod methods;
mod product;
mod profile;
mod published;
pub mod recipe;
mod run;
mod run_files;
mod scorer;
pub mod settings;
mod two_scales;
mod view_proposal;
mod windowing;

pub use additions::{Added, add_normals};
pub use decision::{Decision, Found, Rule, Verdict};
pub use device::{DeviceName, default_device, gpu_available, use_device};
pub use drift::Drift;
pub use error::{Result, TrainingError};
pub use evaluate::{
    EvaluateOptions, Evaluation, ImageResult, Judged, OfType, Oracle, Resampled, Wrong, evaluate,
    evaluate_each, evaluate_set, evaluate_with,
};
pub use experiment::{Experiment, MethodSettings, Overrides};
pub use fit::{
    Progress, ProgressStyle, RunPlan, Sweep, Teller, TrainOptions, TrainReport, spoken, train, train_from,
    train_with,
};
pub use graph::{GraphPrecision, GraphVerdicts};
pub use judge::{Judge, Judgement, Marked, REGIONS_SAID};
pub use methods::{Continuation, Method};
pub use product::Product;
pub use profile::Profile;
pub use published::Imported;
pub use recipe::Recipe;
pub use run::{Run, Scored};
pub use run_files::RunFiles;
pub use scorer::{Measured, Scorer};
pub use view_proposal::{Seen, ViewProposal};
pub use windowing::Windowing;
