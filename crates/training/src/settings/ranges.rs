//! Checks of ranges, each error with the dotted name of its setting.

use flawforge_augment::SimulationSettings;

use crate::error::{Result, TrainingError};

/// Halvings of an image in the discriminative network: sides are multiples of this.
pub(crate) const SIZE_MULTIPLE: u32 = 32;
/// Larger inputs than this are surely a slip, and would exhaust memory.
pub(crate) const LARGEST_SIZE: u32 = 2048;

/// Refuses a value outside `least..=most`, and NaN.
pub(crate) fn between(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // Written so that NaN fails.
    if value >= least && value <= most {
        return Ok(());
    }
    let message = if most >= 1e300 {
        format!("{value} is below {least}")
    } else {
        format!("{value} is not between {least} and {most}")
    };
    Err(TrainingError::setting(name, message))
}

/// Refuses a simulation that cannot be made, by the dotted name of the constant.
pub(crate) fn simulation(settings: &SimulationSettings) -> Result<()> {
    settings
        .check()
        .map_err(|error| TrainingError::setting(format!("simulation.{}", error.name), error.message))
}
