//! Runs made of weights that others have published.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use flawforge_augment::TextureSource;
use flawforge_datasets::Category;
use flawforge_models::Detector;
use flawforge_models::import::{ColorOrder, read_discriminative, read_reconstructive};

use crate::device::default_device;
use crate::error::{Result, TrainingError};
use crate::experiment::{Experiment, MethodSettings};
use crate::fit::{
    Calibrated, DataDigests, Given, Header, Places, RunPlan, calibrate_given, check_images, draw_unusual,
    write_checkpoint,
};
use crate::methods::Method;
use crate::methods::draem::DraemRecipe;
use crate::product::Product;
use crate::profile::Profile;
use crate::run_files::RunFiles;

/// Published weights that were read, from which a run can be written. The run detects; it cannot be trained further.
pub struct Imported {
    experiment: Experiment,
    weights: Vec<(String, Tensor)>,
    /// The files, in a sentence.
    origin: String,
}

impl Imported {
    /// DRAEM's published weights, the state dicts of both networks as PyTorch wrote them (`.pckl`; nothing in them is executed) or as
    /// safetensors. They were trained on BGR, which the run takes account of.
    ///
    /// The settings are those of the publication, at 256 pixels a side, with the widths of the files; `product` is what they were
    /// trained on.
    ///
    /// # Errors
    /// Files that cannot be read or are of another network.
    pub fn draem(reconstructive: &Path, discriminative: &Path, product: &Product) -> Result<Self> {
        let networks = (
            read_reconstructive(reconstructive, ColorOrder::Bgr, &Device::Cpu)?,
            read_discriminative(discriminative, ColorOrder::Bgr, &Device::Cpu)?,
        );
        let mut experiment = Experiment::new(Method::Draem, &Profile::builtin("paper")?, product, 0)?;
        if let MethodSettings::Draem(settings) = &mut experiment.settings {
            settings.networks.reconstructive_width = networks.0.width();
            settings.networks.discriminative_width = networks.1.width();
        }
        experiment.validate()?;
        Ok(Self {
            experiment,
            weights: DraemRecipe::named(&networks.0, &networks.1)?,
            origin: format!(
                "published: {} and {}",
                reconstructive.display(),
                discriminative.display()
            ),
        })
    }

    /// The settings of the run; normal images are to be loaded by its [`loading`](Experiment::loading).
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Writes a run without scores of good parts, so that a verdict needs a threshold that a person gives.
    ///
    /// # Errors
    /// A folder that holds a run; a file that cannot be written.
    pub fn write(&self, run: &Path) -> Result<()> {
        check_free(run)?;
        let places = Places {
            images: "unknown".to_owned(),
            textures: "unknown".to_owned(),
            ..Places::default()
        };
        self.write_with(run, DataDigests::default(), places, None)
    }

    /// Scores the normal images of `category`, at most as many as `calibration.images` says, and anomalies that are simulated on them,
    /// as at the end of a training, and writes a run with these scores: its verdicts have a threshold. Nothing tells whether the weights
    /// were trained on these images: that they were not is [assumed](crate::fit::Origin::Assumed), and said in every verdict. `places` tells where images and
    /// textures come from.
    ///
    /// # Errors
    /// As [`write`](Self::write); no images, images of another size or that cannot be read; no calibration in the settings.
    pub fn write_calibrated(
        &mut self,
        run: &Path,
        category: &Category,
        textures: Arc<dyn TextureSource>,
        places: Places,
    ) -> Result<Calibrated> {
        check_free(run)?;
        self.experiment.calibrate_for_use();
        check_images(category, &self.experiment).map_err(|fault| TrainingError::Data {
            category: category.name.clone(),
            fault,
        })?;
        let detector = self.detector()?;
        let given = calibrate_given(&self.experiment, detector.as_ref(), category, textures)?;
        std::fs::create_dir_all(run).map_err(TrainingError::io(run))?;
        draw_unusual(run, &self.experiment, category, &given.highest, &given.calibrated);
        let Given { data, calibrated, .. } = given;
        self.write_with(run, data, places, Some(calibrated.clone()))?;
        Ok(calibrated)
    }

    fn detector(&self) -> Result<Box<dyn Detector>> {
        let mut recipe = self.experiment.recipe(&default_device())?;
        let weights: HashMap<String, Tensor> = self.weights.iter().cloned().collect();
        recipe.restore_weights(&weights)?;
        Ok(self.experiment.looking_inside(recipe.detector()?))
    }

    fn write_with(
        &self,
        run: &Path,
        data: DataDigests,
        places: Places,
        calibrated: Option<Calibrated>,
    ) -> Result<()> {
        let (files, experiment) = (RunFiles::new(run), &self.experiment);
        let plan = RunPlan {
            label: format!("{} on {}", experiment.method, experiment.category),
            settings: serde_json::to_value(experiment)
                .map_err(|fault| TrainingError::checkpoint(&files.model(), fault.to_string()))?,
            data,
            steps: 0, // none was done here
            schedule: None,
            every: experiment.every.clone(),
        };
        let places = Places {
            weights: Some(self.origin.clone()),
            ..places
        };
        let mut header = Header::new(&plan, Some(places)).travelling();
        header.calibrated = calibrated;
        std::fs::create_dir_all(run).map_err(TrainingError::io(run))?;
        let config = experiment.to_toml()?;
        flawforge_files::write(&files.config(), config.as_bytes()).map_err(TrainingError::Write)?;
        write_checkpoint(&files.model(), &header, &self.weights)
    }
}

/// Refuses a folder that holds a run.
fn check_free(run: &Path) -> Result<()> {
    let files = RunFiles::new(run);
    match files.checkpoint().exists() || files.model().exists() {
        true => Err(TrainingError::RunDirectory {
            path: run.to_path_buf(),
            fault: "holds a run already; choose another folder".to_owned(),
        }),
        false => Ok(()),
    }
}
