//! What `evaluate` says of verdicts, and the page of `report`: with test images, without, and without any image at all.

use std::fs;
use std::path::Path;

use crate::support::{self, fault, flawforge, path, succeed};
use serde_json::Value;

/// A run of few steps on the demo's gears.
fn trained(run: &Path, steps: &str) {
    let method = ["--demo", "gear", "--method", "lin-yan", "--profile", "smoke"];
    succeed(&[&["train", "--out", path(run), "--steps", steps], &method[..]].concat());
}

#[test]
fn verdicts_on_test_images_are_counted_named_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    trained(&run, "6");
    // A threshold below all scores: every good image is a false alarm, no defect is missed.
    let evaluate = ["evaluate", "--demo", "gear", "--run", path(&run)];
    let (out, _) = succeed(&[&evaluate[..], &["--threshold", "-1"]].concat());
    assert!(
        out.contains("false alarms  16 of 16 (100.0 %; 95 % sure: 79.4 to 100.0 %)"),
        "{out}"
    );
    assert!(
        out.contains("misses        0 of 24 (0.0 %; 95 % sure: 0.0 to 14.2 %)"),
        "{out}"
    );
    assert!(out.contains("an oracle, which chose its threshold"), "{out}");
    assert!(
        out.contains("false alarms, the highest score first: good/"),
        "{out}"
    );
    assert!(
        out.contains("published protocol") && out.contains("95 % interval"),
        "{out}"
    );
    assert!(!out.contains("half-covered"), "{out}");

    let folder = run.join("evaluation");
    let text = fs::read_to_string(folder.join("evaluation.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let verdicts = &json["verdicts"];
    assert_eq!(verdicts["confusion"]["good"]["anomalous"], 16);
    assert_eq!(verdicts["by_defect"]["rust"]["misses"]["count"], 0);
    let wrong = verdicts["wrongly_anomalous"].as_array().unwrap();
    assert_eq!(wrong.len(), 16);
    let score = |one: &Value| one["score"].as_f64().unwrap();
    assert!(wrong.windows(2).all(|pair| score(&pair[0]) >= score(&pair[1])));
    let value = json["scores"]["pixel_ap"].as_f64().unwrap();
    let interval = &json["intervals"]["pixel_ap"];
    let (low, high) = (
        interval["low"].as_f64().unwrap(),
        interval["high"].as_f64().unwrap(),
    );
    assert!(
        low <= value && value <= high && low < high,
        "{low} {value} {high}"
    );
    assert_eq!(json["made_from"]["source"], "demo:gear");
    assert_eq!(json["made_from"]["step"], 6);
    assert_eq!(json["published_protocol"].as_array().unwrap().len(), 5);
    let table = fs::read_to_string(folder.join("scores.csv")).unwrap();
    assert!(
        table.starts_with("image,defect,defective,score,verdict_score,threshold,verdict\n"),
        "{table}"
    );
    assert_eq!(table.matches(",-1,anomalous\n").count(), 40, "{table}");

    // Above all scores it is the other way round; both rules are shown when asked for.
    let (out, _) = succeed(&[&evaluate[..], &["--threshold", "1e9", "--all-rules"]].concat());
    assert!(out.contains("misses        24 of 24"), "{out}");
    assert!(
        out.contains("misses, the lowest score first:") && out.contains("and 14 more"),
        "{out}"
    );
    assert!(out.contains("AUPRO, half-covered pixels too"), "{out}");
    assert!(!out.contains("look"), "{out}");

    // With a band: where it begins, what that promises, and that it counts as neither.
    let (out, _) = succeed(&[&evaluate[..], &["--threshold", "1e9", "--band", "50%"]].concat());
    assert!(
        out.contains("look from ")
            && out.contains(" good parts, 90 % sure, from ")
            && out.contains("neither a miss nor"),
        "{out}"
    );
    assert!(out.contains("to look at    "), "{out}");
    let text = fs::read_to_string(folder.join("evaluation.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let promise = &json["made_from"]["decision"]["look_promise"];
    assert!(
        promise["rate"].as_f64().is_some_and(|rate| rate <= 0.5),
        "{promise}"
    );
}

#[test]
fn the_page_has_what_there_is_and_needs_nothing_beside_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (run, page) = (dir.path().join("run"), dir.path().join("deep/page.html"));
    trained(&run, "6");
    let report = |more: &[&str]| {
        succeed(&[&["report", path(&run), "--out", path(&page)], more].concat());
        fs::read_to_string(&page).unwrap()
    };
    let full = report(&["--demo", "gear", "--threshold", "-1"]);
    for part in [
        "<title>Report on gear</title>",
        "<h2>The run</h2>",
        "id=\"histograms\"",
        "id=\"roc\"",
        "id=\"precision\"",
        "id=\"overlap\"",
        "id=\"losses\"",
        "<h3>False alarms</h3>",
        "<h3>The most unusual of the training</h3>",
        "<h3>Simulated anomalies</h3>",
        "id=\"good-above\">16<",
        "id=\"defective-below\">0<",
        "60 normal images (demo:gear)",
        "[schedule]",
    ] {
        assert!(full.contains(part), "{part}");
    }
    // Nothing is fetched from anywhere.
    for outside in ["http://", "https://", "src=\"/", "url(", "@import", "<link"] {
        assert!(!full.contains(outside), "{outside}");
    }
    assert_eq!(
        full.matches("<img ").count(),
        full.matches("src=\"data:image/").count()
    );
    assert!(full.matches("<img ").count() > 40 && full.len() < 2_000_000);
    assert_eq!(full.matches("<svg").count(), full.matches("<desc").count());

    assert!(!full.contains("<th class=\"number\">look</th>") && !full.contains("to look at"));
    assert!(full.contains("at or above the pixel threshold"), "the legend");
    let banded = report(&["--demo", "gear", "--threshold", "1e9", "--band", "50%"]);
    assert!(
        banded.contains("<th class=\"number\">look</th>")
            && banded.contains("neither a miss nor a false alarm")
    );

    let plain = report(&[]);
    assert!(
        !plain.contains("id=\"roc\"")
            && plain.contains("id=\"histograms\"")
            && plain.contains("id=\"losses\"")
    );

    // The run's one file alone, from images that are gone.
    let text = fs::read(run.join("checkpoint.safetensors")).unwrap();
    let alone = dir.path().join("alone.safetensors");
    fs::write(&alone, text).unwrap();
    succeed(&["report", path(&alone), "--out", path(&page)]);
    let alone = fs::read_to_string(&page).unwrap();
    assert!(
        alone.contains("There are no losses to show: metrics.jsonl does not lie beside"),
        "{alone}"
    );

    let message = fault(&["report", path(&run), "--out", path(dir.path())]);
    assert!(message.contains("is a folder"), "{message}");
    let message = fault(&["report", path(&dir.path().join("none")), "--out", path(&page)]);
    assert!(message.contains("does not exist"), "{message}");
}

#[test]
fn a_page_without_the_training_images_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (part, run) = (dir.path().join("part"), dir.path().join("run"));
    fs::create_dir_all(&part).unwrap();
    for index in 0..4 {
        let picture = support::grey(48, 48, 5 * index);
        picture.save(part.join(format!("{index}.png"))).unwrap();
    }
    let train = ["train", path(&part), "--out", path(&run), "--method", "lin-yan"];
    succeed(&[&train[..], &["--profile", "smoke", "--steps", "3"]].concat());
    fs::rename(&part, dir.path().join("elsewhere")).unwrap();
    let page = dir.path().join("page.html");
    let output = flawforge(&["report", path(&run), "--out", path(&page)]);
    assert!(output.status.success());
    let page = fs::read_to_string(&page).unwrap();
    assert!(
        page.contains("The images that it was trained on cannot be shown"),
        "{page}"
    );
    assert!(page.contains("id=\"losses\"") && !page.contains("most unusual"));
}
