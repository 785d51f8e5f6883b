//! Folders as people have them: which command reads what, what it says, and what it never touches.

use std::fs;
use std::path::Path;

use crate::support::{fault, grey, path, succeed};
use image::{GrayImage, Luma};

/// Part pictures, each another; a dark spot if they are defective.
fn parts(folder: &Path, count: u32, defective: bool) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..count {
        let mut picture = grey(48, 40, 3 * index + u32::from(defective));
        if defective {
            (10..20).for_each(|x| picture.put_pixel(x, 15, Luma([0])));
        }
        picture.save(folder.join(format!("{index}.png"))).unwrap();
    }
}

fn mask(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_fn(48, 40, |x, _| Luma([if x < 24 { 255 } else { 0 }]))
        .save(path)
        .unwrap();
}

const SHORT: [&str; 4] = ["--profile", "smoke", "--steps", "3"];

fn train(folder: &Path, run: &Path, more: &[&str]) -> String {
    let start = ["train", path(folder), "--out", path(run)];
    succeed(&[&start[..], &SHORT, more].concat()).1
}

/// The line of inventory of a command.
fn inventory<'a>(err: &'a str, folder: &Path) -> &'a str {
    let mark = format!("{} (", path(folder));
    let lines: Vec<&str> = err.lines().filter(|line| line.contains(&mark)).collect();
    assert_eq!(lines.len(), 1, "one line of inventory: {err}");
    lines[0]
}

#[test]
fn each_command_reads_what_it_uses() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (part, run) = (at("part"), at("run"));
    parts(&part.join("train/OK"), 4, false);
    parts(&part.join("test/ok"), 2, false);
    parts(&part.join("test/NG"), 4, true);
    // A test image and a mask that nobody may open who trains.
    fs::write(part.join("test/NG/3.png"), b"no picture").unwrap();
    mask(&part.join("ground_truth/ng/0_mask.png"));
    mask(&part.join("ground_truth/ng/1_mask.png"));
    let err = train(&part, &run, &[]);
    let line = inventory(&err, &part);
    assert!(
        line.contains("4 normal images to train on; not read: 2 normal and 4 defective test images, 2 of them with a mask"),
        "{line}"
    );
    let sheet = at("sheet.png");
    succeed(&[
        "simulate",
        path(&part),
        "--out",
        path(&sheet),
        "--count",
        "1",
        "--size",
        "32",
    ]);
    succeed(&["select", path(&part), "--size", "32"]);
    let said = fault(&["evaluate", path(&part), "--run", path(&run)]);
    assert!(said.contains("test/NG/3.png: cannot be decoded"), "{said}");

    // To test, no training image is opened, nor need there be any.
    fs::remove_file(part.join("test/NG/3.png")).unwrap();
    fs::write(part.join("train/OK/0.png"), b"no picture").unwrap();
    let (out, err) = succeed(&["evaluate", path(&part), "--run", path(&run)]);
    assert!(
        inventory(&err, &part).contains("2 of 3 defective images have masks, not NG/2"),
        "{err}"
    );
    assert!(
        out.contains("2 of 3 defective images have masks: pixel figures are on these"),
        "{out}"
    );
    assert!(!out.contains("not defined"), "{out}");
    fs::remove_dir_all(part.join("train")).unwrap();
    fs::remove_dir_all(part.join("ground_truth")).unwrap();
    let (out, _) = succeed(&["evaluate", path(&part), "--run", path(&run)]);
    let of_images = out.lines().filter(|line| line.starts_with("  image "));
    assert!(
        of_images.clone().count() == 2 && of_images.clone().all(|line| !line.contains("not defined")),
        "{out}"
    );
    assert_eq!(out.matches("not defined: no masks").count(), 3, "{out}");
    fs::remove_dir_all(part.join("test/ok")).unwrap();
    let (out, err) = succeed(&["evaluate", path(&part), "--run", path(&run)]);
    assert!(out.contains("not defined: no normal test images"), "{out}");
    // Results of other images are kept.
    assert!(
        err.contains("the results of other images") && err.contains("are kept in"),
        "{err}"
    );
    let kept = fs::read_dir(run.join("evaluation")).unwrap().flatten();
    let kept = kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("earlier-"));
    assert!(
        kept.map(|entry| entry.path())
            .all(|folder| folder.join("evaluation.json").is_file())
    );
    let text = fs::read_to_string(run.join("evaluation/evaluation.json")).unwrap();
    assert!(
        text.contains("\"made_from\"") && text.contains("\"masked\": 0") && text.contains("images_digest"),
        "{text}"
    );
}

#[test]
fn unreadable_normals_can_be_left_out_and_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (part, run) = (dir.path().join("part"), dir.path().join("run"));
    parts(&part, 4, false);
    fs::write(part.join("2.png"), b"\x89PNG no more").unwrap();
    let start = ["train", path(&part), "--out", path(&run)];
    let said = fault(&[&start[..], &SHORT].concat());
    assert!(
        said.contains("2.png: cannot be decoded") && said.ends_with("--skip-bad goes on without it"),
        "{said}"
    );
    let err = train(&part, &run, &["--skip-bad"]);
    assert!(
        err.contains("left out: ") && err.contains("3 normal images to train on; 1 unreadable file left out"),
        "{err}"
    );
    let list = fs::read_to_string(run.join("skipped.txt")).unwrap();
    assert!(
        list.lines().count() == 1 && list.contains("2.png: cannot be decoded"),
        "{list}"
    );
    // The run remembers.
    let (_, err) = succeed(&["train", "--out", path(&run), "--resume"]);
    assert!(
        err.contains("finished before, with 3 steps; nothing was trained now"),
        "{err}"
    );
}

#[test]
fn a_run_is_never_begun_or_continued_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let (part, run) = (dir.path().join("part"), dir.path().join("run"));
    parts(&part, 3, false);
    let err = train(&part, &run, &["--resume"]);
    assert!(
        err.contains("holds no run to continue; training begins at step 0"),
        "{err}"
    );
    // Told before an image is read.
    fs::write(part.join("0.png"), b"no picture").unwrap();
    let start = ["train", path(&part), "--out", path(&run)];
    assert!(fault(&start).contains("already holds a run"));
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    for out in [&file, &file.join("run")] {
        let said = fault(&["train", path(&part), "--out", path(out)]);
        assert!(said.contains("file: is a file; name a folder"), "{said}");
    }
}

#[test]
fn outputs_are_never_input() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (part, run) = (at("part"), at("run"));
    parts(&part.join("normal"), 3, false);
    for out in ["normal", "normal/run", "normal/../normal/x"] {
        let said = fault(&["train", path(&part), "--out", path(&part.join(out))]);
        assert!(
            said.contains("which images are read from; choose another place"),
            "{said}"
        );
    }
    let inside = part.join("normal/sheet.png");
    assert!(fault(&["simulate", path(&part), "--out", path(&inside)]).contains("images are read from"));
    assert!(
        fault(&["select", path(&part), "--page", path(&part.join("normal/p.html"))])
            .contains("images are read from")
    );
    assert!(fault(&["simulate", path(&part), "--out", path(&at("s.jpg"))]).contains(".png"));
    let textures = part.join("normal");
    let other = at("other");
    parts(&other, 1, false);
    let into_textures = [
        "simulate",
        path(&other),
        "--textures",
        path(&textures),
        "--out",
        path(&inside),
    ];
    assert!(fault(&into_textures).contains("images are read from"));
    assert_eq!(fs::read_dir(part.join("normal")).unwrap().count(), 3);

    // A sheet that was moved there is no normal image.
    let sheet = at("sheet.png");
    succeed(&[
        "simulate",
        path(&part),
        "--out",
        path(&sheet),
        "--count",
        "1",
        "--size",
        "32",
    ]);
    fs::rename(&sheet, &inside).unwrap();
    let err = train(&part, &run, &[]);
    let line = inventory(&err, &part);
    assert!(
        line.contains("3 normal images")
            && line.contains("1 picture that flawforge wrote (normal/sheet.png)"),
        "{line}"
    );
    fs::remove_file(&inside).unwrap();

    // Results may lie below the input, again and again.
    let found = part.join("found");
    for _ in 0..3 {
        succeed(&["predict", path(&part), "--run", path(&run), "--out", path(&found)]);
        let table = fs::read_to_string(found.join("scores.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + 3, "{table}");
    }
    for out in [&part, &part.join("normal")] {
        let said = fault(&["predict", path(&part), "--run", path(&run), "--out", path(out)]);
        assert!(said.contains("images are read from there"), "{said}");
    }
}

#[test]
fn what_is_odd_or_not_used_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (part, run) = (dir.path().join("part"), dir.path().join("run"));
    parts(&part.join("good"), 3, false);
    parts(&part.join("good/later"), 2, false);
    parts(&part.join("test/good"), 2, false);
    parts(&part.join("test/bad"), 2, true);
    GrayImage::new(48, 40).save(part.join("good/black.png")).unwrap();
    fs::write(part.join("good/x.heic"), b"?").unwrap();
    fs::copy(part.join("test/bad/0.png"), part.join("test/good/9.png")).unwrap();
    let err = train(&part, &run, &[]);
    let line = inventory(&err, &part);
    for said in [
        "6 normal images",
        "1 file of another kind (heic)",
        "doubled: 2 (0 = later/0, 1 = later/1)",
        "of one color: 1 (black)",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
    let (_, err) = succeed(&["evaluate", path(&part), "--run", path(&run)]);
    let line = inventory(&err, &part);
    for said in [
        "2 test images among those the run was trained on: good/0, good/1",
        "1 picture both normal and defective: bad/0 = good/9",
    ] {
        assert!(line.contains(said), "{said}: {line}");
    }
}

#[test]
fn a_selection_file_is_used_or_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (part, file) = (dir.path().join("part"), dir.path().join("own.toml"));
    parts(&part, 2, false);
    let sheet = dir.path().join("sheet.png");
    let said = |text: &str| {
        fs::write(&file, text).unwrap();
        fault(&[
            "simulate",
            path(&part),
            "--selection",
            path(&file),
            "--out",
            path(&sheet),
        ])
    };
    assert!(
        said("[other]\nopaque = true\n").ends_with("own.toml: has neither [part] nor [default], but [other]")
    );
    let mistyped = said("[part]\nopaque = { on = \"yes\", source = \"proposal\" }\n");
    assert!(
        mistyped
            .ends_with("own.toml: line 2: invalid type: string \"yes\", expected `on` to be true or false"),
        "{mistyped}"
    );
}
