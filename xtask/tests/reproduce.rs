//! `cargo xtask reproduce-…` as a user meets it: the whole run, the interrupted run, and bad input.

use flawforge::datasets::{Category, Limits, Loading, demo};
use flawforge::metrics::{AUPRO_LIMIT, Metric, PixelScores};
use flawforge::training::{Run, evaluate};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tiff::decoder::{Decoder, DecodingResult};

const DEMO: &str = "weave";

/// A sweep of the smoke profile into `out`.
fn command(what: &str, out: &Path, arguments: &[&str]) -> Command {
    let mut command = xtask(what, out, arguments);
    command.args(["--profile", "smoke"]);
    command
}

/// Any command with an `--out`.
fn xtask(what: &str, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // An empty folder of downloads: the tests must not find what the machine has.
    command.arg(what).arg("--downloads").arg(out.join("downloads"));
    command.arg("--out").arg(out).args(arguments).stdin(Stdio::null());
    command
}

fn run(out: &Path, arguments: &[&str]) -> Output {
    command("reproduce-table2", out, arguments).output().unwrap()
}

/// The output of a command that must succeed: what it printed, and what it said beside.
fn succeed(mut command: Command) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// What a command that must fail said.
fn refused(outcome: &Output) -> String {
    let text = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(!outcome.status.success(), "{text}");
    text
}

fn read(path: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
        .unwrap()
}

/// A result without what may differ between two runs of the same cell: the time it took.
fn figures(out: &Path, cell: &str) -> Value {
    let mut result = read(out.join("cells").join(cell).join("result.json"));
    assert!(result["train_seconds"].as_f64().unwrap() > 0.0);
    result["train_seconds"] = Value::Null;
    result
}

#[test]
fn two_methods_are_trained_scored_and_tabled_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(dir.path(), &["--categories", DEMO, "--methods", "draem,lin-yan"]);
    let errors = String::from_utf8_lossy(&first.stderr).into_owned();
    assert!(first.status.success(), "{errors}");
    assert!(
        errors.contains("generated demo data") && errors.contains("cargo xtask download"),
        "{errors}"
    );
    for method in ["draem", "lin-yan"] {
        let name = format!("{method}-{DEMO}-s0");
        let result = figures(dir.path(), &name);
        assert_eq!(
            (result["method"].as_str(), result["category"].as_str()),
            (Some(method), Some(DEMO))
        );
        assert_eq!(
            (result["seed"].as_u64(), result["profile"].as_str()),
            (Some(0), Some("smoke"))
        );
        assert!(result["steps"].as_u64().unwrap() > 0 && result["config_hash"].as_str().unwrap().len() == 64);
        for score in ["image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro"] {
            let value = result[score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{score} {value}");
        }
        let cell = dir.path().join("cells").join(name);
        for file in [
            "checkpoint.safetensors",
            "config.toml",
            "metrics.jsonl",
            "heatmaps.png",
        ] {
            assert!(cell.join(file).is_file(), "{file}");
        }
    }
    let table = fs::read_to_string(dir.path().join("table2.md")).unwrap();
    assert!(
        table.contains(&format!("| {DEMO} |")) && table.contains("| average |") && table.contains("paper")
    );
    assert!(String::from_utf8_lossy(&first.stdout).contains(table.trim_end()));
    assert_eq!(
        read(dir.path().join("table2.json"))["cells"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("table2.csv"))
            .unwrap()
            .lines()
            .count(),
        1 + 4
    );

    let stamp = |name: &str| {
        fs::metadata(dir.path().join("cells").join(name).join("checkpoint.safetensors"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = stamp(&format!("draem-{DEMO}-s0"));
    let again = run(dir.path(), &["--categories", DEMO, "--methods", "draem,lin-yan"]);
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("2 finished, 0 to run"));
    assert_eq!(stamp(&format!("draem-{DEMO}-s0")), before);
}

#[test]
fn a_killed_run_ends_with_the_same_figures_whatever_the_parallelism() {
    let whole = tempfile::tempdir().unwrap();
    let broken = tempfile::tempdir().unwrap();
    let arguments = ["--categories", DEMO, "--methods", "lin-yan", "--seeds", "2"];
    succeed(command("reproduce-table3", whole.path(), &arguments));

    // Killed as soon as the first checkpoint is there, and once more a moment later: SIGKILL leaves no time to tidy up.
    let checkpoint = broken
        .path()
        .join(format!("cells/lin-yan-{DEMO}-s0/checkpoint.safetensors"));
    for wait in [Duration::ZERO, Duration::from_millis(150)] {
        let mut child = command("reproduce-table3", broken.path(), &arguments)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(300);
        while !checkpoint.exists() && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "no checkpoint was written");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        !broken.path().join("table3.md").exists(),
        "killed too late to show anything"
    );
    let mut arguments = arguments.to_vec();
    arguments.extend(["--jobs", "2"]);
    succeed(command("reproduce-table3", broken.path(), &arguments));
    for seed in 0..2 {
        let cell = format!("lin-yan-{DEMO}-s{seed}");
        assert_eq!(figures(whole.path(), &cell), figures(broken.path(), &cell));
        let simulated = |out: &Path| read(out.join("cells").join(&cell).join("simulated.json"));
        assert_eq!(simulated(whole.path()), simulated(broken.path()));
    }
    assert_ne!(
        figures(whole.path(), &format!("lin-yan-{DEMO}-s0"))["pixel_ap"],
        figures(whole.path(), &format!("lin-yan-{DEMO}-s1"))["pixel_ap"],
        "seeds must matter"
    );
}

#[test]
fn one_set_of_cells_serves_all_tables_and_the_figure() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    let (printed, _) = succeed(command(
        "reproduce-all",
        out,
        &["--categories", DEMO, "--hardest", "1"],
    ));
    for table in ["table1", "table2", "table3", "table4"] {
        let text = fs::read_to_string(out.join(format!("{table}.md"))).unwrap();
        assert!(printed.contains(text.trim_end()), "{table}");
        let json = read(out.join(format!("{table}.json")));
        let grid = &json["grids"][0];
        let (methods, rows) = (
            grid["methods"].as_array().unwrap(),
            grid["rows"].as_array().unwrap(),
        );
        assert_eq!(
            grid["entries"].as_array().unwrap().len(),
            methods.len() * rows.len(),
            "{table}: a cell is empty\n{text}"
        );
    }
    assert_eq!(
        read(out.join("table4.json"))["methods"].as_array().unwrap().len(),
        4
    );
    let figure = image::open(out.join("figure4.png")).unwrap();
    assert!(figure.width() > 6 * 192 && figure.height() > 192);
    let rows = read(out.join("figure4.json"));
    assert_eq!(rows["rows"].as_array().unwrap().len(), 1);

    // Nothing is left to do for any single table, and what is lost of a cell alone is made again.
    let cell = out.join("cells").join(format!("lin-yan-{DEMO}-s0"));
    let before = read(cell.join("simulated.json"));
    fs::remove_file(cell.join("simulated.json")).unwrap();
    let (_, said) = succeed(command("reproduce-table4", out, &["--categories", DEMO]));
    assert!(said.contains("0 to run"), "{said}");
    let (_, said) = succeed(command("reproduce-table3", out, &["--categories", DEMO]));
    assert!(
        said.contains("1 to run") && !said.contains("image AUROC"),
        "{said}"
    );
    assert_eq!(before, read(cell.join("simulated.json")));

    exported_set_gives_the_same_figures(out, &before);
    exported_maps_give_the_same_figures(out);
}

/// The same figure, but for the last bits, which a number loses on its way through JSON.
fn same(written: &Value, value: f64) {
    let written = written.as_f64().unwrap();
    assert!((written - value).abs() < 1e-12, "{written} {value}");
}

/// `simulate-dataset` writes the very pictures that table 3 was scored on.
fn exported_set_gives_the_same_figures(out: &Path, simulated: &Value) {
    let set = out.join("set");
    let arguments = ["--categories", DEMO, "--size", "64"];
    succeed(xtask("simulate-dataset", &set, &arguments));
    let category = Category::open(&set.join(DEMO), &Loading::opencv(64, 64), &Limits::default()).unwrap();
    let detector = Run::open(&out.join("cells").join(format!("lin-yan-{DEMO}-s0")))
        .unwrap()
        .detector()
        .unwrap();
    let kinds = simulated["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 5);
    for kind in kinds {
        let name = kind["kind"].as_str().unwrap();
        let mut of_kind = category.clone();
        of_kind
            .test
            .retain(|test| !test.is_defective() || test.defect == name);
        assert_eq!(
            kind["normal"].as_u64().unwrap() + kind["anomalous"].as_u64().unwrap(),
            of_kind.test.len() as u64
        );
        let scores = evaluate(&*detector, &of_kind).unwrap().scores;
        for (figure, metric) in [
            ("pixel_auroc", Metric::PixelAuroc),
            ("pixel_ap", Metric::PixelAp),
            ("image_auroc", Metric::ImageAuroc),
        ] {
            same(&kind[figure], scores[&metric]);
        }
    }
    let full = xtask("simulate-dataset", &set, &arguments).output().unwrap();
    let said = refused(&full);
    assert!(said.contains("is not empty"), "{said}");
}

/// `export-maps` writes the maps that a cell was scored by.
fn exported_maps_give_the_same_figures(out: &Path) {
    let maps = out.join("maps");
    let cells = out.to_str().unwrap();
    succeed(xtask(
        "export-maps",
        &maps,
        &["--cells", cells, "--method", "draem"],
    ));
    let category = demo::category(DEMO, &Loading::opencv(64, 64), 0).unwrap();
    let mut scores = PixelScores::exact();
    for test in &category.test {
        let path = maps.join(DEMO).join("test").join(format!("{}.tiff", test.name));
        let mut decoder = Decoder::new(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(decoder.dimensions().unwrap(), (64, 64));
        match decoder.read_image().unwrap() {
            DecodingResult::F32(map) => scores.push(&map, test.mask.pixels(), 64, 64).unwrap(),
            _ => panic!("{}: not 32-bit floats", path.display()),
        }
    }
    let metrics = scores.finish(AUPRO_LIMIT).unwrap();
    let result = figures(out, &format!("draem-{DEMO}-s0"));
    same(&result["pixel_auroc"], metrics.auroc);
    same(&result["aupro"], metrics.aupro);
    let unknown = xtask("export-maps", &maps, &["--cells", cells, "--seed", "7"])
        .output()
        .unwrap();
    let said = refused(&unknown);
    assert!(said.contains("no finished cell of lin-yan with seed 7"), "{said}");
}

/// A small data set in MVTec layout, in whose category `part` one thing can then be broken.
fn data_set(root: &Path) -> PathBuf {
    let part = root.join("part");
    for dir in ["train/good", "test/good", "test/dent", "ground_truth/dent"] {
        fs::create_dir_all(part.join(dir)).unwrap();
    }
    let picture = |level: u8| {
        image::RgbImage::from_fn(70, 50, |x, y| image::Rgb([level, (3 * x) as u8, (4 * y) as u8]))
    };
    for index in 0..4 {
        picture(40 + index)
            .save(part.join(format!("train/good/{index:03}.png")))
            .unwrap();
    }
    picture(90).save(part.join("test/good/000.png")).unwrap();
    picture(200).save(part.join("test/dent/000.png")).unwrap();
    let mask = image::GrayImage::from_fn(70, 50, |x, _| image::Luma([if x < 30 { 255 } else { 0 }]));
    mask.save(part.join("ground_truth/dent/000_mask.png")).unwrap();
    part
}

#[test]
fn bad_input_ends_at_once_in_one_clear_line() {
    type Break = fn(&Path);
    let cases: [(&str, Break, &[&str], &[&str]); 6] = [
        (
            "missing folder",
            |_| {},
            &["--data", "/nowhere/at/all"],
            &["/nowhere/at/all", "no such folder"],
        ),
        (
            "unknown category",
            |_| {},
            &["--categories", "prat"],
            &["unknown category", "prat", "part"],
        ),
        (
            "unknown method",
            |_| {},
            &["--methods", "dream"],
            &["unknown method", "dream", "draem"],
        ),
        (
            "empty category",
            |part| {
                fs::remove_dir_all(part.join("train"))
                    .and_then(|()| fs::create_dir_all(part.join("train/good")))
                    .unwrap()
            },
            &[],
            &["train"],
        ),
        (
            "mask without image",
            |part| fs::remove_file(part.join("test/dent/000.png")).unwrap(),
            &[],
            &["000_mask.png"],
        ),
        (
            "corrupt PNG",
            |part| {
                let file = part.join("test/good/000.png");
                let bytes = fs::read(&file).unwrap();
                fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
            },
            &[],
            &["test/good/000.png"],
        ),
    ];
    for (what, damage, arguments, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let part = data_set(&dir.path().join("data"));
        damage(&part);
        let out = dir.path().join("out");
        let root = dir.path().join("data");
        let mut all = vec!["--data", root.to_str().unwrap()];
        if arguments.first() == Some(&"--data") {
            all.clear();
        }
        all.extend(arguments);
        let outcome = run(&out, &all);
        let text = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(!outcome.status.success(), "{what} was accepted: {text}");
        let faults: Vec<_> = text.lines().filter(|line| line.starts_with("error")).collect();
        assert_eq!(faults.len(), 1, "{what}: {text}");
        for part in expected {
            assert!(faults[0].contains(part), "{what}: {text}");
        }
        assert!(!text.contains("panicked"), "{what}: {text}");
        assert!(!out.join("cells").exists(), "{what}: training began");
    }
}

#[test]
fn a_name_alone_brings_no_facts_about_mvtec() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    // Nothing can be scored here, so that the sweep ends before it trains, after it has said what it would take.
    for (name, defect) in [("bottle", "dent"), ("leather", "stain"), ("tile", "oil")] {
        for folder in [
            "train/good".to_owned(),
            format!("test/{defect}"),
            format!("ground_truth/{defect}"),
        ] {
            fs::create_dir_all(root.join(name).join(folder)).unwrap();
        }
        fs::write(root.join(name).join("train/good/000.png"), b"not looked at").unwrap();
    }
    let out = dir.path().join("out");
    let text = refused(&run(
        &out,
        &["--data", root.to_str().unwrap(), "--methods", "lin-yan"],
    ));
    assert!(text.contains("of both sorts"), "{text}");
    assert!(
        text.contains("selection of bottle, leather: default: the paper's three kinds"),
        "{text}"
    );
    assert!(
        text.contains("selection of tile: built-in (MVTec AD by its layout)"),
        "{text}"
    );
}

#[test]
fn odd_sizes_run_and_other_settings_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let part = data_set(&dir.path().join("data"));
    let out = dir.path().join("out");
    // A category's own folder is a data set, too.
    let arguments = ["--data", part.to_str().unwrap(), "--methods", "draem"];
    let outcome = run(&out, &arguments);
    assert!(
        outcome.status.success(),
        "{}",
        String::from_utf8_lossy(&outcome.stderr)
    );
    assert_eq!(figures(&out, "draem-part-s0")["test_images"].as_u64(), Some(2));
    let moved = data_set(&dir.path().join("elsewhere"));
    let text = refused(&run(
        &out,
        &["--data", moved.to_str().unwrap(), "--methods", "draem"],
    ));
    assert!(text.contains("result.json") && text.contains("--out"), "{text}");
}

#[test]
fn a_changed_constant_is_another_experiment_and_the_cell_runs_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let cell = format!("lin-yan-{DEMO}-s0");
    let arguments = ["--categories", DEMO, "--methods", "draem,lin-yan"];
    succeed(command("reproduce-table2", &out, &arguments));
    let first = figures(&out, &cell);
    let draem = figures(&out, &format!("draem-{DEMO}-s0"));

    let settings = dir.path().join("constant.toml");
    fs::write(
        &settings,
        "[simulation.kinds.near-distribution]\ndifference = 20.0\n",
    )
    .unwrap();
    let changed = [&arguments[..], &["--config", settings.to_str().unwrap()]].concat();
    let (_, said) = succeed(command("reproduce-table2", &out, &changed));
    assert!(
        said.contains("simulation.kinds.near-distribution.difference is 20, was 15"),
        "{said}"
    );
    let second = figures(&out, &cell);
    assert_ne!(first["config_hash"], second["config_hash"]);
    // A method that does not have the constant is not touched, and the earlier cell is kept.
    assert_eq!(draem, figures(&out, &format!("draem-{DEMO}-s0")));
    let kept = fs::read_dir(out.join("earlier"))
        .unwrap()
        .flatten()
        .next()
        .unwrap();
    assert_eq!(
        read(kept.path().join("result.json"))["config_hash"],
        first["config_hash"]
    );
    let text = fs::read_to_string(out.join("cells").join(&cell).join("config.toml")).unwrap();
    assert!(text.contains("difference = 20.0"), "{text}");

    // What the sweep decides itself is refused before a cell is touched, as is a setting that no cell has.
    fs::write(&settings, "seed = 4\n").unwrap();
    let text = refused(&run(&out, &changed));
    assert!(text.contains("--seeds"), "{text}");
    assert_eq!(figures(&out, &cell), second);
    fs::write(&settings, "[nsa]\nwidth = 8\n").unwrap();
    let text = refused(&run(&out, &changed));
    assert!(text.contains("nsa.width"), "{text}");
}
