//! `--device`: where a command computes.

use std::fs;

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
    assert!(!std::path::Path::new(out).exists());
}

#[test]
fn settings_files_name_a_device_that_no_run_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("settings.toml");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let train = |out: &str| {
        [
            "train",
            "--demo",
            "gear",
            "--method",
            "draem",
            "--profile",
            "smoke",
            "--steps",
            "4",
            "--held-out",
            "0",
            "--out",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([path(out)])
        .collect::<Vec<_>>()
    };
    let run = |out: &str, more: &[&str]| {
        let words = train(out);
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        words.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let call = |words: &[String]| succeed(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let config = settings.to_str().unwrap();
    fs::write(&settings, format!("device = \"{NOWHERE}\"\n")).unwrap();
    let refused = run("refused", &["--config", config]);
    let said = fault(&refused.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(said.starts_with("error: device cuda:999: "), "{said}");
    // The command line goes first, and the device is no part of the run.
    call(&run("over", &["--config", config, "--device", "cpu"]));
    call(&run("plain", &["--device", "cpu"]));
    for file in ["config.toml", "checkpoint.safetensors"] {
        let read = |run: &str| fs::read(dir.path().join(run).join(file)).unwrap();
        assert!(read("over") == read("plain"), "{file}");
    }
    // Finished and asked for again, wherever.
    call(&run("over", &["--resume", "--device", "cpu"]));
    fs::write(&settings, "device = \"the big one\"\n").unwrap();
    let said = fault(&refused.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        said.contains("settings.toml: setting `device`: \"the big one\" is no device"),
        "{said}"
    );
}
