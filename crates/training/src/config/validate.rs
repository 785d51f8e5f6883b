//! Checks of the settings before the first step.

use flawforge_models::NsaNetwork;

use super::Config;
use crate::error::{Result, TrainingError};
use crate::method::Method;

/// Poolings of the discriminative network: the input is halved five times.
const SIZE_MULTIPLE: u32 = 32;
/// Larger inputs than this are surely a slip, and would exhaust memory.
const LARGEST_SIZE: u32 = 2048;
/// Wider networks than this are surely a slip.
const LARGEST_WIDTH: usize = 512;

impl Config {
    /// Checks every setting's range.
    ///
    /// # Errors
    /// The first setting that cannot be used, by its dotted name.
    pub fn validate(&self) -> Result<()> {
        if i64::try_from(self.seed).is_err() {
            return Err(TrainingError::setting(
                "seed",
                "is above 2^63 - 1, the largest number of TOML",
            ));
        }
        if self.image_size == 0
            || !self.image_size.is_multiple_of(SIZE_MULTIPLE)
            || self.image_size > LARGEST_SIZE
        {
            let fault = format!(
                "{} is not a multiple of {SIZE_MULTIPLE} up to {LARGEST_SIZE} (the networks halve the image five times)",
                self.image_size
            );
            return Err(TrainingError::setting("image_size", fault));
        }
        for (name, width) in [
            (
                "networks.reconstructive_width",
                self.networks.reconstructive_width,
            ),
            (
                "networks.discriminative_width",
                self.networks.discriminative_width,
            ),
        ] {
            check(name, width as f64, 1.0, LARGEST_WIDTH as f64)?;
        }
        for (name, count) in [
            ("batch.size", self.batch.size),
            ("split.batch_x", self.split.batch_x),
            ("split.batch_y", self.split.batch_y),
            ("evaluation.batch", self.evaluation.batch),
        ] {
            check(name, count as f64, 1.0, 4096.0)?;
        }
        self.validate_schedule()?;
        for (name, weight) in [
            ("loss.ssim_weight", self.loss.ssim_weight),
            ("loss.l2_weight", self.loss.l2_weight),
            ("loss.focal_weight", self.loss.focal_weight),
            ("loss.focal_gamma", self.loss.focal_gamma),
        ] {
            check(name, weight, 0.0, 1e6)?;
        }
        check("loss.focal_smooth", self.loss.focal_smooth, 1e-12, 0.1)?;
        check(
            "simulation.clean_probability",
            self.simulation.clean_probability,
            0.0,
            1.0,
        )?;
        check("rotation.probability", self.rotation.probability, 0.0, 1.0)?;
        check("rotation.max_degrees", self.rotation.max_degrees, 0.0, 180.0)?;
        if let Some(nsa) = &self.nsa {
            check("nsa.width", nsa.width as f64, 4.0, LARGEST_WIDTH as f64)?;
            if !nsa.width.is_multiple_of(NsaNetwork::WIDTH_MULTIPLE) {
                let fault = format!(
                    "{} is not a multiple of {}",
                    nsa.width,
                    NsaNetwork::WIDTH_MULTIPLE
                );
                return Err(TrainingError::setting("nsa.width", fault));
            }
            check("nsa.max_degrees", nsa.max_degrees, 0.0, 180.0)?;
        } else if self.method == Method::Nsa {
            return Err(TrainingError::setting("nsa", "is missing, but the method is NSA"));
        }
        check("evaluation.aupro_limit", self.evaluation.aupro_limit, 1e-6, 1.0)?;
        check("calibration.held_out", self.calibration.held_out, 0.0, 0.5)?;
        check("every.log", self.every.log as f64, 1.0, f64::MAX)?;
        check("every.checkpoint", self.every.checkpoint as f64, 1.0, f64::MAX)?;
        Ok(())
    }

    fn validate_schedule(&self) -> Result<()> {
        let schedule = &self.schedule;
        if schedule.length.steps(1, 1) == 0 {
            return Err(TrainingError::setting("schedule.length", "is zero"));
        }
        if schedule.learning_rate <= 0.0 || !schedule.learning_rate.is_finite() {
            let fault = format!("{} is not a positive number", schedule.learning_rate);
            return Err(TrainingError::setting("schedule.learning_rate", fault));
        }
        check("schedule.warm_up", schedule.warm_up, 0.0, 0.5)?;
        for &milestone in &schedule.decay_milestones {
            check("schedule.decay_milestones", milestone, 0.0, 1.0)?;
        }
        check("schedule.floor", schedule.floor, 0.0, schedule.learning_rate)?;
        check("schedule.decay_factor", schedule.decay_factor, 0.0, 1.0)?;
        for (name, beta) in [("adam.beta1", self.adam.beta1), ("adam.beta2", self.adam.beta2)] {
            check(name, beta, 0.0, 1.0)?;
            if beta == 1.0 {
                return Err(TrainingError::setting(name, "must be below 1"));
            }
        }
        check("adam.epsilon", self.adam.epsilon, 1e-30, 1.0)
    }
}

fn check(name: &str, value: f64, least: f64, most: f64) -> Result<()> {
    // Written so that NaN fails.
    if value >= least && value <= most {
        return Ok(());
    }
    let fault = if most >= 1e300 {
        format!("{value} is below {least}")
    } else {
        format!("{value} is not between {least} and {most}")
    };
    Err(TrainingError::setting(name, fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Length, Profile};

    #[test]
    fn defaults_are_valid_and_each_fault_names_its_setting() {
        for name in ["smoke", "demo", "quick", "paper"] {
            for method in Method::ALL {
                let profile = Profile::builtin(name).unwrap();
                Config::for_method(method, &profile, 0).validate().unwrap();
            }
        }
        let good = Config::for_method(Method::LinYan, &Profile::builtin("smoke").unwrap(), 0);
        type Spoil = fn(&mut Config);
        let faults: [(&str, Spoil); 8] = [
            ("image_size", |c| c.image_size = 100),
            ("networks.discriminative_width", |c| {
                c.networks.discriminative_width = 0
            }),
            ("batch.size", |c| c.batch.size = 0),
            ("schedule.length", |c| c.schedule.length = Length::Epochs(0)),
            ("schedule.learning_rate", |c| c.schedule.learning_rate = f64::NAN),
            ("adam.beta2", |c| c.adam.beta2 = 1.0),
            ("simulation.clean_probability", |c| {
                c.simulation.clean_probability = -0.1
            }),
            ("every.checkpoint", |c| c.every.checkpoint = 0),
        ];
        for (name, spoil) in faults {
            let mut config = good.clone();
            spoil(&mut config);
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(name), "{name}: {message}");
        }
    }
}
