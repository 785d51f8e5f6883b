//! Runs made of weights that others have published.

use std::path::Path;

use candle_core::Device;
use flawforge_augment::Selection;
use flawforge_models::import::{ColorOrder, read_discriminative, read_reconstructive};

use crate::error::{Result, TrainingError};
use crate::experiment::{Experiment, MethodSettings};
use crate::fit::{DataDigests, Header, Places, RunPlan, write_checkpoint};
use crate::methods::Method;
use crate::methods::draem::DraemRecipe;
use crate::product::Product;
use crate::profile::Profile;
use crate::run_files::RunFiles;

/// Makes a run of DRAEM's published weights, the state dicts of both networks as PyTorch wrote them (`.pckl`; nothing in them is
/// executed) or as safetensors. They were trained on BGR, which the run takes account of.
///
/// The settings are those of the publication, at 256 pixels a side, with the widths of the files; `category` names the product. The run
/// detects; it cannot be trained further. It has no scores of good parts, so a verdict needs a threshold that a person gives.
///
/// # Errors
/// Files that cannot be read or are of another network; a folder that holds a run; a file that cannot be written.
pub fn import_draem(
    reconstructive: &Path,
    discriminative: &Path,
    category: &str,
    run: &Path,
) -> Result<Experiment> {
    let files = RunFiles::new(run);
    for file in [files.checkpoint(), files.model()] {
        if file.exists() {
            return Err(TrainingError::RunDirectory {
                path: run.to_path_buf(),
                fault: "holds a run already; choose another folder".to_owned(),
            });
        }
    }
    let networks = (
        read_reconstructive(reconstructive, ColorOrder::Bgr, &Device::Cpu)?,
        read_discriminative(discriminative, ColorOrder::Bgr, &Device::Cpu)?,
    );
    let product = Product::new(category, Selection::default());
    let mut experiment = Experiment::new(Method::Draem, &Profile::builtin("paper")?, &product, 0)?;
    if let MethodSettings::Draem(settings) = &mut experiment.settings {
        settings.networks.reconstructive_width = networks.0.width();
        settings.networks.discriminative_width = networks.1.width();
    }
    experiment.validate()?;
    let plan = RunPlan {
        label: format!("{} on {category}", experiment.method),
        settings: serde_json::to_value(&experiment)
            .map_err(|fault| TrainingError::checkpoint(&files.model(), fault.to_string()))?,
        data: DataDigests::default(),
        steps: 0, // none was done here
        schedule: None,
        every: experiment.every.clone(),
    };
    let places = Places {
        images: format!(
            "unknown: published weights {} and {}",
            reconstructive.display(),
            discriminative.display()
        ),
        textures: "unknown".to_owned(),
        skipped: Vec::new(),
    };
    let header = Header::new(&plan, Some(places)).travelling();
    std::fs::create_dir_all(run).map_err(TrainingError::io(run))?;
    let config = experiment.to_toml()?;
    flawforge_files::write(&files.config(), config.as_bytes()).map_err(TrainingError::Write)?;
    let weights = DraemRecipe::named(&networks.0, &networks.1)?;
    write_checkpoint(&files.model(), &header, &weights)?;
    Ok(experiment)
}
