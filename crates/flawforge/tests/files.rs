//! The `flawforge` command on files as cameras and drawing programs write them: deep images, masks of all kinds.

use crate::support;

use std::fs;
use std::path::Path;

use image::{GrayImage, ImageBuffer, Luma};

const SIDE: u32 = 96;

/// Runs the command; returns what it said on standard output and standard error, and whether it succeeded.
fn flawforge(arguments: &[&str]) -> (String, String, bool) {
    let output = support::command()
        .args(arguments)
        .output()
        .expect("the command starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        text(&output.stdout),
        text(&output.stderr),
        output.status.success(),
    )
}

fn succeed(arguments: &[&str]) -> (String, String) {
    let (out, err, success) = flawforge(arguments);
    assert!(success, "{arguments:?}: {err}");
    (out, err)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a readable path")
}

/// A disc with a pattern; a dark spot where there is a flaw.
fn scene(x: u32, y: u32, shift: u32, flaw: bool) -> u8 {
    let from = |cx: i32, cy: i32| (x as i32 - cx).pow(2) + (y as i32 - cy).pow(2);
    if flaw && from(40, 44) < 10 * 10 {
        15
    } else if from(48, 48) < 36 * 36 {
        (130 + (x * 7 + y * 5 + shift) % 24) as u8
    } else {
        (215 + (x * 3 + y + shift) % 12) as u8
    }
}

fn save(file: &Path, bits: u32, shift: u32, flaw: bool) {
    fs::create_dir_all(file.parent().expect("a parent")).expect("made");
    if bits == 8 {
        GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([scene(x, y, shift, flaw)]))
            .save(file)
            .expect("saved");
        return;
    }
    let deep = |x, y| Luma([u16::from(scene(x, y, shift, flaw)) << (bits - 8)]);
    ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(SIDE, SIDE, deep)
        .save(file)
        .expect("saved");
}

/// Good parts to train and test on, and two defective ones, with so many bits.
fn folder(root: &Path, bits: u32) {
    for index in 0..4 {
        save(&root.join(format!("normal/{index}.png")), bits, index, false);
    }
    save(&root.join("normal_test/5.png"), bits, 5, false);
    save(&root.join("defective/6.png"), bits, 6, true);
    save(&root.join("defective/7.png"), bits, 7, true);
}

fn train(root: &Path, run: &Path) -> String {
    let arguments = [
        "train",
        path(root),
        "--out",
        path(run),
        "--profile",
        "smoke",
        "--steps",
        "12",
    ];
    succeed(&arguments).1
}

/// Scores and verdicts of `predict`, without the names of the files.
fn predict(suspects: &Path, run: &Path, out: &Path) -> (Vec<String>, String) {
    // Rows of an earlier call would stay.
    let _ = fs::remove_dir_all(out);
    let (_, err) = succeed(&["predict", path(suspects), "--run", path(run), "--out", path(out)]);
    let table = fs::read_to_string(out.join("scores.csv")).expect("a table");
    let scores = table
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').expect("columns").1.to_owned());
    (scores.collect(), err)
}

#[test]
fn images_of_12_bits_are_trained_on_scored_and_judged_as_those_of_8_are() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut found = Vec::new();
    for bits in [8, 12] {
        let (root, run) = (
            dir.path().join(format!("{bits}/part")),
            dir.path().join(format!("run{bits}")),
        );
        folder(&root, bits);
        let said = train(&root, &run);
        assert_eq!(
            said.contains("fills 12 bits: 0 is black and 4095 is white in this run"),
            bits == 12,
            "{said}"
        );
        let out = dir.path().join("out");
        // Single images, also dark ones: by the scale of the run.
        let (scores, _) = predict(&root.join("defective/6.png"), &run, &out);
        let alone = dir.path().join("alone.safetensors");
        fs::copy(run.join("checkpoint.safetensors"), &alone).expect("copied");
        assert_eq!(predict(&root.join("defective/6.png"), &alone, &out).0, scores);
        let (metrics, _) = succeed(&["evaluate", path(&root), "--run", path(&run)]);
        found.push((scores, metrics));
    }
    assert_eq!(found[0], found[1]);
    // A file of 12 bits means nothing to a run of 8-bit images; that is said.
    let deep = dir.path().join("12/part/defective/6.png");
    let (_, said) = predict(&deep, &dir.path().join("run8"), &dir.path().join("out"));
    assert!(
        said.contains("6.png: 16-bit file that fills only 12 bits"),
        "{said}"
    );
}

#[test]
fn masks_are_counted_and_every_row_without_a_value_says_why() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (root, run) = (dir.path().join("part"), dir.path().join("run"));
    folder(&root, 8);
    train(&root, &run);
    fs::create_dir(root.join("masks")).expect("made");
    let mask = |name: &str, level: &dyn Fn(bool, u32) -> u8| {
        let marked = |x: u32, y: u32| (x as i32 - 40).pow(2) + (y as i32 - 44).pow(2) < 100;
        GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([level(marked(x, y), x)]))
            .save(root.join(format!("masks/{name}.png")))
            .expect("saved");
    };
    let evaluate = |more: &[&str]| {
        let out = dir.path().join("evaluation");
        let arguments = ["evaluate", path(&root), "--run", path(&run), "--out", path(&out)];
        let (text, said) = succeed(&[&arguments, more].concat());
        let json = fs::read_to_string(out.join("evaluation.json")).expect("written");
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        (text, said, json)
    };
    let rows = |text: &str| text.lines().skip(2).map(str::to_owned).collect::<Vec<_>>();
    for name in ["6", "7"] {
        mask(name, &|set, _| if set { 255 } else { 0 });
    }
    let (plain, said, json) = evaluate(&[]);
    assert!(!said.contains("mask"), "{said}");
    assert_eq!(json["masks"]["masks"], 2);
    assert_eq!(json["masks"]["mark_nothing"], 0);
    assert!(!plain.contains("not defined"), "{plain}");
    // Labels of 0 and 1: the same figures, said once.
    for name in ["6", "7"] {
        mask(name, &|set, _| u8::from(set));
    }
    let (labels, said, _) = evaluate(&[]);
    assert_eq!(rows(&labels), rows(&plain));
    assert_eq!(said.matches("labels up to 1").count(), 1, "{said}");
    // One marks nothing, one nearly everything.
    mask("6", &|_, _| 0);
    mask("7", &|set, _| if set { 0 } else { 255 });
    let (text, said, json) = evaluate(&[]);
    assert!(
        said.contains("6.png: the mask of a defective image marks nothing"),
        "{said}"
    );
    assert!(
        said.contains("7.png: the mask marks 97 % of its image; is it inverted?"),
        "{said}"
    );
    assert!(text.contains("masks: 2, of which 1 mark nothing"), "{text}");
    assert_eq!(
        (&json["masks"]["mark_nothing"], &json["masks"]["mark_most"]),
        (&1.into(), &1.into())
    );
    // Thin lines are lost at 64 pixels, and not at the size of the files.
    for name in ["6", "7"] {
        mask(name, &|_, x| if x == 40 { 255 } else { 0 });
    }
    let (text, said, json) = evaluate(&[]);
    assert!(said.contains("no pixel of the mask is left at 64x64"), "{said}");
    assert!(
        text.contains("not defined: no pixel is left of the marks at 64x64 (2 of 2 masks)"),
        "{text}"
    );
    assert_eq!(json["masks"]["nothing_left"], 2);
    let (text, said, json) = evaluate(&["--at-file-size"]);
    assert!(
        !text.contains("not defined") && !said.contains("no pixel of the mask"),
        "{text}{said}"
    );
    assert_eq!(
        (&json["masks"]["nothing_left"], &json["masks"]["regions"]),
        (&0.into(), &2.into())
    );
    let (_, said, success) = flawforge(&[
        "evaluate",
        "--demo",
        "gear",
        "--run",
        path(&run),
        "--at-file-size",
    ]);
    assert!(!success && said.contains("no files at whose size"), "{said}");
}
