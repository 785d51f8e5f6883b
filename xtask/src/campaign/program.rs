//! The programs that are tried, and how one is run to its end.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Nothing in the campaign takes longer, but for its part `long`.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The programs of this checkout.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The `flawforge` command.
    pub flawforge: PathBuf,
    /// This program.
    pub xtask: PathBuf,
}

impl Programs {
    /// The programs: the one that is named, or that of this checkout, built anew where cargo started this one.
    ///
    /// # Errors
    /// When there is none, or it cannot be built.
    pub fn find(named: Option<&Path>) -> Result<Self> {
        let xtask = std::env::current_exe().context("this program cannot be found")?;
        let flawforge = match named {
            Some(named) => named
                .canonicalize()
                .with_context(|| format!("{}: cannot be found", named.display()))?,
            None => {
                build()?;
                xtask.with_file_name(format!("flawforge{}", std::env::consts::EXE_SUFFIX))
            }
        };
        if !flawforge.is_file() {
            bail!(
                "{}: is not there; `cargo build --release --workspace --bins` builds it, --flawforge names another",
                flawforge.display()
            );
        }
        Ok(Self { flawforge, xtask })
    }
}

/// Builds the command, where cargo started this program: nothing old is tried.
fn build() -> Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else {
        return Ok(());
    };
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--package",
            "flawforge",
            "--package",
            "xtask",
            "--bins",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status()
        .context("cargo cannot be started")?;
    match status.success() {
        true => Ok(()),
        false => bail!("the command cannot be built"),
    }
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status; `None` where it was killed for taking too long.
    pub status: Option<ExitStatus>,
    /// What it wrote to standard error.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// Whether it ended well.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Its end in words.
    pub fn how(&self) -> String {
        self.status
            .map_or_else(|| "no end".to_owned(), |status| status.to_string())
    }

    /// The last line that it said.
    pub fn last(&self) -> &str {
        self.said
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("")
    }
}

/// A process that runs.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub child: Child,
    said: Option<JoinHandle<String>>,
    begun: Instant,
}

impl Running {
    /// Starts a command. What it says comes through a pipe: no limit on files is in its way.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{}: cannot be started", command.get_program().display()))?;
        let said = child.stderr.take().map(|mut pipe| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                // What was said up to a fault is all that there is.
                let _ = pipe.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            child,
            said,
            begun: Instant::now(),
        })
    }

    /// Waits for its end, for so long; then it is killed, by a signal that it cannot catch.
    ///
    /// # Errors
    /// When the system cannot wait for it.
    pub fn end(mut self, patience: Duration) -> Result<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break Some(status);
            }
            if self.begun.elapsed() > patience {
                self.child.kill()?;
                self.child.wait()?;
                break None;
            }
            thread::sleep(Duration::from_millis(3));
        };
        self.ended(status)
    }

    fn ended(mut self, status: Option<ExitStatus>) -> Result<Ended> {
        let said = self.said.take().and_then(|reading| reading.join().ok());
        Ok(Ended {
            status,
            said: said.unwrap_or_default(),
            took: self.begun.elapsed(),
        })
    }
}
