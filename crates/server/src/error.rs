//! Why a server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why a server does not start, in one line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A run cannot be served.
    #[error("run {}: {fault}", path.display())]
    Run {
        /// Its folder or file.
        path: PathBuf,
        /// What is wrong.
        fault: String,
    },
    /// Two runs have one name.
    #[error("two runs are called {0}; name one of them otherwise: NAME=RUN")]
    SameName(String),
    /// A name cannot be part of an address.
    #[error(
        "run name \"{0}\": a name is made of letters, digits, '-', '_' and '.'; give another one: NAME=RUN"
    )]
    Name(String),
    /// There is nothing to serve.
    #[error("no run was named")]
    NoRun,
    /// It cannot listen there.
    #[error("{address}: cannot be listened on: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's report.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("a thread of the server cannot be started: {0}")]
    Thread(io::Error),
}
