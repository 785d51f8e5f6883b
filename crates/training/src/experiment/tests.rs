//! What an experiment is, by example: its text, its hash, its differences.

use flawforge_augment::{Constants, Kind, Selection};
use flawforge_ops::Precision;

use super::*;
use crate::methods::backbone::Backbone;
use crate::settings::Length;

fn product() -> Product {
    Product::new("parts", Selection::default())
}

fn smoke(method: Method) -> Experiment {
    Experiment::new(method, &Profile::builtin("smoke").unwrap(), &product(), 7).unwrap()
}

fn with(experiment: &Experiment, text: &str) -> Result<Experiment> {
    experiment.with(&Overrides::from_toml(text, "my.toml")?)
}

#[test]
fn toml_round_trips_and_the_hash_follows_the_settings() {
    for &method in Method::ALL {
        let experiment = smoke(method);
        let text = experiment.to_toml().unwrap();
        let again = Experiment::from_toml(&text, "test").unwrap();
        assert_eq!(experiment, again, "{method}\n{text}");
        assert_eq!(experiment.hash(), again.hash());
        assert_eq!(experiment.hash().len(), 64);
        let json = serde_json::to_value(&experiment).unwrap();
        assert_eq!(serde_json::from_value::<Experiment>(json).unwrap(), experiment);
        let other = Experiment {
            seed: 8,
            ..experiment.clone()
        };
        assert_ne!(experiment.hash(), other.hash());
        assert_eq!(experiment.differences(&other), ["seed is 7, was 8"]);
    }
}

#[test]
fn a_simulators_constant_is_a_setting_and_changes_the_hash() {
    let experiment = smoke(Method::LinYan);
    let text = "[simulation.kinds.near-distribution]\ndifference = 20.0\n";
    let other = with(&experiment, text).unwrap();
    assert_ne!(experiment.hash(), other.hash());
    assert_eq!(
        other.differences(&experiment),
        ["simulation.kinds.near-distribution.difference is 20, was 15"]
    );
    let settings = &other.settings.draem().unwrap().simulation;
    match &settings.kinds[&Kind::NearDistribution].constants {
        Constants::NearDistribution(constants) => assert_eq!(constants.difference, 20.0),
        other => panic!("{other:?}"),
    }
    let text = experiment.to_toml().unwrap();
    for constant in ["tries", "density", "amplitude", "opacity"] {
        assert!(text.contains(constant), "{constant} in\n{text}");
    }
    let nsa = with(&smoke(Method::Nsa), "[nsa.constants]\npatches = 1\n").unwrap();
    assert_ne!(nsa.hash(), smoke(Method::Nsa).hash());
}

#[test]
fn a_kind_can_be_added_with_a_weight_and_constants_are_checked() {
    let experiment = smoke(Method::LinYan);
    let added = with(&experiment, "[simulation.kinds.cut-paste]\nweight = 2.0\n").unwrap();
    added.validate().unwrap();
    assert_eq!(added.settings.draem().unwrap().simulation.kinds.len(), 4);
    let error = with(&experiment, "[simulation.kinds.cut-paste]\n")
        .unwrap_err()
        .to_string();
    assert!(error.contains("simulation.kinds.cut-paste.weight"), "{error}");
    let overrides = Overrides::from_toml("seed = 3\n[nsa]\nwidth = 8\n", "two.toml").unwrap();
    assert_eq!(overrides.describe(), "nsa.width = 8, seed = 3");
    let error = with(
        &experiment,
        "[simulation.kinds.near-distribution]\ndensity = 2.0\n",
    )
    .unwrap()
    .validate()
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("simulation.kinds.near-distribution.density"),
        "{error}"
    );
}

#[test]
fn overrides_replace_single_settings() {
    let text = "seed = 3\n[split]\ndetach_focal = false\n[schedule]\nlength = \"5 epochs\"\n";
    let experiment = with(&smoke(Method::LinYan), text).unwrap();
    let settings = experiment.settings.draem().unwrap();
    assert_eq!(
        (experiment.seed, settings.schedule.length),
        (3, Length::Epochs(5))
    );
    assert!(!settings.split.as_ref().unwrap().detach_focal);
    let error = with(&smoke(Method::LinYan), "precision = \"fp8\"\n").unwrap_err();
    assert!(error.to_string().contains("fp8"), "{error}");
    let other = with(&smoke(Method::Draem), "precision = \"bf16\"\n").unwrap();
    assert_eq!(other.settings.draem().unwrap().precision, Precision::Bf16);
}

#[test]
fn settings_that_do_not_concern_the_method_are_refused() {
    for (method, text, name) in [
        (Method::PatchCore, "[loss]\nssim_weight = 2.0\n", "loss"),
        (Method::PatchCore, "[schedule]\nlearning_rate = 1.0\n", "schedule"),
        (Method::Nsa, "[split]\ndetach_focal = false\n", "split"),
        (Method::Draem, "[nsa]\nwidth = 8\n", "nsa"),
        (Method::Draem, "[split]\ndetatch = true\n", "detatch"),
        (Method::Draem, "method = \"nsa\"\n", "--method"),
        (Method::Draem, "profile = \"paper\"\n", "--profile"),
    ] {
        let message = with(&smoke(method), text).unwrap_err().to_string();
        assert!(
            message.starts_with("my.toml:") && message.contains(name),
            "{message}"
        );
        assert!(!message.contains('\n'));
    }
    // A file that repeats what the experiment is says nothing new.
    with(
        &smoke(Method::Draem),
        "method = \"draem\"\ncategory = \"parts\"\n",
    )
    .unwrap();
}

#[test]
fn one_file_serves_experiments_of_several_methods() {
    let text = "seed = 9\n[nsa]\nwidth = 16\n[simulation.kinds.near-distribution]\ndensity = 0.3\n";
    let overrides = Overrides::from_toml(text, "sweep.toml").unwrap();
    let all = ["nsa.width", "seed", "simulation.kinds.near-distribution.density"];
    assert_eq!(overrides.names(), all);
    for (method, unknown) in [
        (Method::Nsa, &all[2..]),
        (Method::LinYan, &all[..1]),
        (Method::Draem, &[all[0], all[2]]),
    ] {
        let (experiment, left) = smoke(method).with_known(&overrides).unwrap();
        assert_eq!(experiment.seed, 9);
        assert_eq!(left, unknown, "{method}");
    }
}

#[test]
fn the_methods_differ_where_the_papers_do() {
    let turned = Product::new(
        "parts",
        Selection {
            rotate_normals: true,
            ..Selection::default()
        },
    );
    let of = |method| Experiment::new(method, &Profile::builtin("smoke").unwrap(), &turned, 7).unwrap();
    let changed = |from: Method, to: Method| -> Vec<String> {
        let mut groups: Vec<String> = of(from)
            .differences(&of(to))
            .into_iter()
            .filter_map(|line| {
                Some(
                    line.split([' '])
                        .next()?
                        .split('.')
                        .take(2)
                        .collect::<Vec<_>>()
                        .join("."),
                )
            })
            .map(|name| {
                if name.starts_with("split") {
                    "split".to_owned()
                } else {
                    name
                }
            })
            .filter(|name| name != "method")
            .collect();
        groups.dedup();
        groups
    };
    let [kinds, rotation, split] = ["simulation.kinds", "simulation.rotation", "split"].map(str::to_owned);
    let own = |names: &[&String]| -> Vec<String> { names.iter().map(|name| (*name).clone()).collect() };
    assert_eq!(changed(Method::Draem, Method::LinYan), own(&[&kinds, &split]));
    assert_eq!(changed(Method::Draem, Method::DraemNoRotation), own(&[&rotation]));
    assert_eq!(
        changed(Method::Draem, Method::DraemOurSimulation),
        own(&[&kinds, &rotation])
    );
    assert_eq!(
        changed(Method::Draem, Method::SplitDraemSimulation),
        own(&[&split])
    );
    assert_eq!(
        changed(Method::SplitDraemSimulation, Method::LinYan),
        own(&[&kinds])
    );
    // Where the selection forbids rotation, the last difference is Lin & Yan's as well.
    let plain = smoke(Method::LinYan)
        .settings
        .draem()
        .unwrap()
        .simulation
        .rotation;
    assert!(plain.is_none());
}

#[test]
fn published_facts_serve_what_is_known_to_be_published() {
    let profile = Profile::builtin("smoke").unwrap();
    let constants = |product: &Product| {
        let mut experiment = Experiment::new(Method::Nsa, &profile, product, 0).unwrap();
        experiment.settings.nsa_mut().unwrap().nsa.constants
    };
    let published = constants(&Product::mvtec("bottle").unwrap());
    let mine = constants(&Product::new("bottle", Selection::default()));
    assert!(published.objects.is_some() && mine.objects.is_none());
    assert!(Product::mvtec("washers").is_none());
    // What NSA loads depends on neither near-distribution anomalies nor any other kind.
    let loading = |near: bool| {
        let selection = Selection {
            rotate_normals: true,
            ..Selection::default().with(Kind::NearDistribution, near)
        };
        Experiment::new(Method::Nsa, &profile, &Product::new("x", selection), 0)
            .unwrap()
            .loading()
    };
    assert_eq!(loading(true), loading(false));
}

#[test]
fn defaults_are_valid_and_each_error_names_its_setting() {
    for name in ["smoke", "demo", "quick", "paper"] {
        for &method in Method::ALL {
            let profile = Profile::builtin(name).unwrap();
            Experiment::new(method, &profile, &product(), 0)
                .unwrap()
                .validate()
                .unwrap();
        }
    }
    for (method, text) in [
        (Method::LinYan, "image_size = 100"),
        (Method::LinYan, "networks.discriminative_width = 0"),
        (Method::LinYan, "batch.size = 0"),
        (Method::LinYan, "schedule.length = \"0 epochs\""),
        (Method::LinYan, "schedule.learning_rate = nan"),
        (Method::LinYan, "adam.beta2 = 1.0"),
        (Method::LinYan, "simulation.clean_probability = -0.1"),
        (Method::LinYan, "split.batch_y = 0"),
        (Method::LinYan, "every.checkpoint = 0"),
        (Method::Nsa, "nsa.width = 6"),
        (Method::Nsa, "nsa.constants.patches = 0"),
        (Method::PatchCore, "patchcore.crop = 72"),
        (Method::PatchCore, "patchcore.crop = 40"),
        (Method::PatchCore, "every.panel = 1"),
    ] {
        let name = text.split(' ').next().unwrap();
        let message = with(&smoke(method), text)
            .unwrap()
            .validate()
            .unwrap_err()
            .to_string();
        assert!(message.contains(name), "{name}: {message}");
    }
}

#[test]
fn weights_in_memory_are_no_setting() {
    let mut experiment = smoke(Method::PatchCore);
    let settings = experiment.settings.patchcore_mut().unwrap();
    assert_eq!(settings.patchcore.backbone, Backbone::ResNet18);
    assert!(settings.given.0.is_none());
    let error = Experiment::new(
        Method::custom("experiment-test").unwrap(),
        &Profile::builtin("smoke").unwrap(),
        &product(),
        0,
    );
    assert!(error.unwrap_err().to_string().contains("experiment-test"));
}

#[test]
fn a_word_where_a_table_belongs_is_told_how_the_table_is_written() {
    let fault = |text: &str| with(&smoke(Method::Forge), text).unwrap_err().to_string();
    let view = fault("view = \"fit\"");
    assert!(view.contains("kind = \"fit\" with an aspect"), "{view}");
    assert!(view.contains("my.toml") && !view.contains("enum"), "{view}");
    let details = fault("[forge]\ndetails = false");
    assert!(details.contains("`weight = 0.0` leaves them out"), "{details}");
}
