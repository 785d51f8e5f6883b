//! Where the scores come from that thresholds are found on, and that none of them is an accident of threads.

use crate::support::{quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, demo as demo_data};
use flawforge_training::fit::{Calibrated, Origin};
use flawforge_training::{Experiment, Method, Overrides, Product, Profile, Rule, Run, TrainReport, train};

fn experiment(method: Method) -> Experiment {
    let product = Product::new("gear", Selection::default());
    let mut experiment = Experiment::new(method, &Profile::builtin("smoke").unwrap(), &product, 0).unwrap();
    experiment.calibrate_for_use();
    experiment.calibration.anomalies = 30;
    if method != Method::Nsa {
        experiment = experiment
            .with(&Overrides::from_toml("[schedule]\nlength = \"4 steps\"", "test").unwrap())
            .unwrap();
    }
    experiment
}

fn gear(experiment: &Experiment, images: usize) -> Category {
    let mut category = demo_data::category("gear", &experiment.loading(), 0).unwrap();
    category.train.truncate(images);
    category
}

fn trained(experiment: &Experiment, images: usize) -> (TrainReport, Run) {
    let out = tempfile::tempdir().unwrap();
    let category = gear(experiment, images);
    let report = train(experiment, &category, textures(), out.path(), &quiet()).unwrap();
    (report, Run::open(out.path()).unwrap())
}

fn names(calibrated: &Calibrated) -> Vec<&str> {
    calibrated.normal().map(|one| one.image.as_str()).collect()
}

#[test]
fn few_images_are_all_scored_unseen_by_trainings_on_the_others() {
    let experiment = experiment(Method::LinYan);
    let (_, run) = trained(&experiment, 10);
    let calibrated = run.calibrated().unwrap();
    assert_eq!(calibrated.origin, Origin::CrossFitted);
    let category = gear(&experiment, 10);
    let all: Vec<&str> = category.train.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names(calibrated), all);
    assert_eq!(calibrated.simulated().count(), 30);
    for one in calibrated.simulated() {
        let share = one.share.unwrap();
        assert!(share > 0.0 && share < 1.0 && one.score.is_finite(), "{one:?}");
    }
    let decision = run.decision(&run.rule()).unwrap().unwrap();
    assert_eq!(decision.promise.unwrap().parts, 10);
    assert_eq!(decision.doubt.as_deref(), Some("threshold from 10 good parts"));
    // Another rule needs no training.
    let rule = Rule {
        // Networks of one step give some images the same score to the last bit.
        false_alarms: 0.8,
        ..run.rule()
    };
    assert!(run.decision(&rule).unwrap().unwrap().threshold < decision.threshold);
    // The detector itself has seen the images: it would give other scores.
    let seen = run.score(&category.train[0].image().unwrap()).unwrap();
    let unseen = calibrated.normal().next().unwrap();
    assert_ne!(seen.verdict_score, unseen.score);
}

#[test]
fn no_score_depends_on_threads() {
    let experiment = experiment(Method::LinYan);
    let by = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| trained(&experiment, 9).0.calibrated)
    };
    let one = by(1);
    assert!(one.is_some());
    assert_eq!(one, by(3));
}

#[test]
fn a_share_that_is_asked_for_is_held_out() {
    let mut experiment = experiment(Method::Draem);
    let calibration = &mut experiment.calibration;
    (calibration.held_out, calibration.fewest, calibration.folds) = (0.3, 0, 0);
    let (_, run) = trained(&experiment, 10);
    let calibrated = run.calibrated().unwrap();
    assert_eq!((calibrated.origin, names(calibrated).len()), (Origin::HeldOut, 3));
    // Three images are few, so there are more anomalies than images.
    assert_eq!(calibrated.simulated().count(), 30);
}

#[test]
fn nothing_unseen_promises_nothing() {
    let mut experiment = experiment(Method::Draem);
    experiment.calibration = flawforge_training::settings::Calibration::default();
    let (_, run) = trained(&experiment, 6);
    let decision = run.decision(&run.rule()).unwrap().unwrap();
    assert_eq!(
        (decision.origin, decision.promise, decision.doubt.as_deref()),
        (Origin::Trained, None, Some("threshold from trained images"))
    );
    experiment.calibration.images = 0;
    let (report, run) = trained(&experiment, 6);
    assert!(report.calibrated.is_none() && run.decision(&run.rule()).unwrap().is_none());
}
