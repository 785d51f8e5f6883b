//! Runs the `flawforge` command from outside.

#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Output};

use image::{DynamicImage, GrayImage, ImageReader, Luma};

/// The command without the weights that whoever tests may have fetched: the default method depends on them.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flawforge"));
    command.env(
        "FLAWFORGE_WEIGHTS",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/no-weights"),
    );
    command
}

pub(crate) fn flawforge(arguments: &[&str]) -> Output {
    command().args(arguments).output().expect("the command starts")
}

pub(crate) fn succeed(arguments: &[&str]) -> (String, String) {
    let output = flawforge(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {err}");
    (out, err)
}

/// The last line on standard error of a command that must fail with exit code 1.
pub(crate) fn fault(arguments: &[&str]) -> String {
    let output = flawforge(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
    assert!(
        !text.contains("panicked") && !text.contains("backtrace"),
        "{text}"
    );
    let faults: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(faults.len(), 1, "one line tells the fault: {text}");
    assert_eq!(text.lines().last(), faults.first().copied(), "{text}");
    faults[0].to_owned()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("a readable path")
}

pub(crate) fn open(path: &Path) -> DynamicImage {
    ImageReader::open(path)
        .unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
        .decode()
        .expect("a picture")
}

/// A grey texture with a pattern, of any size.
pub(crate) fn grey(width: u32, height: u32, shift: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        Luma([(80 + (x * 7 + y * 3 + shift) % 90) as u8])
    })
}
