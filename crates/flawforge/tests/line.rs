//! `predict` for the line: every input has its row once, whatever happens; signals and a second process end in order.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, fault, flawforge, grey, open, path, succeed};
use image::Luma;

/// Parts, each another; a dark spot on the last.
fn parts(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        let mut picture = grey(48, 40, 3 * index);
        if index + 1 == count {
            (10..30).for_each(|x| (12..24).for_each(|y| picture.put_pixel(x, y, Luma([0]))));
        }
        picture.save(folder.join(format!("{index:03}.png"))).unwrap();
    }
}

fn trained(dir: &Path) -> PathBuf {
    let (good, run) = (dir.join("good"), dir.join("run"));
    parts(&good, 4);
    let start = ["train", path(&good), "--out", path(&run)];
    succeed(
        &[
            &start[..],
            &["--method", "draem", "--profile", "smoke", "--steps", "4"],
        ]
        .concat(),
    );
    run
}

/// The rows of the table without its head, and those of the lines.
fn rows(out: &Path) -> (Vec<String>, Vec<serde_json::Value>) {
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    let lines = fs::read_to_string(out.join("scores.jsonl")).unwrap();
    (
        table.lines().skip(1).map(str::to_owned).collect(),
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

#[test]
fn every_input_has_its_row_once_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let at = |name: &str| dir.path().join(name);
    let (new, out) = (at("new"), at("out"));
    parts(&new, 4);
    parts(&at("other"), 1);
    fs::write(new.join("broken.png"), b"\x89PNG no more").unwrap();
    let predict = |more: &[&str]| {
        let start = [
            "predict",
            "--run",
            path(&run),
            "--out",
            path(&out),
            "--scores-only",
        ];
        flawforge(&[&start[..], more].concat())
    };
    // One by one: rows are added.
    for index in 0..2 {
        let said = predict(&[path(&new.join(format!("00{index}.png")))]);
        assert!(said.status.success());
        let text = String::from_utf8(said.stdout).unwrap();
        assert!(
            text.contains(".png: score ") && text.contains("1 image: "),
            "{text}"
        );
        assert_eq!(rows(&out).0.len(), index + 1);
    }
    // Two paths, a list with a file that is not there, a folder that holds them again.
    let list = at("list.txt");
    fs::write(
        &list,
        format!("{}\r\n\n{}\n", path(&new.join("002.png")), path(&at("gone.png"))),
    )
    .unwrap();
    let said = predict(&[path(&at("other/000.png")), path(&new), "--list", path(&list)]);
    assert_eq!(said.status.code(), Some(1));
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        text.contains("7 images: ") && text.contains("2 not scored") && text.contains("2 had a row before"),
        "{text}"
    );
    assert!(text.contains("1 image named twice"), "{text}");
    let (table, lines) = rows(&out);
    assert_eq!((table.len(), lines.len()), (7, 7));
    let mut images: Vec<&str> = lines.iter().map(|row| row["image"].as_str().unwrap()).collect();
    assert!(
        images.iter().all(|image| Path::new(image).is_absolute()),
        "{images:?}"
    );
    images.sort_unstable();
    images.dedup();
    assert_eq!(images.len(), 7);
    let errors: Vec<&str> = lines.iter().filter_map(|row| row["error"].as_str()).collect();
    assert!(
        errors.len() == 2
            && errors.iter().any(|error| error.starts_with("cannot be decoded"))
            && errors.contains(&"no such file"),
        "{errors:?}"
    );
    // Again: nothing is scored, nothing is added, and what cannot be read is told again.
    let before = (table, lines);
    let said = predict(&[path(&new), path(&at("other/000.png")), path(&at("gone.png"))]);
    assert_eq!(said.status.code(), Some(1));
    assert_eq!(rows(&out), before);
    // A file that has changed gets a row of its own; so does an image whose threshold is given by option.
    grey(48, 40, 77).save(new.join("000.png")).unwrap();
    predict(&[path(&new.join("000.png"))]);
    assert_eq!(rows(&out).0.len(), 8);
    let said = predict(&[path(&new.join("001.png")), "--threshold", "-3"]);
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.status.success() && err.contains("rows of other runs or settings"),
        "{err}"
    );
    let (table, _) = rows(&out);
    assert!(
        table[8].contains(",-3,") && table[8].contains(",anomalous,"),
        "{}",
        table[8]
    );
}

#[test]
fn paths_come_from_standard_input_and_rows_go_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let new = dir.path().join("new");
    parts(&new, 3);
    let mut child = support::command()
        .args(["predict", "-", "--run", path(&run), "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for index in 0..3 {
        writeln!(stdin, "{}", path(&new.join(format!("00{index}.png")))).unwrap();
    }
    drop(stdin);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success());
    let text = String::from_utf8(said.stdout).unwrap();
    let rows: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert!(
            row["score"].is_number() && row["protocol_score"].is_number() && row["width"] == 48,
            "{row}"
        );
    }
    if Path::new("/dev/full").exists() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = support::command()
            .args(["predict", path(&new), "--run", path(&run), "--json"])
            .stdout(full)
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{err}");
        assert!(
            err.contains("error: standard output: No space left") && !err.contains("panicked"),
            "{err}"
        );
    }
}

#[test]
fn regions_are_numbers_masks_and_coco_and_missing_pictures_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 3);
    let coco = dir.path().join("coco.json");
    let start = ["predict", path(&new), "--run", path(&run), "--out", path(&out)];
    let more = [
        "--pixel-threshold",
        "-1",
        "--min-area",
        "5",
        "--coco",
        path(&coco),
    ];
    let all = [&start[..], &more].concat();
    succeed(&all);
    let (_, lines) = rows(&out);
    for row in &lines {
        // All scores are above the threshold: one region, as large as the image.
        assert_eq!(row["regions_found"], 1, "{row}");
        assert_eq!(
            row["regions"][0]["box"],
            serde_json::json!([0, 0, 48, 40]),
            "{row}"
        );
        assert_eq!(row["regions"][0]["area"], 48 * 40, "{row}");
        assert!(
            row["regions"][0]["peak"].as_f64() >= row["regions"][0]["mean"].as_f64(),
            "{row}"
        );
    }
    let mask = open(&out.join("000_mask.png")).to_luma8();
    assert!(mask.dimensions() == (48, 40) && mask.pixels().all(|pixel| pixel[0] == 255));
    let text = fs::read_to_string(&coco).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["images"].as_array().unwrap().len(), 3);
    assert_eq!(json["annotations"].as_array().unwrap().len(), 3);
    assert_eq!(json["annotations"][2]["image_id"], 3);
    assert_eq!(json["annotations"][2]["bbox"], serde_json::json!([0, 0, 48, 40]));
    let whole = serde_json::json!({"size": [40, 48], "counts": [0, 48 * 40]});
    assert_eq!(json["annotations"][2]["segmentation"], whole);
    // A picture that is missing is made again, and its row is not doubled.
    fs::remove_file(out.join("001_overlay.png")).unwrap();
    succeed(&all);
    assert!(out.join("001_overlay.png").is_file());
    assert_eq!(rows(&out).0.len(), 3);
    assert_eq!(
        fs::read_dir(&out).unwrap().count(),
        3 * 4 + 2,
        "pictures and rows, and no lock"
    );
}

fn spawned(arguments: &[&str], err: &Path) -> Child {
    support::command()
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(fs::File::create(err).unwrap())
        .spawn()
        .unwrap()
}

fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < Duration::from_secs(120), "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn send(child: &Child, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Whether whoever started the tests has a signal ignored (`nohup`), which the command respects; known on Linux alone.
#[cfg(unix)]
fn is_ignored(number: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (number - 1)) != 0)
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_training_with_a_checkpoint_and_one_process_trains_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (good, run, err) = (
        dir.path().join("good"),
        dir.path().join("run"),
        dir.path().join("err"),
    );
    parts(&good, 4);
    let config = dir.path().join("long.toml");
    fs::write(
        &config,
        "[schedule]\nlength = \"100000 steps\"\n[every]\ncheckpoint = 100000\n",
    )
    .unwrap();
    let train = |resume: bool| {
        let start = [
            "train",
            path(&good),
            "--out",
            path(&run),
            "--profile",
            "smoke",
            "--method",
            "draem",
        ];
        let more: &[&str] = if resume { &["--resume"] } else { &[] };
        spawned(&[&start[..], &["--config", path(&config)], more].concat(), &err)
    };
    let signals = [("-TERM", 143), ("-INT", 130), ("-HUP", 129)];
    for (signal, code) in signals.into_iter().filter(|(_, code)| !is_ignored(code - 128)) {
        let checkpoint = run.join("checkpoint.safetensors");
        let begun = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        let before = begun(&run.join("metrics.jsonl"));
        let mut child = train(checkpoint.is_file());
        wait_for("a step", || begun(&run.join("metrics.jsonl")) > before);
        if signal == "-TERM" {
            let said = fault(&["train", path(&good), "--out", path(&run), "--method", "draem"]);
            let who = format!("process {} on ", child.id());
            assert!(said.contains(&who) && said.contains("is at work there"), "{said}");
        }
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), i32::try_from(code).ok());
        let said = fs::read_to_string(&err).unwrap();
        assert!(
            said.contains("stopped by a signal at step ") && said.contains("--resume` goes on"),
            "{said}"
        );
        assert!(checkpoint.is_file());
    }
}

#[test]
fn a_killed_scoring_goes_on_with_every_row_once() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 120);
    let arguments = ["predict", path(&new), "--run", path(&run), "--out", path(&out)];
    let count = || fs::read_to_string(out.join("scores.jsonl")).map_or(0, |text| text.lines().count());
    for least in [1, 20] {
        let mut child = spawned(&arguments, &dir.path().join("err"));
        wait_for("rows", || count() >= least || count() == 120);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The kill may have hit the middle of a row.
    let mut table = fs::OpenOptions::new()
        .append(true)
        .open(out.join("scores.csv"))
        .unwrap();
    table.write_all(b"").unwrap();
    succeed(&arguments);
    let (table, lines) = rows(&out);
    assert_eq!((table.len(), lines.len()), (120, 120));
    let images: std::collections::BTreeSet<&str> =
        lines.iter().map(|row| row["image"].as_str().unwrap()).collect();
    assert_eq!(images.len(), 120);
    for index in 0..120 {
        assert!(out.join(format!("{index:03}_overlay.png")).is_file(), "{index}");
    }
}

/// Regions of pixels in COCO's order: down the columns.
#[test]
fn the_pixels_of_coco_are_those_of_the_mask() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out, coco) = (
        dir.path().join("new"),
        dir.path().join("out"),
        dir.path().join("coco.json"),
    );
    parts(&new, 1);
    // A threshold in the middle of the scores, so that regions are many and small.
    let scores = succeed(&[
        "predict",
        path(&new),
        "--run",
        path(&run),
        "--json",
        "--pixel-threshold",
        "-1",
    ])
    .0;
    let row: serde_json::Value = serde_json::from_str(&scores).unwrap();
    let threshold = row["regions"][0]["mean"].as_f64().unwrap().to_string();
    let start = ["predict", path(&new), "--run", path(&run), "--out", path(&out)];
    succeed(
        &[
            &start[..],
            &["--coco", path(&coco), "--pixel-threshold", &threshold],
        ]
        .concat(),
    );
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(&coco).unwrap()).unwrap();
    let mask = open(&out.join("000_mask.png")).to_luma8();
    let mut drawn = image::GrayImage::new(48, 40);
    let annotations = json["annotations"].as_array().unwrap();
    for annotation in annotations {
        let (mut at, mut inside, mut area) = (0, false, 0);
        for length in annotation["segmentation"]["counts"].as_array().unwrap() {
            let length = length.as_u64().unwrap() as u32;
            if inside {
                (at..at + length).for_each(|at| drawn.put_pixel(at / 40, at % 40, Luma([255])));
                area += u64::from(length);
            }
            (at, inside) = (at + length, !inside);
        }
        assert_eq!((at, Some(area)), (48 * 40, annotation["area"].as_u64()));
    }
    assert!(!annotations.is_empty() && drawn == mask);
}

#[test]
fn masks_are_passed_over_and_no_name_splits_a_row() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (part, out) = (dir.path().join("part"), dir.path().join("out"));
    parts(&part.join("test/bad"), 2);
    parts(&part.join("ground_truth/bad"), 2);
    fs::rename(
        part.join("test/bad/000.png"),
        part.join("test/bad/a\n[INFO ] b.png"),
    )
    .unwrap();
    fs::write(part.join("test/bad/c\n.png"), b"\x89PNG no more").unwrap();
    let said = flawforge(&["predict", path(&part), "--run", path(&run), "--out", path(&out)]);
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        err.contains("3 images; passed over: 2 ground-truth masks (ground_truth)"),
        "{err}"
    );
    assert!(
        err.contains("/bad/c\\x0a.png: cannot be decoded") && !err.contains("\n[INFO ] b"),
        "{err}"
    );
    let (table, lines) = rows(&out);
    assert_eq!((table.len(), lines.len()), (3, 3));
    assert!(
        table
            .iter()
            .any(|row| row.contains("/a\\x0a[INFO ] b.png,48,40,")),
        "{table:?}"
    );
    assert!(out.join("test/bad/a\\x0a[INFO ] b_overlay.png").is_file());
}

#[test]
fn pictures_of_a_file_that_changed_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let run = trained(dir.path());
    let (new, out) = (dir.path().join("new"), dir.path().join("out"));
    parts(&new, 2);
    let arguments = ["predict", path(&new), "--run", path(&run), "--out", path(&out)];
    succeed(&arguments);
    let before = fs::read(out.join("000_overlay.png")).unwrap();
    // Another part under the same name.
    grey(40, 40, 77).save(new.join("000.png")).unwrap();
    let (_, err) = succeed(&arguments);
    let (_, lines) = rows(&out);
    let name = lines[2]["name"].as_str().unwrap();
    assert!(name.starts_with("000_") && lines.len() == 3, "{lines:?}");
    assert!(
        err.contains("000.png: was scored with another content before; its new pictures are called 000_"),
        "{err}"
    );
    assert_eq!(fs::read(out.join("000_overlay.png")).unwrap(), before);
    assert_eq!(open(&out.join(format!("{name}_overlay.png"))).width(), 40);
    // Again: nothing new.
    succeed(&arguments);
    assert_eq!(rows(&out).1.len(), 3);
}
