//! Groups of settings that several methods share, and checks of their ranges.

mod groups;
pub(crate) mod ranges;
mod schedule;

pub use groups::{Adam, Batches, Calibration, Draw, Evaluated, GroundTruth, Intervals};
pub use schedule::{Decay, Length, Schedule};
