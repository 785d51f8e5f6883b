//! The example programs, as their first lines say to use them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flawforge::training::{Method, Run};
use flawforge_testing::{Need, skip};

use super::python::{python, succeeds};
use super::support::{path, succeed};
use super::{images, trained};

/// A run, its ONNX file, an image in two formats, and what we say of the image.
struct Exported {
    dir: tempfile::TempDir,
    model: PathBuf,
    score: f64,
}

impl Exported {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = trained(Method::Nsa, "[schedule]\nlength = \"60 steps\"", dir.path());
        let model = dir.path().join("model.onnx");
        succeed(&["export", path(&run), "--out", path(&model)]);
        let image = &images(80, 64)[0];
        image.save(dir.path().join("suspect.png")).unwrap();
        let mut ppm = format!("P6 {} {} 255\n", image.width(), image.height()).into_bytes();
        ppm.extend(image.as_raw());
        fs::write(dir.path().join("suspect.ppm"), ppm).unwrap();
        let scored = Run::open(&run).unwrap().score(image).unwrap();
        let score = f64::from(scored.verdict_score);
        Self { dir, model, score }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Checks the line that an example prints of the image.
    fn check(&self, said: &str) {
        let line = said.lines().find(|line| line.contains("suspect")).unwrap();
        let score = line.split("score ").nth(1).unwrap().split(',').next().unwrap();
        let score: f64 = score.parse().unwrap();
        assert!(
            (score - self.score).abs() < 1e-3,
            "{said}, and we: {}",
            self.score
        );
        assert!(line.contains("highest at column "), "{said}");
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/onnx")
        .join(name)
}

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_example_in_python_scores_as_we_do() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skip(Need::Peer, why),
    };
    if let Err(why) = succeeds(Command::new(python).args(["-c", "import PIL"])) {
        return skip(Need::Peer, &format!("no Pillow beside onnxruntime: {why}"));
    }
    let exported = Exported::new();
    let files = [exported.model.clone(), exported.file("suspect.png")];
    exported.check(&said(Command::new(python).arg(example("score.py")).args(files)));
}

#[test]
fn the_example_in_cpp_scores_as_we_do() {
    let Some(installed) = env::var_os("FLAWFORGE_ONNXRUNTIME").map(PathBuf::from) else {
        return skip(
            Need::Peer,
            "FLAWFORGE_ONNXRUNTIME names no folder with onnxruntime's include and lib",
        );
    };
    let exported = Exported::new();
    let (program, lib) = (exported.file("score"), installed.join("lib"));
    said(
        Command::new("c++")
            .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-I"])
            .arg(installed.join("include"))
            .arg(example("score.cpp"))
            .arg("-L")
            .arg(&lib)
            .args(["-lonnxruntime", "-o"])
            .arg(&program),
    );
    let files = [exported.model.clone(), exported.file("suspect.ppm")];
    exported.check(&said(
        Command::new(program).args(files).env("LD_LIBRARY_PATH", lib),
    ));
}
