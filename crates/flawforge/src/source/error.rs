//! What can be wrong with a source of images, textures or selections, one line an error.

use std::io;
use std::path::PathBuf;

use flawforge_augment::TextureError;
use flawforge_datasets::DatasetError;

/// An error of a source, which names the folder, the file or the category.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The folder that was asked for is not there.
    #[error("{}: no such folder ({option})", path.display())]
    MissingFolder {
        /// The folder.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// A folder has no name that a category could be called by.
    #[error("{}: cannot be opened, or has no name", path.display())]
    Nameless {
        /// The folder.
        path: PathBuf,
    },
    /// The images hold no category of that name.
    #[error("unknown category {name:?} in {place}; known: {known}")]
    UnknownCategory {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        place: String,
        /// The categories there, separated by commas.
        known: String,
    },
    /// An output would lie where images are read.
    #[error("{}: lies in {}, which images are read from; choose another place", output.display(), folder.display())]
    OutputInInput {
        /// The output.
        output: PathBuf,
        /// The folder that is read.
        folder: PathBuf,
    },
    /// A folder is to be written into, and there is a file.
    #[error("{}: is a file; name a folder", path.display())]
    IsFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is to be written, and there is a folder.
    #[error("{}: is a folder; name a file", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file is to be written that is there already, and may be of worth.
    #[error("{}: is there already; choose another name", path.display())]
    IsThere {
        /// The file.
        path: PathBuf,
    },
    /// A file is to be written into a folder that is not there.
    #[error("{}: no such folder; make it first", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing can be written there.
    #[error("{}: cannot be written to: {}", path.display(), flawforge_files::reason(.source))]
    NotWritable {
        /// The place that was asked for.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Test images of one sort only, which cannot be scored.
    #[error("{}: scores need test images of both sorts, normal (test/good) and defective", path.display())]
    OneSort {
        /// The category's folder.
        path: PathBuf,
    },
    /// A selection file cannot be read, or its contents are not a valid selection.
    #[error("{}: {reason}", path.display())]
    Selection {
        /// The file.
        path: PathBuf,
        /// Why, in one line.
        reason: String,
    },
    /// The textures of a folder cannot be used.
    #[error("{}: {source}", path.display())]
    Textures {
        /// The folder.
        path: PathBuf,
        /// What is wrong with them.
        source: TextureError,
    },
    /// The images cannot be found or decoded.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}
