//! The `flawforge` command from outside: what it writes, and how it fails.

use std::fs;
use std::path::Path;

use crate::support::{self, fault, flawforge, grey, open, path, succeed};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

#[test]
fn a_plain_folder_is_trained_on_and_images_of_any_size_are_scored() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("plates");
    fs::create_dir_all(root.join("normal")).unwrap();
    for index in 0..6 {
        grey(103, 222, index * 5)
            .save(root.join(format!("normal/{index}.png")))
            .unwrap();
    }
    let run = dir.path().join("run");
    let train = [
        "train",
        path(&root),
        "--out",
        path(&run),
        "--profile",
        "smoke",
        "--steps",
        "4",
    ];
    let (_, err) = succeed(&train);
    assert!(
        err.contains("selection of plates: default: the paper's three kinds, no rotation"),
        "{err}"
    );
    for file in ["config.toml", "checkpoint.safetensors", "metrics.jsonl"] {
        assert!(run.join(file).is_file(), "{file}");
    }
    assert!(fault(&train).contains("already holds a run"));
    // Images, textures and settings are known from the run.
    succeed(&["train", "--out", path(&run), "--resume"]);
    assert!(fault(&[&train[..], &["--seed", "9", "--resume"]].concat()).contains("seed is 9, was 0"));

    let suspects = dir.path().join("suspects");
    fs::create_dir_all(suspects.join("deeper")).unwrap();
    grey(103, 222, 0).save(suspects.join("tall.png")).unwrap();
    RgbImage::from_pixel(1024, 1024, Rgb([9, 200, 30]))
        .save(suspects.join("deeper/large.jpg"))
        .unwrap();
    DynamicImage::from(grey(40, 30, 1))
        .to_luma16()
        .save(suspects.join("deep16.png"))
        .unwrap();
    let out = dir.path().join("out");
    succeed(&[
        "predict",
        path(&suspects),
        "--run",
        path(&run),
        "--out",
        path(&out),
    ]);
    for (name, width, height) in [
        ("tall", 103, 222),
        ("deeper/large", 1024, 1024),
        ("deep16", 40, 30),
    ] {
        let map = open(&out.join(format!("{name}_map.png")));
        assert_eq!((map.width(), map.height()), (width, height), "{name}");
        assert!(matches!(map, DynamicImage::ImageLuma16(_)), "{name}");
        for kind in ["heat", "overlay"] {
            let picture = open(&out.join(format!("{name}_{kind}.png")));
            assert_eq!((picture.width(), picture.height()), (width, height), "{name}");
        }
    }
    let table = fs::read_to_string(out.join("scores.csv")).unwrap();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(
        table
            .lines()
            .skip(1)
            .all(|line| line.contains(",normal,") || line.contains(",anomalous,")),
        "{table}"
    );

    // The run's one file, copied alone, gives the same scores and verdicts.
    let alone = dir.path().join("elsewhere.safetensors");
    fs::copy(run.join("checkpoint.safetensors"), &alone).unwrap();
    let again = dir.path().join("again");
    succeed(&[
        "predict",
        path(&suspects),
        "--run",
        path(&alone),
        "--out",
        path(&again),
    ]);
    assert_eq!(fs::read_to_string(again.join("scores.csv")).unwrap(), table);

    // One broken file does not cost the scores of the others, but is told.
    fs::write(suspects.join("broken.png"), b"\x89PNG no more").unwrap();
    let message = fault(&[
        "predict",
        path(&suspects),
        "--run",
        path(&run),
        "--out",
        path(&out),
    ]);
    assert!(message.contains("1 of 4"), "{message}");
    let with_broken = fs::read_to_string(out.join("scores.csv")).unwrap();
    let row = with_broken.strip_prefix(&table).expect("the rows before stay");
    assert!(row.contains("broken.png,,,,,,,,,,\"cannot be decoded"), "{row}");
    let message = fault(&["evaluate", path(&root), "--run", path(&run)]);
    assert!(message.contains("no test images"), "{message}");
}

#[test]
fn a_demo_category_is_shown_trained_and_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let sheet = dir.path().join("deep/sheet.png");
    let simulate = [
        "simulate",
        "--demo",
        "gear",
        "--count",
        "2",
        "--size",
        "64",
        "--out",
        path(&sheet),
    ];
    succeed(&simulate);
    let first = fs::read(&sheet).unwrap();
    let picture = open(&sheet);
    // Two columns, and three rows for each of three kinds.
    assert!(
        picture.width() > 2 * 64 && picture.height() > 9 * 64,
        "{}x{}",
        picture.width(),
        picture.height()
    );
    succeed(&simulate);
    assert_eq!(fs::read(&sheet).unwrap(), first);

    let run = dir.path().join("run");
    let config = dir.path().join("few.toml");
    fs::write(&config, "[schedule]\nlength = \"3 steps\"\n[every]\npanel = 2\n").unwrap();
    let train = [
        "train",
        "--demo",
        "gear",
        "--out",
        path(&run),
        "--profile",
        "smoke",
        "--method",
        "draem",
    ];
    succeed(&[&train[..], &["--config", path(&config)]].concat());
    assert!(run.join("panels/step-000002.png").is_file() && run.join("panels/step-000003.png").is_file());
    let (out, _) = succeed(&["evaluate", "--demo", "gear", "--run", path(&run)]);
    for figure in ["image AUROC", "pixel AP", "AUPRO"] {
        assert!(out.contains(figure), "{out}");
    }
    for file in ["evaluation.json", "scores.csv", "heatmaps.png"] {
        assert!(run.join("evaluation").join(file).is_file(), "{file}");
    }
}

/// A folder in MVTec layout with one defect type.
fn mvtec_layout(root: &Path, defect: &str) {
    let mask = GrayImage::from_pixel(40, 40, Luma([255]));
    for part in ["train/good", "test/good", "test/DEFECT", "ground_truth/DEFECT"] {
        let folder = root.join(part.replace("DEFECT", defect));
        fs::create_dir_all(&folder).unwrap();
        let picture = if part.starts_with("ground") {
            mask.clone()
        } else {
            grey(40, 40, 3)
        };
        picture.save(folder.join("000.png")).unwrap();
    }
}

#[test]
fn a_name_alone_brings_no_facts_about_mvtec() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain/leather");
    fs::create_dir_all(plain.join("normal")).unwrap();
    grey(40, 40, 0).save(plain.join("normal/0.png")).unwrap();
    let (other, real) = (dir.path().join("other/bottle"), dir.path().join("real/leather"));
    mvtec_layout(&other, "dent");
    mvtec_layout(&real, "fold");
    let sheet = dir.path().join("sheet.png");
    let said = |arguments: &[&str]| {
        let rest = ["--count", "1", "--size", "32", "--out", path(&sheet)];
        succeed(&[&["simulate"], arguments, &rest].concat()).1
    };
    for own in [&plain, &other] {
        let err = said(&[path(own)]);
        assert!(
            err.contains(": default: the paper's three kinds, no rotation"),
            "{err}"
        );
        assert!(
            err.contains("near-distribution on, rotation of normals off"),
            "{err}"
        );
    }
    let err = said(&[path(&real)]);
    assert!(
        err.contains("selection of leather: built-in (MVTec AD by its layout)"),
        "{err}"
    );
    assert!(
        err.contains("near-distribution off, rotation of normals on"),
        "{err}"
    );
    assert!(said(&["--demo", "leather"]).contains("selection of leather: the demo data's own"));

    let file = dir.path().join("own.toml");
    let answers = "opaque = true\ntransparent = false\nnear_distribution = false\nrotate_normals = false\n";
    fs::write(&file, format!("[default]\n{answers}")).unwrap();
    let err = said(&[path(&real), "--selection", path(&file)]);
    assert!(
        err.contains("selection of leather: ") && err.contains("own.toml"),
        "{err}"
    );
    assert!(err.contains("transparent off, opaque on"), "{err}");
}

#[test]
fn a_killed_run_ends_as_an_unbroken_one_with_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("short.toml");
    fs::write(
        &config,
        "[schedule]\nlength = \"24 steps\"\n[every]\ncheckpoint = 5\npanel = 7\n",
    )
    .unwrap();
    let train = |run: &Path, threads: &str| {
        let mut command = support::command();
        let arguments = ["train", "--demo", "weave", "--profile", "smoke", "--resume"];
        command
            .args(arguments)
            .args(["--config", path(&config), "--out", path(run)]);
        command
            .env("RAYON_NUM_THREADS", threads)
            .stderr(std::process::Stdio::null());
        command
    };
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    assert!(train(&whole, "1").status().unwrap().success());

    // Killed after its first, then after a later checkpoint, wherever it happens to be.
    for newer in [false, true] {
        let checkpoint = killed.join("checkpoint.safetensors");
        let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        let before = if newer { written(&checkpoint) } else { None };
        let mut child = train(&killed, "3").spawn().unwrap();
        while written(&checkpoint) == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(train(&killed, "2").status().unwrap().success());
    for file in ["checkpoint.safetensors", "config.toml", "panels/step-000021.png"] {
        assert!(
            fs::read(whole.join(file)).unwrap() == fs::read(killed.join(file)).unwrap(),
            "{file} differs"
        );
    }
    let losses = |run: &Path| -> Vec<String> {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| line.split(",\"seconds\"").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(losses(&whole), losses(&killed));
    assert_eq!(losses(&whole).len(), 24);
}

#[test]
fn faults_are_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let none = dir.path().join("none");
    let out = dir.path().join("out");
    let message = fault(&["train", path(&none), "--out", path(&out)]);
    assert!(message.contains("none"), "{message}");
    assert!(fault(&["train", "--demo", "teapot", "--out", path(&out)]).contains("connector"));
    let train = ["train", "--demo", "gear", "--out", path(&out)];
    assert!(fault(&[&train[..], &["--profile", "huge"]].concat()).contains("smoke"));
    assert!(
        fault(&[&train[..], &["--profile", "smoke", "--textures", path(&none)]].concat()).contains("none")
    );
    assert!(
        fault(&[&train[..], &["--profile", "smoke", "--selection", path(&none)]].concat()).contains("none")
    );
    let selection = dir.path().join("selection.toml");
    fs::write(&selection, "[gear]\ntransparent = maybe\n").unwrap();
    let bad = [
        &train[..],
        &["--profile", "smoke", "--selection", path(&selection)],
    ]
    .concat();
    assert!(fault(&bad).contains("selection.toml"));
    assert!(fault(&[&train[..], &["--profile", "smoke", "--held-out", "0.9"]].concat()).contains("held_out"));
    assert!(fault(&["predict", path(&none), "--run", path(&none), "--out", path(&out)]).contains("none"));

    let folder = dir.path().join("broken/normal");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("000.png"), b"not a picture").unwrap();
    let message = fault(&["train", path(&dir.path().join("broken")), "--out", path(&out)]);
    assert!(message.contains("000.png"), "{message}");
    assert!(!out.exists(), "nothing is written before all is checked");
}

#[test]
fn wrong_usage_has_its_own_exit_code() {
    for arguments in [
        &["train"][..],
        &["trane"],
        &["train", "--demo", "gear", "--out", "x", "--method", "padim"],
    ] {
        assert_eq!(flawforge(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(flawforge(&["--version"]).status.code(), Some(0));
}
