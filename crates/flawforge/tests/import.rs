//! `flawforge import`: published weights become a run that detects.

use crate::support::{fault, path, succeed};
use candle_core::Device;
use flawforge::datasets::demo;
use flawforge::metrics::high_pixel;
use flawforge::models::import::{ColorOrder, write};
use flawforge::models::{Detector, Discriminative, Draem, Reconstructive};
use flawforge::training::fit::Origin;
use flawforge::training::{Run, RunFiles};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};

/// Seeded networks, and files of their weights as DRAEM's authors publish them.
fn published(dir: &Path) -> (Reconstructive, Discriminative, [PathBuf; 2]) {
    let mut rng = flawforge::augment::Stream::of_run(3).rng("weights");
    let reconstructive = Reconstructive::new(4, &mut rng, &Device::Cpu).unwrap();
    let discriminative = Discriminative::new(6, &mut rng, &Device::Cpu).unwrap();
    let files = ["first.safetensors", "second.safetensors"].map(|name| dir.join(name));
    write(reconstructive.parameters(), &files[0], ColorOrder::Bgr).unwrap();
    write(discriminative.parameters(), &files[1], ColorOrder::Bgr).unwrap();
    (reconstructive, discriminative, files)
}

#[test]
fn published_weights_become_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (reconstructive, discriminative, [first, second]) = published(dir.path());

    let said = fault(&[
        "import",
        "draem",
        path(&second),
        path(&first),
        "--out",
        path(&at("x")),
    ]);
    assert!(
        said.contains("second.safetensors") && said.contains("encoder"),
        "{said}"
    );
    let said = fault(&[
        "import",
        "draem",
        "nothing.pckl",
        path(&first),
        "--out",
        path(&at("x")),
    ]);
    assert!(said.contains("nothing.pckl"), "{said}");
    std::fs::write(at("broken.pckl"), b"no weights").unwrap();
    let broken = at("broken.pckl");
    let said = fault(&[
        "import",
        "draem",
        path(&broken),
        path(&second),
        "--out",
        path(&at("x")),
    ]);
    assert!(said.contains("broken.pckl"), "{said}");
    assert!(!at("x").exists());

    // Told before the weights are read.
    for out in [broken.clone(), broken.join("run")] {
        let said = fault(&["import", "draem", "a", "b", "--out", path(&out)]);
        assert!(said.contains("broken.pckl: is a file; name a folder"), "{said}");
    }

    let run_dir = at("run");
    let arguments = [
        "import",
        "draem",
        path(&first),
        path(&second),
        "--out",
        path(&run_dir),
    ];
    let (_, said) = succeed(&[&arguments[..], &["--category", "bottle"]].concat());
    assert!(said.contains("no verdicts"), "{said}");
    let said = fault(&arguments);
    assert!(said.contains("holds a run already"), "{said}");

    let run = Run::open(&run_dir).unwrap();
    assert_eq!((run.category(), run.detects_only()), ("bottle", true));
    let image = RgbImage::from_fn(300, 200, |x, y| {
        Rgb([(x % 251) as u8, (y * 3 % 256) as u8, (x * y % 256) as u8])
    });
    let wanted = Draem::new(&reconstructive, &discriminative, 256, 256).unwrap();
    let wanted = wanted.inspect(&[&image]).unwrap().remove(0);
    let scored = run.score(&image).unwrap();
    assert_eq!((scored.score, scored.verdict), (wanted.score, None));
    assert_eq!(scored.map, wanted.map);

    let picture = at("picture.png");
    image.save(&picture).unwrap();
    let out = at("out");
    let predict = [
        "predict",
        path(&picture),
        "--run",
        path(&run_dir),
        "--out",
        path(&out),
    ];
    succeed(&[&predict[..], &["--threshold", "0.1", "--scores-only"]].concat());
    let rows = std::fs::read_to_string(out.join("scores.csv")).unwrap();
    assert!(rows.contains("picture") && rows.contains("anomalous"), "{rows}");
    for export in ["export", "export-run"] {
        for (out, wrong) in [
            (picture.join("model"), "picture.png: is a file; name a folder"),
            (out.clone(), "out: is a folder; name a file"),
            (at("none/model"), "none: no such folder; make it first"),
        ] {
            let said = fault(&[export, path(&run_dir), "--out", path(&out)]);
            assert!(said.contains(wrong), "{said}");
        }
    }
    let model = at("model.onnx");
    let export = ["export", path(&run_dir), "--out", path(&model)];
    succeed(&[&export[..], &["--threshold", "0.1"]].concat());
    let bytes = std::fs::read(&model).unwrap();
    let facts = flawforge::onnx::proto::decode(&bytes).unwrap().metadata_props;
    let threshold = facts.iter().find(|fact| fact.key.as_deref() == Some("threshold"));
    assert_eq!(threshold.unwrap().value.as_deref(), Some("0.1"));
}

#[test]
fn normal_images_give_imported_weights_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (reconstructive, discriminative, [first, second]) = published(dir.path());
    let (normals, run_dir) = (at("washers/good"), at("run"));
    std::fs::create_dir_all(&normals).unwrap();
    let category = demo::category("gear", &flawforge::datasets::Loading::opencv(256, 256), 0).unwrap();
    for image in category.train.iter().take(3) {
        let name = format!("{}.png", image.name.replace('/', "-"));
        image.image().unwrap().save(normals.join(name)).unwrap();
    }
    let folder = at("washers");
    let import = [
        "import",
        "draem",
        path(&first),
        path(&second),
        "--out",
        path(&run_dir),
    ];
    let said = fault(&[&import[..], &["--textures", path(&folder)]].concat());
    assert!(said.contains("--normals"), "{said}");
    let inside = at("washers/good/run");
    let into_them = [&import[..5], &[path(&inside), "--normals", path(&folder)]].concat();
    let said = fault(&into_them);
    assert!(said.contains("washers"), "{said}");
    assert!(!run_dir.exists() && !inside.exists());

    let broken = normals.join("broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\n").unwrap();
    let with_normals = [&import[..], &["--normals", path(&folder)]].concat();
    let said = fault(&with_normals);
    assert!(
        said.contains("broken.png") && said.contains("--skip-bad"),
        "{said}"
    );
    let (_, said) = succeed(&[&with_normals[..], &["--skip-bad"]].concat());
    std::fs::remove_file(&broken).unwrap();
    assert!(said.contains("left out") && said.contains("broken.png"), "{said}");
    assert!(
        said.contains("assumed") && said.contains("decision threshold"),
        "{said}"
    );
    let run = Run::open(&run_dir).unwrap();
    assert_eq!((run.category(), run.detects_only()), ("washers", true));
    assert!(RunFiles::new(&run_dir).unusual().exists());
    let weights = run.places().unwrap().weights.clone().unwrap();
    assert!(weights.contains("first.safetensors"), "{weights}");
    let scores = run.calibrated().unwrap();
    assert_eq!(scores.origin, Origin::Assumed);
    assert_eq!(scores.normal().count(), 3);
    assert!(scores.simulated().count() > 50);
    // Each is the score that the networks give the image.
    let detector = Draem::new(&reconstructive, &discriminative, 256, 256).unwrap();
    for one in scores.normal() {
        let name = Path::new(&one.image).file_name().unwrap();
        let file = normals.join(name).with_extension("png");
        let image = image::open(&file).unwrap().to_rgb8();
        let wanted = detector.inspect(&[&image]).unwrap().remove(0);
        assert_eq!(
            (one.score, one.pixel),
            (wanted.verdict_score, high_pixel(&wanted.map.scores))
        );
    }
    let decision = run.decision(&run.rule()).unwrap().unwrap();
    assert!(decision.warnings.iter().any(|one| one.contains("assumed")));
    let model = at("model.onnx");
    succeed(&["export", path(&run_dir), "--out", path(&model)]);
    let bytes = std::fs::read(&model).unwrap();
    let facts = flawforge::onnx::proto::decode(&bytes).unwrap().metadata_props;
    let threshold = facts.iter().find(|fact| fact.key.as_deref() == Some("threshold"));
    assert_eq!(
        threshold.unwrap().value.as_ref().unwrap().parse(),
        Ok(decision.threshold)
    );
    let out = at("out");
    let predict = [
        "predict",
        path(&normals),
        "--run",
        path(&run_dir),
        "--out",
        path(&out),
        "--scores-only",
    ];
    succeed(&predict);
    let rows = std::fs::read_to_string(out.join("scores.csv")).unwrap();
    let judged = |row: &&str| row.contains("normal") || row.contains("anomalous") || row.contains("look");
    assert!(rows.lines().skip(1).filter(judged).count() == 3, "{rows}");
}

#[test]
fn a_threshold_of_one_part_says_what_it_is_worth() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (_, _, [first, second]) = published(dir.path());
    std::fs::create_dir_all(at("part/good")).unwrap();
    let image = RgbImage::from_fn(256, 256, |x, y| {
        Rgb([(x % 97) as u8 + 90, (y % 89) as u8 + 90, 120])
    });
    image.save(at("part/good/0.png")).unwrap();
    let (_, said) = succeed(&[
        "import",
        "draem",
        path(&first),
        path(&second),
        "--out",
        path(&at("run")),
        "--normals",
        path(&at("part")),
    ]);
    for worth in [
        "the threshold rests on 1 good part; 20 or more give one to rely on",
        "calls at most 97 in 100 good parts anomalous",
    ] {
        assert!(said.contains(worth), "{said}");
    }
}
