//! What can go wrong between an address and a folder: one line an error, naming the file or address.

use std::path::{Path, PathBuf};

/// A failed download, check or extraction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The catalogue has no such data set.
    #[error("unknown data set \"{name}\": there are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// A catalogue entry is not sound.
    #[error("data set \"{name}\" in the catalogue: {fault}")]
    Catalogue {
        /// The entry.
        name: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// Another process works on the same data set.
    #[error("{who}")]
    Busy {
        /// The folder, and who is there.
        who: String,
    },
    /// No address served the right file.
    #[error("no address served {archive}: {}\nfetch it by hand ({page}) and pass it with --archive FILE", reasons.join("; "))]
    NoAddress {
        /// Name of the archive.
        archive: String,
        /// The page to find it at.
        page: String,
        /// One reason an address, in the order tried.
        reasons: Vec<String>,
    },
    /// The file is not the one that the catalogue describes.
    #[error("{}: not the expected file: {fault}", path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// Length or hash, expected and found.
        fault: String,
    },
    /// The archive holds something that is not unpacked.
    #[error("{}: refused: {fault}", archive.display())]
    Hostile {
        /// The archive.
        archive: PathBuf,
        /// The entry and what is wrong with it.
        fault: String,
    },
    /// The archive is damaged, or of a kind that is not read.
    #[error("{}: cannot be unpacked: {fault}", archive.display())]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// What the decoder said.
        fault: String,
    },
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl DownloadError {
    /// For `map_err` on a file's operations.
    pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
