//! `cargo xtask sweep …` as a user and a scheduler meet it, without a scheduler.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const CELLS: [&str; 2] = ["draem-gear-s0", "lin-yan-gear-s0"];

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"] {
        command.env_remove(variable);
    }
    command
}

/// A small sweep into `out`: the words of `what`, then its options.
fn with_options(what: &[&str], out: &Path, more: &[&str]) -> Output {
    let mut command = xtask(what);
    command.arg("--downloads").arg(out.join("downloads"));
    command
        .arg("--out")
        .arg(out)
        .args(["--profile", "smoke", "--categories", "gear"]);
    command
        .args(["--methods", "draem,lin-yan", "--no-times"])
        .args(more);
    command.output().unwrap()
}

fn plan(out: &Path, more: &[&str]) -> Output {
    with_options(&["sweep", "plan", "--reproduce", "table3"], out, more)
}

fn sweep(what: &str, out: &Path, more: &[&str]) -> Output {
    xtask(&["sweep", what, "--out", out.to_str().unwrap()])
        .args(more)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", stderr(output));
    stderr(output)
}

#[cfg(unix)]
fn kill(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn a_stopped_cell_goes_on_and_the_tables_are_those_of_the_local_pool() {
    let dir = tempfile::tempdir().unwrap();
    let (out, local) = (dir.path().join("out"), dir.path().join("local"));
    let settings = dir.path().join("settings.toml");
    fs::write(
        &settings,
        "[schedule]\nlength = \"40 steps\"\n[every]\ncheckpoint = 5\npanel = 0\n",
    )
    .unwrap();
    let config = ["--config", settings.to_str().unwrap()];
    let said = stderr(&plan(&out, &config));
    assert!(
        said.contains("2 cells (0 finished)") && said.contains("longest cell"),
        "{said}"
    );
    let manifest = fs::read_to_string(out.join("sweep/manifest.jsonl")).unwrap();
    for (index, (line, name)) in manifest.lines().zip(CELLS).enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["index"], &line["cell"]), (&index.into(), &name.into()));
        assert_eq!((&line["images"], &line["steps"]), (&60.into(), &40.into()));
        assert_eq!(line["hash"].as_str().unwrap().len(), 64);
        assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["bytes"].as_u64().unwrap() > 1_000_000);
        assert!(line["simulated"].is_string());
    }

    // The first signal saves and ends with a code of its own; more of them change nothing about that.
    let cell = out.join("cells").join(CELLS[0]);
    let mut child = xtask(&["sweep", "cell", "--out", out.to_str().unwrap()])
        .env("SLURM_ARRAY_TASK_ID", "0")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    while !cell.join("checkpoint.safetensors").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = good(sweep("status", &out, &[]));
    assert!(
        status.contains("0 done, 1 running, 1 missing, 0 failed"),
        "{status}"
    );
    assert!(
        status.contains(&format!("process {} on ", child.id())),
        "{status}"
    );
    assert!(status.contains("--array=1\n"), "{status}");
    kill(child.id(), "USR1");
    let _ = Command::new("kill")
        .args(["-s", "TERM", &child.id().to_string()])
        .status();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert!(!cell.join("result.json").exists() && !cell.join(".lock").exists());
    let status = good(sweep("status", &out, &[]));
    assert!(
        status.contains("missing 0 draem-gear-s0: begun, and goes on from its checkpoint\n"),
        "{status}"
    );
    let early = sweep("tables", &out, &[]);
    assert!(refused(&early).contains("no cell is done"), "{}", stderr(&early));

    for index in ["0", "1"] {
        good(sweep("cell", &out, &["--index", index]));
    }
    let status = good(sweep("status", &out, &[]));
    assert_eq!(status.lines().count(), 1, "{status}");
    assert!(
        status.contains("2 done, 0 running, 0 missing, 0 failed"),
        "{status}"
    );
    let printed = good(sweep("tables", &out, &[]));
    assert!(!printed.contains("seconds"), "{printed}");
    good(with_options(&["reproduce-table3"], &local, &config));
    for end in ["md", "csv", "json"] {
        let read = |out: &Path| fs::read(out.join(format!("table3.{end}"))).unwrap();
        assert!(
            read(&out) == read(&local),
            "table3.{end} is not that of the local pool"
        );
    }
}

#[test]
fn a_plan_counts_the_windows_of_a_view() {
    let dir = tempfile::tempdir().unwrap();
    let settings = dir.path().join("tiles.toml");
    fs::write(
        &settings,
        "[view]\nkind = \"tiles\"\nscale = 1.0\noverlap = 0.375\nwhole = false\n",
    )
    .unwrap();
    let bytes = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let mut plan = xtask(&["sweep", "plan", "--reproduce", "table3", "--profile", "smoke"]);
        plan.args(["--categories", "sheet", "--methods", "draem", "--out"])
            .arg(&out)
            .arg("--downloads")
            .arg(out.join("downloads"))
            .args(more);
        good(plan.output().unwrap());
        let manifest = fs::read_to_string(out.join("sweep/manifest.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
        (line["bytes"].as_u64().unwrap(), line["images"].as_u64().unwrap())
    };
    let (square, images) = bytes("square", &[]);
    let (tiles, _) = bytes("tiles", &["--config", settings.to_str().unwrap()]);
    // Sheets are held at their own size, 2048x1024; squares of `smoke` are 64 px.
    let more = images * 3 * (2048 * 1024 - 64 * 64);
    assert_eq!(tiles, square + more);
}

#[test]
fn what_is_not_the_plan_is_refused_and_failures_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let missing = refused(&sweep("status", &out, &[]));
    assert!(
        missing.contains("plan.json: no such file; `sweep plan"),
        "{missing}"
    );
    let shard = refused(&plan(&out, &["--shard", "0/2"]));
    assert!(shard.contains("--shard"), "{shard}");

    let settings = dir.path().join("settings.toml");
    fs::write(&settings, "[schedule]\nlength = \"2 steps\"\n").unwrap();
    good(plan(
        &out,
        &["--config", settings.to_str().unwrap(), "--no-estimate"],
    ));
    for (arguments, expected) in [
        (&[][..], "--index is missing"),
        (&["--index", "2"], "they go from 0 to 1"),
        (
            &["--index", "0", "--plan", "0123456789ab"],
            "plan 0123456789ab was asked for",
        ),
    ] {
        let said = refused(&sweep("cell", &out, arguments));
        assert!(said.contains(expected), "{said}");
    }
    assert!(!out.join("cells").exists(), "nothing was trained");

    // Settings of today are not those that were planned.
    fs::write(&settings, "[schedule]\nlength = \"3 steps\"\n").unwrap();
    let said = refused(&sweep("cell", &out, &["--index", "0"]));
    assert!(
        said.contains("draem-gear-s0: not the cell that was planned"),
        "{said}"
    );
    let status = good(sweep("status", &out, &[]));
    assert!(
        status.contains("0 done, 0 running, 1 missing, 1 failed"),
        "{status}"
    );
    assert!(
        status.contains("failed 0 draem-gear-s0: not the cell"),
        "{status}"
    );
    assert!(status.contains("--array=0-1\n"), "{status}");
    // Once it is done, the failure is forgotten.
    fs::write(&settings, "[schedule]\nlength = \"2 steps\"\n").unwrap();
    good(sweep("cell", &out, &["--index", "0"]));
    let again = sweep("cell", &out, &["--index", "0"]);
    assert!(stderr(&again).contains("finished before"), "{}", stderr(&again));
    let status = good(sweep("status", &out, &[]));
    assert!(
        status.contains("1 done, 0 running, 1 missing, 0 failed"),
        "{status}"
    );
    let tables = sweep("tables", &out, &[]);
    assert!(
        refused(&tables).contains("1 of 2 cells are not done"),
        "{}",
        stderr(&tables)
    );
    assert!(out.join("table3.md").exists());
}

#[test]
fn a_device_is_said_by_whoever_computes_and_is_no_part_of_a_plan() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let said = |output: &Output| {
        let line = refused(output);
        assert!(
            line.contains("error: device cuda:999: ") && line.contains("there is cpu"),
            "{line}"
        );
    };
    let nowhere = ["--device", "cuda:999"];
    said(&with_options(&["reproduce-table2"], &out, &nowhere));
    let settings = dir.path().join("settings.toml");
    fs::write(&settings, "device = 999\n").unwrap();
    let config = ["--config", settings.to_str().unwrap()];
    said(&with_options(&["reproduce-table2"], &out, &config));
    said(&plan(&out, &nowhere));
    let number = |more: &[&str]| {
        good(plan(&out, &[&["--no-estimate"], more].concat()));
        fs::read_to_string(out.join("sweep/plan.json")).unwrap()
    };
    assert_eq!(number(&["--device", "cpu"]), number(&[]));
    said(&sweep("cell", &out, &[&["--index", "0"], &nowhere[..]].concat()));
    said(&sweep("tables", &out, &nowhere));
    said(
        &xtask(&[
            "export-maps",
            "--run",
            "no-run",
            "--out",
            "no-out",
            "--device",
            "cuda:999",
        ])
        .output()
        .unwrap(),
    );
}
