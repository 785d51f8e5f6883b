//! Settings as texts, their checks, and the simulations made of them.

use std::sync::Arc;

use image::{Rgb, RgbImage};

use super::*;
use crate::{
    AnomalySimulator, ForeignPatchSettings, NearDistribution, ProceduralTextures, Selections, Stream,
    TextureBank, TransparentSettings,
};

/// Every kind, each with another weight.
fn all() -> SimulationSettings {
    let kinds = Kind::ALL.into_iter().zip(1..).map(|(kind, weight)| {
        let constants = Constants::of(kind).unwrap();
        let weight = f64::from(weight);
        (kind, KindSettings { weight, constants })
    });
    SimulationSettings {
        kinds: kinds.collect(),
        ..SimulationSettings::draem()
    }
}

fn read(text: &str) -> Result<SimulationSettings, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())
}

#[test]
fn every_kind_survives_the_round_trip() {
    let bottle = Selections::builtin().get("bottle").cloned().unwrap();
    let mut odd = all();
    odd.clean_probability = 0.1;
    odd.kinds.get_mut(&Kind::Nsa).unwrap().constants =
        Constants::Nsa(crate::NsaSettings::builtin()["bottle"]);
    odd.kinds.get_mut(&Kind::Transparent).unwrap().constants = Constants::Transparent(TransparentSettings {
        opacity: (0.1, 0.7),
        background: Some(crate::Background::new(200.3, 60.0)),
        ..TransparentSettings::default()
    });
    for settings in [
        all(),
        odd,
        SimulationSettings::draem(),
        SimulationSettings::selected(&bottle),
    ] {
        settings.check().unwrap();
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(read(&text).unwrap(), settings, "{text}");
        let value = toml::Value::try_from(&settings).unwrap();
        assert_eq!(value.try_into::<SimulationSettings>().unwrap(), settings);
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!(
            serde_json::from_value::<SimulationSettings>(json).unwrap(),
            settings
        );
    }
}

#[test]
fn constants_are_written_as_people_write_them() {
    let json = serde_json::to_value(all()).unwrap();
    let kinds = &json["kinds"];
    assert_eq!(kinds["near-distribution"]["density"], 0.2);
    assert_eq!(kinds["transparent"]["opacity"], serde_json::json!([0.2, 1.0]));
    assert_eq!(
        kinds["transparent"]["operations"]["brightness_factor"],
        serde_json::json!([0.8, 1.2])
    );
    assert_eq!(kinds["cut-paste"]["jitter"]["hue"], 0.1);
    assert_eq!(kinds["foreign-patch"]["weight"], 7.0);
    assert_eq!(json["rotation"]["probability"], 0.3);
}

#[test]
fn what_is_left_out_has_its_default_at_any_depth() {
    let settings = read(
        r#"
        [kinds.nsa]
        weight = 1
        gamma = { offset = 0.1 }
        [kinds.near_distribution]
        weight = 0.5
        density = 0.3
        [kinds.cut-out]
        weight = 2
        rectangle = { area = [0.1, 0.2] }
        "#,
    )
    .unwrap();
    assert_eq!(
        (settings.clean_probability, settings.rotation, settings.grey),
        (0.5, None, false)
    );
    let constants = |kind| &settings.kinds[&kind].constants;
    let expected = NearDistribution {
        density: 0.3,
        ..NearDistribution::default()
    };
    assert_eq!(
        constants(Kind::NearDistribution),
        &Constants::NearDistribution(expected)
    );
    // CutOut's own default, not that of rectangles.
    let Constants::CutOut(cut_out) = constants(Kind::CutOut) else {
        panic!("constants of another kind")
    };
    assert_eq!(
        (cut_out.rectangle.area, cut_out.rectangle.aspect.0),
        ((0.1, 0.2), 0.3)
    );
    assert_eq!(
        cut_out.rectangle.aspect_law,
        flawforge_masks::AspectLaw::LogUniform
    );
    let Constants::Nsa(nsa) = constants(Kind::Nsa) else {
        panic!("constants of another kind")
    };
    assert_eq!((nsa.gamma.offset, nsa.gamma.shape), (0.1, 2.0));
}

#[test]
fn errors_name_kind_and_key() {
    let error = |text: &str| read(text).unwrap_err();
    let unknown = error("[kinds.near-distribution]\nweight = 1\ndensty = 0.3");
    assert!(
        unknown.contains("kinds.near-distribution: ") && unknown.contains("`densty`"),
        "{unknown}"
    );
    let deep = error("[kinds.cut-paste]\nweight = 1\njitter = { hew = 0.3 }");
    assert!(
        deep.contains("kinds.cut-paste: ") && deep.contains("`hew`"),
        "{deep}"
    );
    assert!(error("[kinds.nsa]\npatches = 1").contains("kinds.nsa: weight is missing"));
    assert!(error("[kinds.nsa]\nweight = \"much\"").contains("weight must be a number"));
    assert!(error("[kinds.bent]\nweight = 1").contains("\"bent\""));
    assert!(error("[kinds.other]\nweight = 1").contains("kinds.other: cannot be simulated"));
    assert!(error("[kinds.cut_out]\nweight = 1\n[kinds.cut-out]\nweight = 2").contains("is there twice"));
    assert!(error("clean = 0.5").contains("`clean`"));
}

#[test]
fn checks_name_the_constant() {
    let fault = |change: &dyn Fn(&mut SimulationSettings)| {
        let mut settings = all();
        change(&mut settings);
        let error = settings.check().unwrap_err();
        assert!(error.to_string().starts_with(&error.name));
        error.name
    };
    assert_eq!(fault(&|s| s.clean_probability = f64::NAN), "clean_probability");
    assert_eq!(
        fault(&|s| s.rotation.as_mut().unwrap().max_degrees = -1.0),
        "rotation.max_degrees"
    );
    assert_eq!(fault(&|s| s.kinds.clear()), "kinds");
    assert_eq!(
        fault(&|s| s.kinds.values_mut().for_each(|settings| settings.weight = 0.0)),
        "kinds"
    );
    assert_eq!(
        fault(&|s| s.kinds.get_mut(&Kind::Nsa).unwrap().weight = -1.0),
        "kinds.nsa.weight"
    );
    let swapped = fault(&|s| {
        s.kinds.get_mut(&Kind::Nsa).unwrap().constants = Constants::of(Kind::CutOut).unwrap();
    });
    assert_eq!(swapped, "kinds.nsa");
}

/// Every number of every kind's constants is looked at: not a number passes nowhere.
#[test]
fn no_constant_may_be_no_number() {
    fn numbers(path: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Float(_) => found.push(path.to_owned()),
            Value::Table(table) => table
                .iter()
                .for_each(|(key, value)| numbers(&format!("{path}.{key}"), value, found)),
            Value::Array(values) => (0..)
                .zip(values)
                .for_each(|(index, value): (u32, _)| numbers(&format!("{path}.{index}"), value, found)),
            _ => {}
        }
    }
    for kind in Kind::ALL {
        let table = Value::try_from(Constants::of(kind).unwrap()).unwrap();
        let mut found = Vec::new();
        numbers("", &table, &mut found);
        assert!(!found.is_empty(), "{kind}");
        for path in found {
            let mut table = table.clone();
            let mut place = &mut table;
            for key in path.split('.').skip(1) {
                place = match key.parse::<usize>() {
                    Ok(index) => &mut place[index],
                    Err(_) => &mut place[key],
                };
            }
            *place = Value::Float(f64::NAN);
            let Value::Table(table) = table else {
                unreachable!()
            };
            let error = Constants::read(kind, table).unwrap().check();
            let named: String = path
                .split('.')
                .skip(1)
                .filter(|key| key.parse::<usize>().is_err())
                .collect::<Vec<_>>()
                .join(".");
            assert_eq!(error.err().map(|error| error.name), Some(named), "{kind}: {path}");
        }
    }
}

#[test]
fn a_simulation_has_every_kind_once_and_in_order() {
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::new(0, 2));
    let mut settings = all();
    let made = settings.simulation(&textures.clone().into());
    let kinds: Vec<Kind> = made
        .choices
        .iter()
        .map(|choice| choice.simulator.kind())
        .collect();
    assert_eq!(kinds, Kind::ALL);
    for (choice, kind) in made.choices.iter().zip(Kind::ALL) {
        assert_eq!(choice.weight, settings.kinds[&kind].weight);
        assert_eq!(choice.on_failure, kind.on_failure());
    }
    settings.kinds.get_mut(&Kind::Opaque).unwrap().weight = 0.0;
    assert_eq!(
        settings.simulation(&textures.into()).choices.len(),
        Kind::ALL.len() - 1
    );
}

/// On gray images with gray settings no kind makes colors.
#[test]
fn grey_settings_make_grey_anomalies() {
    let normal = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 3 + y * 5) as u8; 3]));
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::new(0, 4));
    for kind in Kind::ALL {
        let settings = SimulationSettings {
            clean_probability: 0.0,
            ..SimulationSettings::selected(&Selection {
                grey: true,
                ..Selection::only(kind)
            })
        };
        let simulation = settings.simulation(&textures.clone().into());
        let made = (0..60).filter(|&index| {
            let stream = Stream {
                index,
                ..Stream::of_run(3)
            };
            let sample = simulation.sample(&normal, stream);
            let grey = sample.image.pixels().all(|pixel| {
                let [r, g, b] = pixel.0;
                (r - g).abs() < 0.01 && (g - b).abs() < 0.01
            });
            assert!(grey, "{kind}");
            sample.kind == Some(kind)
        });
        assert!(made.count() > 20, "{kind}");
    }
}

/// With normal images foreign patches come from them, without from the image itself.
#[test]
fn materials_say_where_patches_come_from() {
    let normal = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 2) as u8, (y * 2) as u8, 90]));
    let bright = RgbImage::from_pixel(64, 64, Rgb([255; 3]));
    let mut materials = Materials::from(Arc::new(ProceduralTextures::new(0, 2)) as Arc<dyn TextureSource>);
    let constants = Constants::ForeignPatch(ForeignPatchSettings {
        factor: (1.0, 1.0),
        ..ForeignPatchSettings::default()
    });
    let brightest = |simulator: Arc<dyn AnomalySimulator>| {
        let made = simulator
            .simulate(&normal, &mut Stream::of_run(1).rng(""))
            .unwrap();
        made.image.iter().copied().fold(0.0, f32::max)
    };
    assert!(brightest(constants.simulator(&materials)) < 0.6);
    materials.normals = Some(Arc::new(TextureBank::new(vec![bright]).unwrap()));
    assert_eq!(brightest(constants.simulator(&materials)), 1.0);
}
