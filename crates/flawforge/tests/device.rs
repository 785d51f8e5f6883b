//! `--device`: where a command computes.

use std::fs;
use std::path::Path;

use crate::support::{fault, flawforge, succeed};

/// No machine has so many.
const NOWHERE: &str = "cuda:999";

#[test]
fn every_command_that_computes_refuses_a_device_that_is_not_there_before_anything_else() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("out");
    let out = out.to_str().unwrap();
    for command in [
        &["train", "--demo", "gear", "--out", out][..],
        &["predict", "x.png", "--run", "no-run", "--out", out],
        &["evaluate", "--demo", "gear", "--run", "no-run"],
        &["report", "no-run", "--out", "no.html"],
        &["serve", "no-run", "--listen", "127.0.0.1:0"],
        &["check", "no-folder"],
    ] {
        let said = fault(&[command, &["--device", NOWHERE]].concat());
        assert!(
            said.starts_with("error: device cuda:999: ") && said.contains("there is cpu"),
            "{command:?}: {said}"
        );
        let wrong = flawforge(&[command, &["--device", "gpu"]].concat());
        assert_eq!(wrong.status.code(), Some(2), "{command:?}");
        let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(text.contains("cpu, cuda, cuda:N, N or metal"), "{text}");
    }
    assert!(!Path::new(out).exists());
}

#[test]
fn settings_files_name_a_device_that_no_run_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (refused, over, plain, settings) = (
        path("refused"),
        path("over"),
        path("plain"),
        path("settings.toml"),
    );
    let train = "train --demo gear --method draem --profile smoke --steps 4 --held-out 0 --out";
    let train: Vec<&str> = train.split(' ').collect();
    let named = [&train[..], &[refused.as_str(), "--config", settings.as_str()]].concat();
    fs::write(&settings, format!("device = \"{NOWHERE}\"\n")).unwrap();
    let said = fault(&named);
    assert!(said.starts_with("error: device cuda:999: "), "{said}");
    // The command line goes first, and the device is no part of the run.
    let here = ["--device", "cpu"];
    succeed(&[&train[..], &[over.as_str(), "--config", settings.as_str()], &here].concat());
    succeed(&[&train[..], &[plain.as_str()], &here].concat());
    for file in ["config.toml", "checkpoint.safetensors"] {
        let read = |run: &str| fs::read(Path::new(run).join(file)).unwrap();
        assert!(read(&over) == read(&plain), "{file}");
    }
    // Finished with a device in its settings file, and asked for again without.
    succeed(&[&train[..], &[over.as_str(), "--resume"], &here].concat());
    fs::write(&settings, "device = \"the big one\"\n").unwrap();
    let said = fault(&named);
    assert!(
        said.contains("settings.toml: setting `device`: \"the big one\" is no device"),
        "{said}"
    );
}
