//! The library that makes the writes of a program fail: compiled here, loaded before the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

const SOURCE: &str = include_str!("../../data/failing_writes.rs");

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failing {
    /// Nothing: bytes and calls are counted.
    Nothing,
    /// The disk is full after so many bytes.
    Byte(u64),
    /// This call, from 0, with the error "input/output".
    Call(u64),
}

/// The library.
#[derive(Debug)]
pub(super) struct Interposer {
    library: PathBuf,
    counts: PathBuf,
}

impl Interposer {
    /// Compiles it; the reason, where that cannot be done here.
    pub(super) fn build(folder: &Path) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("libraries are loaded before a program on Linux alone".to_owned());
        }
        let source = folder.join("failing_writes.rs");
        std::fs::write(&source, SOURCE).map_err(|fault| format!("{}: {fault}", source.display()))?;
        let library = folder.join("failing_writes.so");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "cdylib",
                "-O",
                "-C",
                "panic=abort",
                "-o",
            ])
            .arg(&library)
            .arg(&source)
            .output()
            .map_err(|fault| format!("rustc cannot be started: {fault}"))?;
        match output.status.success() {
            true => Ok(Self {
                library,
                counts: folder.join("counts"),
            }),
            false => Err(format!(
                "rustc does not compile it: {}",
                String::from_utf8_lossy(&output.stderr)
                    .lines()
                    .next()
                    .unwrap_or_default()
            )),
        }
    }

    /// Lets writes below a folder fail in a command.
    pub(super) fn arm(&self, command: &mut Command, below: &Path, failing: Failing) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAILING_BELOW", below);
        match failing {
            Failing::Nothing => command.env("FAILING_COUNTS", &self.counts),
            Failing::Byte(byte) => command.env("FAILING_BYTE", byte.to_string()),
            Failing::Call(call) => command
                .env("FAILING_CALL", call.to_string())
                .env("FAILING_ERRNO", "5"),
        };
    }

    /// Bytes and calls of the last command that ended with [`Failing::Nothing`].
    pub(super) fn counted(&self) -> Result<(u64, u64)> {
        let text = std::fs::read_to_string(&self.counts).context("nothing was counted")?;
        let (bytes, calls) = text.split_once(' ').context("two counts")?;
        Ok((bytes.parse()?, calls.parse()?))
    }
}
