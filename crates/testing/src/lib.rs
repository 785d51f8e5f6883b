//! Tests that need something which is not everywhere: they skip through this crate, which says so and counts them.
//!
//! A test that returns early looks like one that passed. [`skip`] prints a line that the test runner does not hold back
//!
//! ```text
//! skipped: bfloat16_trains needs bf16: this processor has no instructions for it
//! ```
//!
//! and two environment variables make use of it:
//!
//! * `FLAWFORGE_SKIPS` names a file to which the line is appended; `.ci/run` counts its lines by need.
//! * `FLAWFORGE_REQUIRE`, a list like `data,bf16`, says what this machine has: a test that skips for lack of it fails.
//!
//! For tests only: a dev-dependency, without dependencies of its own.
//!
//! ```
//! use flawforge_testing::{Need, data, skip};
//!
//! fn a_test_on_real_images() {
//!     let Some(folder) = data("category") else { return };
//!     // ...
//! }
//!
//! fn a_test_on_a_gpu() {
//!     let device: Result<(), &str> = Err("no driver");
//!     match device {
//!         Ok(device) => { /* ... */ }
//!         Err(reason) => skip(Need::Gpu, reason),
//!     }
//! }
//! # a_test_on_a_gpu();
//! ```

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// What a test may need that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Need {
    /// Images or other files that are not in the repository.
    Data,
    /// A processor with instructions for bfloat16.
    Bf16,
    /// An NVIDIA GPU with its driver.
    Gpu,
    /// Another implementation to compare with, or what it made.
    Peer,
    /// Slurm and munge, to start a cluster of.
    Slurm,
}

impl Need {
    /// Every need.
    pub const ALL: [Need; 5] = [Need::Data, Need::Bf16, Need::Gpu, Need::Peer, Need::Slurm];
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Data => "data",
            Need::Bf16 => "bf16",
            Need::Gpu => "gpu",
            Need::Peer => "peer",
            Need::Slurm => "slurm",
        })
    }
}

/// Says that the calling test is skipped for lack of `need`; `why` names what was looked for. The test returns after it.
///
/// # Panics
/// When `FLAWFORGE_REQUIRE` lists `need`, or something that is not a need; when the file that `FLAWFORGE_SKIPS` names
/// cannot be written.
#[track_caller]
pub fn skip(need: Need, why: &str) {
    let line = line(&test_name(Location::caller()), need, why);
    if let Some(required) = std::env::var_os("FLAWFORGE_REQUIRE") {
        match requires(&required.to_string_lossy(), need) {
            Ok(false) => {}
            Ok(true) => panic!("{line} (FLAWFORGE_REQUIRE lists {need})"),
            Err(unknown) => {
                panic!("FLAWFORGE_REQUIRE: {unknown:?} is not one of data, bf16, gpu, peer, slurm")
            }
        }
    }
    // Not `eprintln!`, which the test runner holds back when a test passes. Without a stream to write to, nobody reads.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
    if let Some(file) = std::env::var_os("FLAWFORGE_SKIPS") {
        append(&file, &line).unwrap_or_else(|error| panic!("{}: {error}", file.to_string_lossy()));
    }
}

/// A folder or file of `shared/data` beside the checkout, where developers keep images that cannot be published; none,
/// and [`skip`] is called, where it is absent.
///
/// # Panics
/// As [`skip`].
#[track_caller]
pub fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    skip(Need::Data, &format!("../shared/data/{name} is absent"));
    None
}

fn line(test: &str, need: Need, why: &str) -> String {
    // One line: errors may carry a backtrace in the lines behind the first.
    let why = why.lines().next().unwrap_or_default().trim();
    format!("skipped: {test} needs {need}: {why}")
}

/// The test runner names a test's thread after it, unless all tests run on the main thread.
fn test_name(caller: &Location<'_>) -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => format!("{}:{}", caller.file(), caller.line()),
    }
}

/// Whether a list of needs contains `need`; the error is a word that is not a need.
fn requires(list: &str, need: Need) -> Result<bool, String> {
    let mut found = false;
    for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let listed = Need::ALL.into_iter().find(|need| need.to_string() == word);
        found |= listed.ok_or(word)? == need;
    }
    Ok(found)
}

/// Appends in one write, so that the lines of tests that run at the same time do not mix.
fn append(file: &OsStr, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_with_test_need_and_reason() {
        let found = line("a::b", Need::Gpu, "no driver\n   0: a backtrace");
        assert_eq!(found, "skipped: a::b needs gpu: no driver");
        let here = "tests::a_skip_is_one_line_with_test_need_and_reason";
        let name = test_name(Location::caller());
        assert!(name == here || name.contains("lib.rs:"), "{name}");
    }

    #[test]
    fn lists_of_needs_are_read() {
        assert_eq!(requires("data, bf16", Need::Bf16), Ok(true));
        assert_eq!(requires("data,bf16,", Need::Gpu), Ok(false));
        assert_eq!(requires("", Need::Data), Ok(false));
        assert_eq!(requires("data,bf61", Need::Data), Err("bf61".to_owned()));
    }

    #[test]
    fn lines_are_appended() {
        let file = std::env::temp_dir().join(format!("flawforge-skips-{}", std::process::id()));
        append(file.as_os_str(), "one").expect("a writable folder");
        append(file.as_os_str(), "two").expect("a writable folder");
        let text = std::fs::read_to_string(&file).expect("the file just written");
        std::fs::remove_file(&file).expect("the file just read");
        assert_eq!(text, "one\ntwo\n");
    }
}
