//! Forge flaws on good parts, and train a detector that finds the real ones.
//!
//! This crate is the front door: it names the crates of the workspace and holds the `flawforge` command. Programs that only
//! need masks, simulated anomalies or metrics can depend on those crates alone; they build without the tensor library.
//!
//! | module | question | begin with |
//! |---|---|---|
//! | [`masks`] | where does an anomaly go? | [`masks::Perlin`] |
//! | [`augment`] | what does it look like? | [`augment::Simulation`] |
//! | [`datasets`] | where do images come from? | [`datasets::Category`] |
//! | [`ops`], [`models`] | who finds it? | [`models::Detector`] |
//! | [`training`] | how does it learn? | [`training::train`] |
//! | [`metrics`] | how well was it found? | [`metrics::PixelScores`] |
//! | [`source`] | which images, textures and selection does a command take? | [`source::Images`] |
//! | [`weights`] | where do pretrained networks come from? | [`weights::Published`] |
//! | [`defaults`] | which method is trained where none is named? | [`defaults::method`] |
//! | [`pictures`] | what does that look like? | [`pictures::HeatMapSheet`] |
//! | [`server`] | who asks over a network? | [`server::serve`] |
//!
//! From a folder of normal images to verdicts, with any method:
//!
//! ```no_run
//! use std::path::Path;
//! use flawforge::datasets::{Limits, load_picture};
//! use flawforge::source::{Images, Textures};
//! use flawforge::training::{Experiment, Method, Profile, Run, TrainOptions, train};
//!
//! // MVTec layout, or a plain folder with images in `normal/`.
//! let images = Images::Single("parts/bracket".into());
//! let selection = images.selection("bracket", Some(Path::new("bracket.toml")))?.selection;
//! let product = images.product("bracket", selection);
//! let experiment = Experiment::new(Method::LinYan, &Profile::builtin("quick")?, &product, 0)?;
//! let category = images.load_normals("bracket", &experiment.loading())?;
//! let textures = Textures::Procedural.load(experiment.image_size)?;
//! train(&experiment, &category, textures, Path::new("runs/bracket"), &TrainOptions::default())?;
//!
//! let run = Run::open(Path::new("runs/bracket"))?;
//! // Files with more than 8 bits are read by the scale that the training images gave.
//! let image = load_picture(Path::new("suspect.png"), &Limits::default(), &run.pixel_scale())?.image;
//! let scored = run.score(&image)?; // an image of any size; the map has its size
//! println!("image score {:.3}, verdict {:?}", scored.score, scored.verdict);
//! assert_eq!((scored.map.width, scored.map.height), image.dimensions());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! And one that runs here: an anomaly on your own image, without any network.
//!
//! ```
//! use std::sync::Arc;
//! use flawforge::augment::{ProceduralTextures, Selection, Simulation, Stream};
//! use image::{Rgb, RgbImage};
//!
//! let normal = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 3) as u8, (y * 3) as u8, 90]));
//! let simulation = Simulation::selected(&Selection::default(), Arc::new(ProceduralTextures::default()));
//! let sample = simulation.sample(&normal, Stream::of_run(1));
//! assert_eq!(sample.kind.is_some(), !sample.mask.is_empty());
//! ```

#![forbid(unsafe_code)]

pub mod defaults;
pub mod device;
pub mod fault;
pub mod file_limit;
pub mod licence;
pub mod source;
pub mod weights;

pub use flawforge_augment as augment;
pub use flawforge_datasets as datasets;
pub use flawforge_files as files;
pub use flawforge_masks as masks;
pub use flawforge_metrics as metrics;
pub use flawforge_models as models;
pub use flawforge_onnx as onnx;
pub use flawforge_ops as ops;
pub use flawforge_pictures as pictures;
pub use flawforge_server as server;
pub use flawforge_training as training;
