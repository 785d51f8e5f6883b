//! `flawforge export`: every method as an ONNX file, whose facts are read here and whose scores ONNX Runtime computes.

mod examples;
mod python;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use flawforge::augment::{ProceduralTextures, Selection};
use flawforge::datasets::{Loading, demo};
use flawforge::metrics::RunLengths;
use flawforge::models::Resizing;
use flawforge::models::export::prepared;
use flawforge::onnx::proto::{GraphProto, ModelProto, ValueInfoProto, decode};
use flawforge::onnx::{Dim, Element, Graph};
use flawforge::training::{
    Experiment, Method, Overrides, Product, Profile, ProgressStyle, Run, TrainOptions, Verdict, train,
};
use flawforge_testing::{Need, skip};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use support::{fault, path, succeed};

const CATEGORY: &str = "gear";
/// Largest difference of a score, relative to max(1, |score|), and of a number of a map.
const SCORE: f64 = 1e-4;
const MAP: f64 = 1e-3;
/// The same of scores of networks in f16.
const HALF: f64 = 1e-2;
/// Largest share of the file in f32 that one in f16 takes where numbers are most of it: weights and memory banks.
const HALF_SIZE: f64 = 0.55;

/// A smoke run on the demo, with other settings.
fn trained(method: Method, overrides: &str, dir: &Path) -> PathBuf {
    let product = Product::new(CATEGORY, Selection::default());
    let mut experiment = Experiment::new(method, &Profile::builtin("smoke").unwrap(), &product, 0)
        .unwrap()
        .with(&Overrides::from_toml(overrides, "the test").unwrap())
        .unwrap();
    experiment.calibration.images = 6;
    let category = demo::category(CATEGORY, &experiment.loading(), 0).unwrap();
    let textures = Arc::new(ProceduralTextures::default());
    let options = TrainOptions {
        progress: ProgressStyle::Silent,
        ..TrainOptions::default()
    };
    let run = dir.join("run");
    train(&experiment, &category, textures, &run, &options).unwrap();
    run
}

/// Images of the demo with a defect each, brought to a size.
fn images(width: u32, height: u32) -> Vec<RgbImage> {
    static DEFECTIVE: OnceLock<Vec<RgbImage>> = OnceLock::new();
    let defective = DEFECTIVE.get_or_init(|| {
        let category = demo::category(CATEGORY, &Loading::opencv(128, 128), 0).unwrap();
        let tests = category.test.iter().rev().step_by(5).take(2);
        tests.map(|test| test.image.clone()).collect()
    });
    let of_size = |image: &RgbImage| {
        let mut image = Resizing::opencv(width, height).apply(image);
        // Numbers that no filter makes smooth.
        for (x, y, Rgb(values)) in image.enumerate_pixels_mut() {
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 7 & 31;
            *values = values.map(|value| value.saturating_add(noise as u8));
        }
        image
    };
    defective.iter().map(of_size).collect()
}

/// Writes what the run says of images of several sizes, for the script.
fn cases(run: &Run, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let side = run.detector().unwrap().input_size().0;
    let sizes = [
        (side, side),
        (2 * side, 2 * side),
        (97, 150),
        (side + 1, side),
        (33, 21),
        (200, side),
    ];
    let mut cases = Vec::new();
    for (width, height) in sizes {
        let images = images(width, height);
        let scored: Vec<_> = images.iter().map(|image| run.score(image).unwrap()).collect();
        let names = [
            format!("{width}x{height}.images"),
            format!("{width}x{height}.map"),
        ];
        let bytes: Vec<u8> = images.iter().flat_map(|image| image.as_raw().clone()).collect();
        fs::write(folder.join(&names[0]), bytes).unwrap();
        let numbers = scored.iter().flat_map(|one| &one.map.scores);
        let bytes: Vec<u8> = numbers.flat_map(|score| score.to_le_bytes()).collect();
        fs::write(folder.join(&names[1]), bytes).unwrap();
        let verdict = |verdict: Verdict| match verdict {
            Verdict::Normal => 0,
            Verdict::Look => 1,
            Verdict::Anomalous => 2,
        };
        let verdicts: Option<Vec<i64>> = scored.iter().map(|one| one.verdict.map(verdict)).collect();
        cases.push(json!({
            "count": images.len(), "width": width, "height": height, "images": names[0], "map": names[1],
            "score": scored.iter().map(|one| one.score).collect::<Vec<_>>(),
            "verdict_score": scored.iter().map(|one| one.verdict_score).collect::<Vec<_>>(),
            "verdict": verdicts,
        }));
    }
    fs::write(folder.join("cases.json"), json!(cases).to_string()).unwrap();
}

/// What the script says of a model and cases; nothing where no ONNX Runtime is there.
fn compared(model: &Path, cases: &Path) -> Option<Value> {
    let python = match python::python() {
        Ok(python) => python,
        Err(why) => {
            skip(Need::Peer, why);
            return None;
        }
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/compare.py");
    let output = Command::new(python)
        .arg(script)
        .arg(model)
        .arg(cases)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Shapes of inputs or outputs, by name.
fn shapes(values: &[ValueInfoProto]) -> BTreeMap<String, (i32, Vec<String>)> {
    let shape = |value: &ValueInfoProto| {
        let tensor = value.r#type.clone().unwrap().tensor_type.unwrap();
        let dims = tensor.shape.unwrap().dim;
        let dims = dims
            .iter()
            .map(|dim| match dim.dim_value {
                Some(length) => length.to_string(),
                None => dim.dim_param.clone().unwrap(),
            })
            .collect();
        (value.name.clone().unwrap(), (tensor.elem_type.unwrap(), dims))
    };
    values.iter().map(shape).collect()
}

/// Checks what a file says about itself.
fn check(model: &ModelProto, run: &Run) -> GraphProto {
    assert_eq!(model.opset_import.len(), 1);
    assert_eq!(model.opset_import[0].version, Some(flawforge::onnx::OPSET));
    let graph = model.graph.clone().unwrap();
    let named = |dims: &[&str]| dims.iter().map(|&dim| dim.to_owned()).collect::<Vec<_>>();
    let inputs = shapes(&graph.input);
    assert_eq!(inputs["images"], (2, named(&["N", "H", "W", "3"])));
    let outputs = shapes(&graph.output);
    assert_eq!(outputs["score"], (1, named(&["N"])));
    assert_eq!(outputs["verdict_score"], (1, named(&["N"])));
    assert_eq!(outputs["map"], (1, named(&["N", "H", "W"])));
    assert_eq!(outputs["verdict"], (7, named(&["N"])));
    let facts: BTreeMap<String, String> = model
        .metadata_props
        .iter()
        .map(|fact| (fact.key.clone().unwrap(), fact.value.clone().unwrap()))
        .collect();
    assert_eq!(facts["category"], CATEGORY);
    assert_eq!(facts["method"], run.experiment().method.to_string());
    assert_eq!(facts["run"], run.identity());
    assert_eq!(facts["settings"], run.experiment().hash());
    let decision = run.decision(&run.rule()).unwrap().unwrap();
    assert_eq!(facts["threshold"].parse(), Ok(decision.threshold));
    // Every constant has as many bytes as its shape says.
    for constant in &graph.initializer {
        let size = match constant.data_type.unwrap() {
            7 | 11 => 8,
            10 => 2,
            _ => 4,
        };
        let count: i64 = constant.dims.iter().product();
        assert_eq!(constant.raw_data.as_ref().unwrap().len() as i64, size * count);
    }
    graph
}

/// A run that is exported by the command.
struct Exported {
    dir: tempfile::TempDir,
    run_dir: PathBuf,
    model: PathBuf,
    cases: PathBuf,
}

/// Trains, exports, reads the file, and lets ONNX Runtime compute it. Nothing where there is none.
fn agrees_in_f32(method: Method, overrides: &str) -> Option<Exported> {
    let dir = tempfile::tempdir().unwrap();
    let run_dir = trained(method, overrides, dir.path());
    let (model, folder) = (dir.path().join("model.onnx"), dir.path().join("cases"));
    succeed(&["export", path(&run_dir), "--out", path(&model)]);
    let run = Run::open(&run_dir).unwrap();
    let graph = check(&decode(&fs::read(&model).unwrap()).unwrap(), &run);
    assert!(graph.node.len() > 100, "{} nodes", graph.node.len());
    cases(&run, &folder);
    let worst = compared(&model, &folder)?;
    // A network that says the same of every pixel would agree with anything.
    assert!(worst["map_spread"].as_f64().unwrap() > 0.05, "{method}: {worst}");
    println!("{method} {overrides:?}: {}", worst["verdict_score_relative"]);
    let value = |name: &str| worst[name].as_f64().unwrap();
    for name in ["score_relative", "verdict_score_relative"] {
        assert!(value(name) < SCORE, "{method} {overrides:?} {name}: {worst}");
    }
    assert!(value("map_relative") < MAP, "{method} {overrides:?}: {worst}");
    assert_eq!(worst["verdicts_that_differ"], 0, "{method} {overrides:?}");
    assert_eq!(worst["metadata"]["run"], run.identity());
    Some(Exported {
        dir,
        run_dir,
        model,
        cases: folder,
    })
}

/// The same, and in f16.
fn agrees(method: Method, overrides: &str) {
    let Some(exported) = agrees_in_f32(method, overrides) else {
        return;
    };
    let Exported {
        dir,
        run_dir,
        model,
        cases,
    } = exported;
    let half = dir.path().join("half.onnx");
    succeed(&[
        "export",
        path(&run_dir),
        "--out",
        path(&half),
        "--precision",
        "f16",
    ]);
    let size = |file: &Path| fs::metadata(file).unwrap().len();
    let (size, whole) = (size(&half) as f64, size(&model) as f64);
    println!("{method} {overrides:?}: {size} of {whole} bytes in f16");
    assert!(size < HALF_SIZE * whole, "{size} of {whole} bytes");
    let Some(worst) = compared(&half, &cases) else {
        return;
    };
    let of_half = worst["verdict_score_relative"].as_f64().unwrap();
    println!("{method} {overrides:?} in f16: {of_half:e}");
    assert!(of_half < HALF, "{method} {overrides:?}: {worst}");
    assert_eq!(worst["metadata"]["precision"], "float16");
}

#[test]
fn the_u_nets_agree() {
    let longer = "[schedule]\nlength = \"120 steps\"";
    agrees(Method::Draem, longer);
    agrees(Method::LinYan, &format!("flips = \"both\"\n{longer}"));
}

#[test]
fn nsa_agrees() {
    agrees(Method::Nsa, "[schedule]\nlength = \"60 steps\"");
}

#[test]
fn patchcore_agrees_with_residual_networks() {
    agrees(Method::PatchCore, "");
    agrees(
        Method::PatchCore,
        "[patchcore]\nresize = 80\ncrop = 64\nreweight = 5\nstrides = [4, 8, 16]\nembedding = 100",
    );
}

#[test]
fn patchcore_agrees_with_efficientnets_at_several_sizes() {
    agrees(
        Method::PatchCore,
        "[patchcore]\nbackbone = \"efficientnet-lite0\"\nsides = [48, 64, 80]\nembedding = 128",
    );
}

#[test]
fn patchcore_agrees_with_its_papers_network() {
    agrees(
        Method::PatchCore,
        "[patchcore]\nbackbone = \"wide-resnet50-2\"\nstrides = [8, 16]\nembedding = 1024",
    );
}

#[test]
fn forge_agrees() {
    agrees(Method::Forge, "");
}

#[test]
fn forge_that_measures_details_agrees() {
    agrees(
        Method::Forge,
        "[forge.details]\nbelow = 0.0\nrestless = 1000000.0",
    );
}

#[test]
fn forge_that_compares_positions_agrees() {
    agrees(Method::Forge, "[forge]\nposition = 1.5");
    // Of windows, their place in the whole image.
    let tiles = "[view]\nkind = \"tiles\"\nscale = 0.75\n";
    agrees_in_f32(Method::Forge, &format!("[forge]\nposition = 1.5\n{tiles}"));
}

#[test]
fn views_and_a_region_of_interest_agree() {
    let shorter = "[schedule]\nlength = \"60 steps\"\n";
    let fit = "[view]\nkind = \"fit\"\naspect = [4, 3]\n";
    let tiles = "[view]\nkind = \"tiles\"\nscale = 0.75\n";
    let mut inner = vec![0u8; 20 * 20];
    for row in inner[40..360].chunks_exact_mut(20) {
        row[3..16].fill(1);
    }
    let runs = RunLengths::of_mask(&inner, 20).compressed();
    let region = format!("[region]\nkind = \"fixed\"\nwidth = 20\nheight = 20\nruns = '{runs}'\n");
    agrees_in_f32(Method::LinYan, &format!("{shorter}{fit}"));
    agrees_in_f32(Method::Forge, &format!("{tiles}{region}"));
    agrees_in_f32(Method::Nsa, &format!("{shorter}{tiles}whole = true\n"));
}

#[test]
fn images_are_resized_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let noise = |width: u32, height: u32| {
        let mut state = width * 31 + height;
        RgbImage::from_fn(width, height, |_, _| {
            Rgb([0; 3].map(|_: u8| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }))
        })
    };
    for (index, resizing) in [
        Resizing::opencv(64, 64),
        Resizing::opencv(48, 32),
        Resizing::antialiased(64, 64),
        Resizing::antialiased(48, 32),
    ]
    .into_iter()
    .enumerate()
    {
        let mut graph = Graph::new("resizing");
        let shape = [Dim::Named("N"), Dim::Named("H"), Dim::Named("W"), Dim::Known(3)];
        let images = graph.input("images", Element::U8, &shape);
        let bytes = prepared(&mut graph, images, resizing);
        let (width, height) = (resizing.size.0 as usize, resizing.size.1 as usize);
        let shape = [
            Dim::Named("N"),
            Dim::Known(height),
            Dim::Known(width),
            Dim::Known(3),
        ];
        graph.output("bytes", bytes, &shape);
        let model = dir.path().join(format!("{index}.onnx"));
        fs::write(&model, graph.to_bytes().unwrap()).unwrap();
        let folder = dir.path().join(index.to_string());
        fs::create_dir_all(&folder).unwrap();
        let mut cases = Vec::new();
        for (width, height) in [
            (64, 64),
            (48, 32),
            (96, 64),
            (128, 128),
            (1, 1),
            (2, 1),
            (1, 5),
            (64, 128),
            (63, 65),
            (47, 64),
            (300, 200),
            (257, 511),
            (640, 7),
            (9, 480),
            (100, 100),
            (333, 77),
        ] {
            let image = noise(width, height);
            let name = format!("{width}x{height}");
            fs::write(folder.join(&name), image.as_raw()).unwrap();
            fs::write(
                folder.join(format!("{name}.bytes")),
                resizing.apply(&image).as_raw(),
            )
            .unwrap();
            cases.push(json!({
                "count": 1, "width": width, "height": height, "images": name, "bytes": format!("{name}.bytes"),
            }));
        }
        fs::write(folder.join("cases.json"), json!(cases).to_string()).unwrap();
        let Some(worst) = compared(&model, &folder) else {
            return;
        };
        assert_eq!(worst["bytes_that_differ"], 0, "{resizing:?}");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model.onnx");
    let nowhere = dir.path().join("nowhere");
    let said = fault(&["export", path(&nowhere), "--out", path(&model)]);
    assert!(said.contains("does not exist"), "{said}");
    let said = fault(&["export", "x", "--out", path(&model), "--precision", "bf16"]);
    assert!(said.contains("bf16") && said.contains("f16"), "{said}");
    fs::write(&model, "mine").unwrap();
    let said = fault(&["export", path(&nowhere), "--out", path(&model)]);
    assert!(said.contains("is there already"), "{said}");
    assert_eq!(fs::read(&model).unwrap(), b"mine");
}
