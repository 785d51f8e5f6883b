//! Normal images that are added to a run of a memory bank: what it no longer finds odd, what it still knows, and what it says.

use std::path::Path;

use crate::support::{self, quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, TrainImage, demo as demo_data};
use flawforge_training::fit::Origin;
use flawforge_training::{Experiment, Method, Product, Profile, Run, TrainOptions, add_normals, train};
use image::RgbImage;

const METHODS: [Method; 2] = [Method::Forge, Method::PatchCore];

fn experiment(method: Method) -> Experiment {
    let product = Product::new("gear", Selection::default());
    let mut experiment = Experiment::new(method, &Profile::builtin("smoke").unwrap(), &product, 0).unwrap();
    if let Some(settings) = experiment.settings.forge_mut() {
        (settings.forge.head.simulated, settings.forge.head.steps) = (4, 20);
    }
    experiment.calibration.images = 4;
    experiment
}

fn gear(experiment: &Experiment, images: usize) -> Category {
    let mut category = demo_data::category("gear", &experiment.loading(), 0).unwrap();
    category.train.truncate(images);
    category
}

/// The same parts on paper of another colour.
fn of_new_look(category: &Category, places: std::ops::Range<usize>) -> Category {
    let repainted = |image: &RgbImage| {
        let mut image = image.clone();
        for pixel in image.pixels_mut() {
            let [r, g, b] = pixel.0;
            pixel.0 = [255 - b, r / 2 + 100, g];
        }
        image
    };
    let train = category.train[places].iter().map(|image| {
        let pixels = repainted(&image.image().unwrap());
        TrainImage::new(format!("new {}", image.name), pixels)
    });
    Category {
        train: train.collect(),
        ..Category::default()
    }
}

fn score(run: &Run, image: &TrainImage) -> f32 {
    let pixels = image.image().unwrap();
    run.detector().unwrap().detect(&[&*pixels]).unwrap()[0].verdict_score
}

fn trained(experiment: &Experiment, category: &Category, dir: &Path) -> Run {
    train(experiment, category, textures(), dir, &quiet()).unwrap();
    Run::open(dir).unwrap()
}

#[test]
fn an_added_normal_of_a_new_look_stops_being_anomalous() {
    for method in METHODS {
        let experiment = experiment(method);
        let category = gear(&experiment, 16);
        let out = tempfile::tempdir().unwrap();
        let old = trained(&experiment, &category, &out.path().join("old"));
        let bytes = std::fs::read(old.file()).unwrap();
        // Six of the new look are added, with two that the run knows; two more of the new look come later.
        let mut given = of_new_look(&category, 0..6);
        given.train.extend(category.train[..2].iter().cloned());
        let later = of_new_look(&category, 6..8);
        let dir = out.path().join("new");
        let added = add_normals(&old, &given, "a folder", &dir).unwrap();
        assert_eq!((added.added, added.known), (6, 2));
        assert!(added.vectors > 0, "{method}");
        let new = Run::open(&dir).unwrap();
        let normals: Vec<f32> = old.calibrated().unwrap().normal().map(|one| one.score).collect();
        let largest = normals.iter().copied().fold(f32::MIN, f32::max);
        for image in given.train[..6].iter().chain(&later.train) {
            let before = score(&old, image);
            assert!(before > largest, "{method} {}: {before} {largest}", image.name);
        }
        // All but one: forge's head, with random features and few anomalies, finds one part odd on any paper, and is not trained again.
        let usual =
            |images: &[TrainImage]| images.iter().filter(|image| score(&new, image) < largest).count();
        assert!(
            usual(&given.train[..6]) >= 5 && usual(&later.train) == 2,
            "{method}"
        );
        let threshold = |run: &Run| run.decision(&run.rule()).unwrap().unwrap().threshold;
        let judged = given.train[..6]
            .iter()
            .filter(|image| score(&new, image) < threshold(&new));
        assert!(judged.count() >= 5, "{method}");
        // A defect on a part of the earlier look is as odd as it was.
        for test in category.test.iter().filter(|test| test.is_defective()).take(4) {
            let found = |run: &Run| run.detector().unwrap().detect(&[&test.image]).unwrap()[0].score;
            assert!(found(&new) > 0.7 * found(&old), "{method} {}", test.name);
        }
        // All normals calibrate: the earlier with their scores, then the added as if the others alone had been added.
        let united: Vec<_> = new.calibrated().unwrap().normal().collect();
        assert_eq!(united.len(), normals.len() + 6);
        let of_added: Vec<_> = added.scores.iter().collect();
        assert_eq!(of_added, united[normals.len()..], "{method}");
        assert!(
            normals
                .iter()
                .zip(&united)
                .all(|(&score, one)| score == one.score)
        );
        let mut less_odd = 0;
        for (one, image) in united[normals.len()..].iter().zip(&given.train) {
            assert_eq!(one.image, image.name);
            let (known, unknown) = (score(&new, image), score(&old, image));
            // Forge's score is less the map's mean, which grows too.
            assert!(
                one.score >= known || method == Method::Forge,
                "{method}: {one:?} {known}"
            );
            less_odd += usize::from(one.score < unknown);
        }
        assert!(less_odd >= 5, "{method}: {less_odd} of 6");
        assert_eq!(new.calibrated().unwrap().origin, Origin::LeftOut);
        // The old run is as it was, and the new one says what it is made of.
        assert_eq!(std::fs::read(old.file()).unwrap(), bytes);
        assert!(old.additions().is_empty());
        let [addition] = new.additions() else {
            panic!("one addition")
        };
        assert_eq!(
            (addition.place.as_str(), addition.images.len(), addition.known),
            ("a folder", 6, 2)
        );
        assert_eq!(new.experiment(), old.experiment());
        assert_eq!(new.data().each.len(), 22);
        assert_ne!(new.data().images, old.data().images);
        // What was added is known then, and looks like the normal images.
        let again = add_normals(&new, &given, "a folder", &out.path().join("more")).unwrap_err();
        assert!(
            again.to_string().contains("all 8 normal images are known"),
            "{again}"
        );
        let image = given.train[0].image().unwrap();
        let unlike = |run: &Run| run.appearance().unwrap().unlike(&image, given.train[0].size);
        assert!(!unlike(&old).is_empty() && unlike(&new).is_empty());
    }
}

#[test]
fn images_like_the_known_ones_cost_few_vectors_and_one_alone_scores_as_before() {
    for method in METHODS {
        let experiment = experiment(method);
        let all = gear(&experiment, 20);
        let mut category = all.clone();
        category.train.truncate(19);
        let out = tempfile::tempdir().unwrap();
        let old = trained(&experiment, &category, &out.path().join("old"));
        let mut one = all.clone();
        one.train.drain(..19);
        let added = add_normals(&old, &one, "", &out.path().join("new")).unwrap();
        let last = added.calibrated.unwrap().normal().last().cloned().unwrap();
        assert_eq!(
            (last.score, &last.image),
            (score(&old, &one.train[0]), &one.train[0].name)
        );
        // The same from the same, whatever the number of threads.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = pool.install(|| add_normals(&old, &one, "", &out.path().join("again")).unwrap());
        assert_eq!(again.vectors, added.vectors);
        let bytes = |name: &str| std::fs::read(out.path().join(name).join("checkpoint.safetensors")).unwrap();
        assert_eq!(bytes("again"), bytes("new"));
    }
}

#[test]
fn what_cannot_be_added_to_is_said() {
    let out = tempfile::tempdir().unwrap();
    let forge = experiment(Method::Forge);
    let category = gear(&forge, 8);
    let fault = |run: &Run, category: &Category, name: &str| {
        let dir = out.path().join(name);
        add_normals(run, category, "", &dir).unwrap_err().to_string()
    };
    // A training that was stopped.
    let options = TrainOptions {
        stop_after: Some(1),
        ..quiet()
    };
    let stopped = out.path().join("stopped");
    train(&forge, &category, textures(), &stopped, &options).unwrap();
    let found = fault(&Run::open(&stopped).unwrap(), &category, "new");
    assert!(found.contains("not finished"), "{found}");
    // A method that learns by steps.
    let unets = support::experiment(Method::Draem, 1);
    support::run(&unets, &out.path().join("unets"), &quiet()).unwrap();
    let stripes = Run::open(&out.path().join("unets")).unwrap();
    let found = fault(&stripes, &support::category(9), "new");
    assert!(found.contains("draem has no memory bank"), "{found}");
    // Images of another size, a folder that is taken, and a run that images were added to is not trained on.
    let old = trained(&forge, &category, &out.path().join("old"));
    assert!(fault(&old, &support::category(3), "new").contains("wants"));
    assert!(fault(&old, &category, "old").contains("already holds a run"));
    let more = of_new_look(&category, 0..2);
    add_normals(&old, &more, "", &out.path().join("more")).unwrap();
    let options = TrainOptions {
        resume: true,
        ..quiet()
    };
    let again = train(&forge, &category, textures(), &out.path().join("more"), &options).unwrap_err();
    assert!(again.to_string().contains("images were added"), "{again}");
}
