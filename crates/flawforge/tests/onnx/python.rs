//! A Python that has ONNX Runtime.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What the script needs.
const PACKAGES: [&str; 2] = ["onnxruntime", "numpy"];
/// What the example in Python needs beside them; an interpreter may lack it.
const EXAMPLE: &str = "pillow";

/// An interpreter with ONNX Runtime and numpy: the one that `FLAWFORGE_ONNX_PYTHON` names, one of `target/venv`, or the system's;
/// where none has them, `target/venv/onnx` is made with pip. Found once a process; the error says what was tried.
pub(crate) fn python() -> Result<&'static Path, &'static str> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(find);
    found.as_deref().map_err(String::as_str)
}

fn find() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os("FLAWFORGE_ONNX_PYTHON") {
        let named = PathBuf::from(named);
        return match has_packages(&named) {
            true => Ok(named),
            false => Err("FLAWFORGE_ONNX_PYTHON names a Python without onnxruntime and numpy".to_owned()),
        };
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv");
    let interpreter = |name: &str| target.join(name).join("bin/python");
    let known = [interpreter("onnx"), interpreter("py"), PathBuf::from("python3")];
    if let Some(found) = known.iter().find(|python| has_packages(python)) {
        return Ok(found.clone());
    }
    install(&target.join("onnx")).map_err(|fault| format!("no Python with onnxruntime, and {fault}"))?;
    Ok(interpreter("onnx"))
}

fn has_packages(python: &Path) -> bool {
    let import = format!("import {}", PACKAGES.join(", "));
    succeeds(Command::new(python).args(["-c", &import])).is_ok()
}

fn install(venv: &Path) -> Result<(), String> {
    let fault = |fault: std::io::Error| fault.to_string();
    fs::create_dir_all(venv).map_err(fault)?;
    // Two test programs at once must not both install; the lock goes with the process.
    let lock = File::create(venv.with_extension("lock")).map_err(fault)?;
    lock.lock().map_err(fault)?;
    let python = venv.join("bin/python");
    if has_packages(&python) {
        return Ok(());
    }
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    let quiet = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        "20",
    ];
    succeeds(Command::new(&python).args(quiet).args(PACKAGES).arg(EXAMPLE))
}

pub(crate) fn succeeds(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|fault| format!("{name} does not start: {fault}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{name} fails: {}",
            complaints.trim().lines().last().unwrap_or("no message")
        )),
    }
}
