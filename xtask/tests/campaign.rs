//! `cargo xtask campaign` finds a fault where there is one, and none where there is none.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program that takes the arguments of `flawforge` and writes what `--out` names, in the way of `write`.
fn program(folder: &Path, write: &str) -> PathBuf {
    let path = folder.join("program.sh");
    let text =
        format!("#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --out ] && out=$2; shift; done\n{write}\n");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn campaign(program: &Path, out: &Path, only: &str, minutes: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args([
            "campaign",
            "--only",
            only,
            "--scene",
            "export-run,select",
            "--minutes",
            minutes,
        ])
        .arg("--flawforge")
        .arg(program)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_program_that_leaves_half_files_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let half = "printf 'first half,' > $out; sleep 0.2; printf ' second half' >> $out";
    let output = campaign(
        &program(dir.path(), half),
        &dir.path().join("out"),
        "kills",
        "0.12",
    );
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a half file"), "{said}");
    assert!(
        said.contains("again: cargo xtask campaign --only kills --seed 0 --scene "),
        "{said}"
    );
    let json = fs::read(dir.path().join("out/campaign.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(!json[1]["findings"].as_array().unwrap().is_empty(), "{json}");
}

#[test]
fn a_program_that_renames_whole_files_passes() {
    let dir = tempfile::tempdir().unwrap();
    let whole = "printf 'first half,' > .unfinished-x; sleep 0.2; printf ' second half' >> .unfinished-x; mv .unfinished-x $out";
    let output = campaign(
        &program(dir.path(), whole),
        &dir.path().join("out"),
        "kills",
        "0.12",
    );
    let said = stdout(&output);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("kills of "), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_hides_a_failed_write_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let silent = "printf 'some bytes of a result' > $out 2> /dev/null; exit 0";
    let output = campaign(
        &program(dir.path(), silent),
        &dir.path().join("out"),
        "writes",
        "0.15",
    );
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it says that all is well, and "), "{said}");
}
