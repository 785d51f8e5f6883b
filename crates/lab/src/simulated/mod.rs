//! The simulated dataset of table 3: anomalies of five kinds made on the anomaly-free test images.
//!
//! The paper builds it "from the anomaly-free test images" and says no more. Ours (docs/method.md, section 17; proposals): for
//! each category and each kind, every normal test image once clean and [`SetSettings::draws`] times with an anomaly. The
//! rows are CutPaste, NSA, opaque and transparent, which the paper prints, and near-distribution, which its printed
//! averages imply. Every picture is a function of (seed, category, kind, image, draw) and the textures alone.

mod export;
mod score;
mod set;

pub use export::{SimulateDatasetArgs, simulate_dataset};
pub use score::{KindScores, SimulatedResult, finished, finished_on, score};
pub use set::{KINDS, SetSettings, SimulatedSet};
