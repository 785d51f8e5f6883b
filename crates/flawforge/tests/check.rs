//! `flawforge check` from outside: its page, its code, its files.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::{self, flawforge, path};
use image::{GrayImage, Luma};

/// Normal pictures, each another one.
fn normals(folder: &Path, count: u32) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        let picture = GrayImage::from_fn(64, 48, |x, y| {
            let block = (x / 8 + 1) * (y / 8 + 3) * (index * 37 + 11);
            Luma([60 + (block % 89) as u8 + ((x * 7 + y * 3) % 5) as u8])
        });
        picture.save(folder.join(format!("{index:02}.png"))).unwrap();
    }
}

/// Exit code, page and what was said beside it.
fn check(arguments: &[&str]) -> (i32, String, String) {
    let output = flawforge(&[&["check"], arguments].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let err = text(&output.stderr);
    assert!(!err.contains("panicked"), "{err}");
    (output.status.code().expect("a code"), text(&output.stdout), err)
}

#[test]
fn the_code_says_whether_a_training_would_start() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    normals(&root.join("part/normal"), 22);
    let (code, page, _) = check(&[path(&root.join("part")), "--no-cost"]);
    assert_eq!(code, 0, "{page}");
    assert!(
        page.contains("a training would start; an evaluation would NOT start; nothing else deserves a look"),
        "{page}"
    );
    for line in [
        "Images of part (plain folder)",
        "22 normal",
        "64x48 (22)",
        "PNG: 22",
        "grey: 22",
    ] {
        assert!(page.contains(line), "{line} in {page}");
    }
    fs::write(root.join("part/normal/bad.png"), b"x").unwrap();
    let (code, page, _) = check(&[path(&root.join("part")), "--no-cost"]);
    assert_eq!(code, 1);
    assert!(
        page.contains("1. stops a training: 1 file cannot be read"),
        "{page}"
    );
    assert!(
        page.contains("normal/bad.png: cannot be decoded: ") && page.contains("-> mend or remove"),
        "{page}"
    );
    // One image is not enough for split training.
    normals(&root.join("one/normal"), 1);
    let (code, page, _) = check(&[path(&root.join("one")), "--no-cost"]);
    assert!(
        code == 1 && page.contains("split training needs at least 2"),
        "{page}"
    );
    for folder in ["empty", "missing"] {
        if folder == "empty" {
            fs::create_dir(root.join(folder)).unwrap();
        }
        let (code, page, _) = check(&[path(&root.join(folder))]);
        assert_eq!(code, 1);
        assert!(
            page.contains("a training would not start: ") && page.contains(folder),
            "{page}"
        );
    }
    assert_eq!(check(&[]).0, 2, "wrong options");
    // What train says of the same folders.
    let run = root.join("run");
    let begin = |name: &str| {
        let folder = root.join(name);
        let start = [
            "train",
            path(&folder),
            "--out",
            path(&run),
            "--profile",
            "smoke",
            "--steps",
            "1",
        ];
        flawforge(&start).status.success()
    };
    assert!(!begin("part") && !begin("one") && !begin("empty"));
    fs::remove_file(root.join("part/normal/bad.png")).unwrap();
    assert!(begin("part"));
}

#[test]
fn a_folder_of_categories_is_checked_category_by_category() {
    let dir = tempfile::tempdir().unwrap();
    normals(&dir.path().join("bolt/train/good"), 3);
    normals(&dir.path().join("nut/train/good"), 4);
    fs::write(dir.path().join("nut/train/good/x.png"), b"x").unwrap();
    let (code, page, _) = check(&[path(dir.path())]);
    assert_eq!(code, 1);
    assert!(page.contains("the folder holds categories (2)"), "{page}");
    let row = |name: &str| {
        let at = page
            .find(&format!("  {name} "))
            .unwrap_or_else(|| panic!("{page}"));
        page[at..].split("\n  ").next().unwrap().replace('\n', " ")
    };
    assert!(
        row("bolt").contains("3 to train on") && row("bolt").contains("a training would start"),
        "{page}"
    );
    assert!(page.contains("a training would NOT start"), "{page}");
    let (_, json, _) = check(&[path(dir.path()), "--json", "-"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["categories"][1]["training_starts"], false);
    assert_eq!(json["categories"][1]["findings"][0]["kind"], "unreadable");
}

#[test]
fn page_and_json_are_files_that_need_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a <b> & c");
    normals(&folder.join("normal"), 10);
    fs::copy(folder.join("normal/03.png"), folder.join("normal/<script>.png")).unwrap();
    GrayImage::from_pixel(64, 48, Luma([255]))
        .save(folder.join("normal/white.png"))
        .unwrap();
    let (html, json) = (dir.path().join("new/page.html"), dir.path().join("check.json"));
    let (code, _, err) = check(&[path(&folder), "--html", path(&html), "--json", path(&json)]);
    assert_eq!(code, 0, "{err}");
    let page = fs::read_to_string(html).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    assert!(
        page.contains("a &lt;b&gt; &amp; c") && !page.contains("<script"),
        "names are no markup"
    );
    assert!(
        !page.contains("http") && !page.contains("src=\"/"),
        "nothing is fetched"
    );
    // The doubled pictures, and the odd one.
    assert!(page.matches("src=\"data:image/jpeg;base64,").count() >= 3);
    assert!(page.contains("@media print") && page.contains("width=device-width"));
    for tag in ["div", "figure", "ul", "dl", "table", "svg", "p", "td"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    let json: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(json["training_starts"], true);
    assert_eq!(json["check"]["images"]["train"], 12);
    assert_eq!(json["check"]["twins"]["exact"][0][0]["file"], "normal/03.png");
    assert_eq!(json["check"]["unusual"][0]["file"], "normal/white.png");
    let costs = json["machine"]["costs"].as_array().unwrap();
    assert_eq!(costs.len(), 20);
    for cost in costs.iter().filter(|cost| !cost["seconds"].is_null()) {
        assert!(
            cost["seconds"].as_f64().unwrap() > 0.0 && cost["bytes"].as_u64().unwrap() > 0,
            "{cost}"
        );
        assert!(cost["basis"].as_str().unwrap().contains("timed now"), "{cost}");
    }
    // More work takes longer, whatever the machine.
    let seconds = |profile: &str| {
        let cost = costs
            .iter()
            .find(|cost| cost["profile"] == profile && cost["method"] == "lin-yan");
        cost.unwrap()["seconds"].as_f64().unwrap()
    };
    assert!(seconds("demo") < seconds("paper"));
}

#[test]
fn outputs_that_cannot_be_written_are_told() {
    let dir = tempfile::tempdir().unwrap();
    normals(&dir.path().join("normal"), 3);
    let (code, _, err) = check(&[
        path(dir.path()),
        "--no-cost",
        "--html",
        path(&dir.path().join("normal")),
    ]);
    assert!(code == 1 && err.contains("normal: is a folder"), "{err}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_or_full_output_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    normals(&dir.path().join("normal"), 3);
    let run = |out: Stdio| {
        let mut command = support::command();
        command.args(["check", path(dir.path()), "--no-cost"]).stdout(out);
        command.output().unwrap()
    };
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = run(full.into());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("error: standard output: No space left on device"),
        "{err}"
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = run(writer.into());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(0) && !err.contains("panicked"),
        "{err}"
    );
}
