//! A run's directory: where its files lie.
//!
//! ```text
//! RUN/checkpoint.safetensors   everything a run needs to go on, to detect and to judge: settings, weights, threshold
//! RUN/model.safetensors        the same without what only going on needs (moments of the optimizer), after the last step; methods
//!                              of which nothing can be left out have none
//! RUN/config.toml              the settings, for people
//! RUN/metrics.jsonl            losses
//! RUN/skipped.txt              images that could not be read and were left out, if there are any
//! RUN/unusual.png              the normal images that were least like the others, with maps of what is unusual
//! RUN/panels/step-000100.png   what the networks saw and said
//! ```
//!
//! The model or the checkpoint alone, copied to another machine, is a run that detects.

use std::path::{Path, PathBuf};

/// The files of a run directory.
#[derive(Debug, Clone)]
pub struct RunFiles {
    root: PathBuf,
}

impl RunFiles {
    /// The files of the run in `root`, whether they exist or not.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }
    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }
    /// `checkpoint.safetensors`.
    pub fn checkpoint(&self) -> PathBuf {
        self.root.join("checkpoint.safetensors")
    }
    /// `model.safetensors`.
    pub fn model(&self) -> PathBuf {
        self.root.join("model.safetensors")
    }
    /// `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }
    /// `skipped.txt`.
    pub fn skipped(&self) -> PathBuf {
        self.root.join("skipped.txt")
    }
    /// `unusual.png`.
    pub fn unusual(&self) -> PathBuf {
        self.root.join("unusual.png")
    }
    /// `panels`.
    pub fn panels(&self) -> PathBuf {
        self.root.join("panels")
    }
}
