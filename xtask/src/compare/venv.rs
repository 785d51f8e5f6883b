//! Python environments for the baselines, made once under `target/` and used again.

use anyhow::{Context, Result, bail};
use flawforge::files;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Written last, with the packages asked for and those optional ones that could be installed.
const STAMP: &str = "flawforge-packages.txt";

/// The folder for everything that comparisons leave behind: `compare` in cargo's target folder.
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("compare")
}

/// A virtual environment with packages of ours to choose.
#[derive(Debug, Clone)]
pub struct Venv {
    root: PathBuf,
    missing: Vec<String>,
    /// An interpreter that somebody else has installed everything for.
    given: Option<PathBuf>,
}

impl Venv {
    /// The environment `name` with `required` packages and those `optional` ones that can be installed, as pip takes
    /// them (`"numpy"`, `"numpy<2"`). An environment with the same lists is used again.
    ///
    /// The interpreter is `python3`, or what the environment variable `PYTHON` says.
    ///
    /// # Errors
    /// When there is no Python, or a required package cannot be installed.
    pub fn prepare(name: &str, required: &[&str], optional: &[&str]) -> Result<Self> {
        let folder = folder();
        fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        let root = folder.join(name);
        // Two commands at once must not both install; the lock goes with the process.
        let lock = folder.join(format!("{name}.lock"));
        let lock = File::create(&lock).with_context(|| format!("{}: cannot be written", lock.display()))?;
        lock.lock().context("the environment's lock cannot be taken")?;
        let wanted = format!(
            "required {}\noptional {}\n",
            required.join(" "),
            optional.join(" ")
        );
        if let Some(missing) = installed(&root, &wanted) {
            return Ok(Self {
                root,
                missing,
                given: None,
            });
        }
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("{}: cannot be removed", root.display()))?;
        }
        println!("installing into {}: {}", root.display(), required.join(", "));
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        succeed(Command::new(python).args(["-m", "venv"]).arg(&root))?;
        let mut venv = Self {
            root,
            missing: Vec::new(),
            given: None,
        };
        succeed(venv.pip().args(required))?;
        for package in optional {
            println!("installing {package}");
            if let Err(fault) = succeed(venv.pip().arg(package)) {
                println!("{package} skipped: {fault:#}");
                venv.missing.push((*package).to_owned());
            }
        }
        let stamp = format!("{wanted}missing {}\n", venv.missing.join(" "));
        files::write(&venv.root.join(STAMP), stamp.as_bytes())?;
        Ok(venv)
    }

    /// The environment of an interpreter that has the packages already; `optional` ones are taken for missing unless they can
    /// be imported.
    ///
    /// # Errors
    /// When the interpreter cannot be started.
    pub fn installed_at(python: &Path, optional: &[&str]) -> Result<Self> {
        let mut venv = Self {
            root: PathBuf::new(),
            missing: Vec::new(),
            given: Some(python.to_owned()),
        };
        for package in optional {
            let found = venv.python().args(["-c", &format!("import {package}")]).output();
            let found = found.with_context(|| format!("{}: cannot be started", python.display()))?;
            if !found.status.success() {
                venv.missing.push((*package).to_owned());
            }
        }
        Ok(venv)
    }

    /// Installs a wheel in place of any earlier one, without what it asks for: the environment has that.
    ///
    /// # Errors
    /// When the file is not there, or cannot be installed.
    pub fn install(&self, wheel: &Path) -> Result<()> {
        if !wheel.is_file() {
            bail!("{}: no such file", wheel.display());
        }
        succeed(self.pip().args(["--force-reinstall", "--no-deps"]).arg(wheel))
    }

    /// The environment's interpreter.
    pub fn python(&self) -> Command {
        Command::new(self.interpreter())
    }

    /// Whether an optional package, as it was asked for, could be installed.
    pub fn has(&self, package: &str) -> bool {
        !self.missing.iter().any(|missing| missing == package)
    }

    fn interpreter(&self) -> PathBuf {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let (folder, name) = if cfg!(windows) {
            ("Scripts", "python.exe")
        } else {
            ("bin", "python")
        };
        self.root.join(folder).join(name)
    }

    fn pip(&self) -> Command {
        let mut command = self.python();
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        command
    }
}

/// The missing packages of an environment that was completed for the same lists.
fn installed(root: &Path, wanted: &str) -> Option<Vec<String>> {
    let stamp = fs::read_to_string(root.join(STAMP)).ok()?;
    let missing = stamp.strip_prefix(wanted)?.strip_prefix("missing ")?;
    Some(missing.split_whitespace().map(str::to_owned).collect())
}

/// Runs a command whose complaints are only of interest when it fails.
fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{name}: cannot be started"))?;
    if !output.status.success() {
        let complaints = String::from_utf8_lossy(&output.stderr);
        let last = complaints.trim().lines().last().unwrap_or("no message");
        bail!("{name} failed: {last}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_counts_only_when_it_was_completed_for_the_same_packages() {
        let root = tempfile::tempdir().unwrap();
        let wanted = "required numpy torch\noptional onnx\n";
        assert_eq!(installed(root.path(), wanted), None);
        fs::write(root.path().join(STAMP), format!("{wanted}missing onnx\n")).unwrap();
        assert_eq!(installed(root.path(), wanted), Some(vec!["onnx".to_owned()]));
        assert_eq!(installed(root.path(), "required numpy\noptional onnx\n"), None);
        fs::write(root.path().join(STAMP), format!("{wanted}missing \n")).unwrap();
        assert_eq!(installed(root.path(), wanted), Some(Vec::new()));
    }

    #[test]
    fn a_failing_command_says_its_last_complaint() {
        let fault = succeed(Command::new("sh").args(["-c", "echo early >&2; echo last >&2; exit 3"]));
        assert_eq!(fault.unwrap_err().to_string(), "sh failed: last");
        assert!(succeed(&mut Command::new("no-such-program-anywhere")).is_err());
    }
}
