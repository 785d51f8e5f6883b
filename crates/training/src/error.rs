//! What can go wrong in a run, one variant for each place of the error.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::device::DeviceName;

/// An error of a run: in a setting, the data, a file, or the training itself.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A setting has a value that cannot be used.
    #[error("setting `{setting}`: {fault}")]
    Setting {
        /// Dotted name of the setting, as in the TOML file.
        setting: String,
        /// What is wrong with its value.
        fault: String,
    },
    /// A settings text is not valid TOML or has unknown keys.
    #[error("{origin}: {fault}")]
    SettingsText {
        /// The file, or a name for an embedded text.
        origin: String,
        /// The parser's message, in one line.
        fault: String,
    },
    /// A device cannot be used.
    #[error("device {name}: {fault}")]
    Device {
        /// The device.
        name: DeviceName,
        /// Why, and what there is instead.
        fault: String,
    },
    /// The images, the textures or the selection do not suffice for the run.
    #[error("category {category}: {fault}")]
    Data {
        /// Category name.
        category: String,
        /// What is missing or wrong.
        fault: String,
    },
    /// The run directory is not in the state that was asked for.
    #[error("run {}: {fault}", path.display())]
    RunDirectory {
        /// The run directory.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// A checkpoint cannot be used: truncated, corrupted, or of another network.
    #[error("checkpoint {}: {fault}", path.display())]
    Checkpoint {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// A checkpoint belongs to a run with other settings or other data.
    #[error("checkpoint {} cannot be continued: {fault}", path.display())]
    Mismatch {
        /// The checkpoint file.
        path: PathBuf,
        /// Which settings differ, and how.
        fault: String,
    },
    /// A loss became NaN or infinite; the last checkpoint is left as it was.
    #[error(
        "{loss} is {value} at step {step} (batch: {batch}); stopped, the last checkpoint is kept; \
         a lower learning rate may help"
    )]
    NonFinite {
        /// The step, counted from 1.
        step: u64,
        /// The first loss or weight that is not finite.
        loss: String,
        /// Its value.
        value: f32,
        /// Names of the training images of the batch.
        batch: String,
    },
    /// A file of weights belongs to another network.
    #[error("{}: {fault}", path.display())]
    Backbone {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// Images could not be read: textures, or training images that are decoded while a run trains.
    #[error(transparent)]
    Textures(#[from] flawforge_datasets::DatasetError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's report.
        source: io::Error,
    },
    /// It was told to end.
    #[error("stopped")]
    Stopped,
    /// A file could not be written whole; the text names it.
    #[error(transparent)]
    Write(io::Error),
    /// The thread that writes checkpoints could not be started, or failed.
    #[error("the thread that writes checkpoints: {0}")]
    Thread(String),
    /// The batch thread ended early.
    #[error("the thread that prepares batches stopped: {0}")]
    Batches(String),
    /// A network could not be built or run.
    #[error(transparent)]
    Model(#[from] flawforge_models::ModelError),
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[source] candle_core::Error),
    /// A metric could not be computed.
    #[error("metric: {0}")]
    Metric(#[from] flawforge_metrics::MetricError),
}

impl TrainingError {
    /// An error in the setting with this dotted name.
    pub(crate) fn setting(setting: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Setting {
            setting: setting.into(),
            fault: fault.into(),
        }
    }

    /// An I/O error at `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    /// An error in the checkpoint at `path`.
    pub(crate) fn checkpoint(path: &Path, fault: impl Into<String>) -> Self {
        Self::Checkpoint {
            path: path.to_path_buf(),
            fault: fault.into(),
        }
    }
}

impl From<candle_core::Error> for TrainingError {
    /// A GPU whose memory is full is told with numbers.
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(flawforge_ops::runtime::explained(error))
    }
}

/// Result with a [`TrainingError`].
pub type Result<T, E = TrainingError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gpu_is_told_wherever_the_error_comes_from() {
        let full =
            || candle_core::Error::Cuda("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into());
        let step: TrainingError = full().into();
        let network: TrainingError = flawforge_models::ModelError::from(full()).into();
        for error in [step, network] {
            let said = error.to_string();
            assert!(
                said.contains("the GPU's memory is full") && said.contains("--precision bf16"),
                "{said}"
            );
            assert!(!said.contains("DriverError"), "{said}");
        }
    }
}
