//! The servers that are compared: commands that are started, say where they listen, and are ended.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::client::Connection;
use crate::compare::venv;

/// The other side.
const PYTHON: &str = include_str!("server.py");

/// A server that listens.
pub(super) struct Side {
    name: &'static str,
    child: Child,
    address: SocketAddr,
    path: String,
}

impl Side {
    /// `flawforge serve`.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) fn ours(flawforge: Option<&Path>, run: &Path) -> Result<Self> {
        let program = match flawforge {
            Some(path) => path.to_path_buf(),
            None => std::env::current_exe()
                .context("this program")?
                .with_file_name(format!("flawforge{}", std::env::consts::EXE_SUFFIX)),
        };
        let mut command = Command::new(&program);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg(format!("it={}", run.display()));
        command.env_remove("FLAWFORGE_TOKEN");
        Self::start("flawforge serve", command, "/v1/runs/it/score")
            .with_context(|| program.display().to_string())
    }

    /// FastAPI and onnxruntime.
    ///
    /// # Errors
    /// If it does not start.
    pub(super) fn python(python: &Path, onnx: &Path, threads: Option<u32>) -> Result<Self> {
        let folder = venv::folder();
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let script = folder.join("http_server.py");
        flawforge::files::write(&script, PYTHON.as_bytes())?;
        let mut command = Command::new(python);
        command.arg(&script).arg(onnx);
        command.args(threads.map(|threads| threads.to_string()));
        Self::start("fastapi+onnxruntime", command, "/score").with_context(|| python.display().to_string())
    }

    fn start(name: &'static str, mut command: Command, path: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot be started")?;
        let out = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            bail!("{name} does not listen: {line:?}");
        };
        Ok(Self {
            name,
            child,
            address,
            path: path.to_owned(),
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The score of one image.
    ///
    /// # Errors
    /// An answer without one.
    pub(super) fn score(&self, image: &[u8]) -> Result<f64> {
        let (status, body) = Connection::open(self.address)?.post(&self.path, image)?;
        let said: serde_json::Value = serde_json::from_slice(&body)
            .with_context(|| format!("{}: status {status}, no JSON", self.name))?;
        said["images"][0]["score"]
            .as_f64()
            .with_context(|| format!("{}: status {status}: {said}", self.name))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
