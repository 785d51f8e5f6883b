//! `flawforge import`: published weights become a run that detects.

use crate::support::{fault, path, succeed};
use candle_core::Device;
use flawforge::models::import::{ColorOrder, write};
use flawforge::models::{Detector, Discriminative, Draem, Reconstructive};
use flawforge::training::Run;
use image::{Rgb, RgbImage};

#[test]
fn published_weights_become_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut rng = flawforge::augment::Stream::of_run(3).rng("weights");
    let reconstructive = Reconstructive::new(4, &mut rng, &Device::Cpu).unwrap();
    let discriminative = Discriminative::new(6, &mut rng, &Device::Cpu).unwrap();
    let (first, second) = (at("first.safetensors"), at("second.safetensors"));
    write(reconstructive.parameters(), &first, ColorOrder::Bgr).unwrap();
    write(discriminative.parameters(), &second, ColorOrder::Bgr).unwrap();

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
    let model = at("model.onnx");
    let export = ["export", path(&run_dir), "--out", path(&model)];
    succeed(&[&export[..], &["--threshold", "0.1"]].concat());
    let bytes = std::fs::read(&model).unwrap();
    let facts = flawforge::onnx::proto::decode(&bytes).unwrap().metadata_props;
    let threshold = facts.iter().find(|fact| fact.key.as_deref() == Some("threshold"));
    assert_eq!(threshold.unwrap().value.as_deref(), Some("0.1"));
}
