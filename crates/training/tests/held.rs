//! Trainings on images that are not held learn what those on images in memory learn, bit for bit.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::support::{category, experiment, quiet, selected, textures};
use candle_core::Device;
use flawforge_augment::{Kind, Selection};
use flawforge_datasets::{Category, CategoryFiles, Limits};
use flawforge_training::{Experiment, Method, train};

const IMAGES: usize = 8;

/// The images of the tests as files.
fn write(dir: &Path) {
    let folder = dir.join("stripes/normal");
    fs::create_dir_all(&folder).unwrap();
    for image in category(IMAGES).train {
        let path = folder.join(format!("{}.png", image.name));
        image.image().unwrap().save(path).unwrap();
    }
}

fn load(dir: &Path, experiment: &Experiment, max_held_bytes: u64) -> Category {
    let limits = Limits {
        max_held_bytes,
        ..Limits::default()
    };
    let files = CategoryFiles::discover(&dir.join("stripes")).unwrap();
    Category::load_normals(&files, &experiment.loading(), &limits).unwrap()
}

/// All tensors of a run's file.
fn learnt(run: &Path) -> HashMap<String, Vec<f32>> {
    let tensors = candle_core::safetensors::load(run.join("checkpoint.safetensors"), &Device::Cpu).unwrap();
    let values = |tensor: candle_core::Tensor| {
        let flat = tensor.flatten_all().unwrap();
        flat.to_dtype(candle_core::DType::F32).unwrap().to_vec1().unwrap()
    };
    tensors
        .into_iter()
        .map(|(name, tensor)| (name, values(tensor)))
        .collect()
}

#[test]
fn what_is_learnt_does_not_depend_on_what_is_held() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    // Foreign patches are cut from other normal images.
    let foreign = Selection::only(Kind::ForeignPatch);
    let cases = [
        experiment(Method::LinYan, 2),
        selected(Method::LinYan, 2, foreign),
        experiment(Method::Nsa, 2),
        experiment(Method::PatchCore, 2),
    ];
    for (case, config) in cases.iter().enumerate() {
        let run = |held: u64, name: &str| {
            let images = load(dir.path(), config, held);
            let out = dir.path().join(format!("{case}-{name}"));
            let report = train(config, &images, textures(), &out, &quiet()).unwrap();
            (learnt(&out), report.data, report.calibrated)
        };
        let all = run(1 << 30, "all");
        assert!(!all.0.is_empty());
        let (width, height) = config.loading().image.of((1, 1));
        for (held, name) in [(0, "none"), (3 * u64::from(3 * width * height), "some")] {
            assert!(run(held, name) == all, "{}, {name} held", config.method);
        }
    }
}

#[test]
fn a_file_that_goes_during_a_training_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let config = experiment(Method::LinYan, 20);
    let images = load(dir.path(), &config, 0);
    for index in 0..IMAGES {
        fs::remove_file(dir.path().join(format!("stripes/normal/{index:03}.png"))).unwrap();
    }
    let out = dir.path().join("run");
    let fault = train(&config, &images, textures(), &out, &quiet()).unwrap_err();
    let said = fault.to_string();
    assert!(
        said.contains("stripes/normal/00") && said.lines().count() == 1,
        "{said}"
    );
}
