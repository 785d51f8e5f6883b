//! Groups of settings that several methods share, and checks of their ranges.

mod calibration;
pub(crate) mod groups;
pub(crate) mod ranges;
mod region;
mod schedule;
mod view;
mod warm_start;

pub use calibration::Calibration;
pub(crate) use calibration::Split;
pub use groups::{Adam, Batches, Draw, Evaluated, GroundTruth, Intervals};
pub use region::Region;
pub use schedule::{Decay, Length, Schedule};
pub use view::View;
pub(crate) use view::is_long;
pub use warm_start::WarmStart;
