//! The option that says where to compute, for both commands.

use clap::Args;
use flawforge_training::{DeviceName, Overrides, TrainingError, use_device};

/// Where to compute.
#[derive(Args, Debug, Clone, Copy, Default)]
pub struct DeviceArgs {
    /// Device that computes: cpu, cuda (the first GPU), cuda:N or N [default: the first GPU where this program can use one, else cpu]
    #[arg(long, value_name = "NAME")]
    pub device: Option<DeviceName>,
}

impl DeviceArgs {
    /// Makes the device that was asked for, here or else in the settings, the one of this process; without any, the choice is
    /// left to [`default_device`](flawforge_training::default_device).
    ///
    /// # Errors
    /// In one line, with what there is, if the device cannot be used.
    pub fn choose(self, settings: Option<&Overrides>) -> Result<(), TrainingError> {
        match self.device.or(settings.and_then(Overrides::device)) {
            Some(name) => use_device(name),
            None => Ok(()),
        }
    }
}
