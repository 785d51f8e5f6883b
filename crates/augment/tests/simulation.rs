//! What a simulation promises: bytes, frequencies, fall-backs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flawforge_augment::{
    AnomalySimulator, Choice, Kind, Mask, OnFailure, Parameters, ProceduralTextures, Rectangle,
    RotateNormals, Sample, Selection, Selections, Simulated, Simulation, Stream, TextureOverlay,
    TextureSource, Transparent, to_bytes, to_float,
};
use image::{Rgb, RgbImage};
use rand::{Rng, RngCore};

fn surface(width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let grain =
            (x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791)) >> 7;
        let weave = if (x / 5 + y / 7).is_multiple_of(2) {
            70
        } else {
            150
        };
        Rgb([
            weave + (grain % 13) as u8,
            weave,
            200 - weave / 2 + (grain % 5) as u8,
        ])
    })
}

fn streams(count: u64) -> Vec<Stream> {
    (0..count)
        .map(|index| Stream {
            seed: 11,
            step: 2,
            index,
        })
        .collect()
}

/// FNV-1a of everything in the samples, images rounded to bytes.
fn digest(samples: &[Sample]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for sample in samples {
        add(sample.normal.as_raw());
        add(to_bytes(&sample.image).as_raw());
        add(sample.mask.pixels());
        add(sample.kind.map_or("clean", Kind::name).as_bytes());
    }
    hash
}

#[test]
fn the_number_of_threads_changes_nothing_and_bytes_are_pinned() {
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::default());
    let bottle = Selections::builtin().get("bottle").unwrap().clone();
    let images: Vec<RgbImage> = (0..24).map(|k| surface(48 + k % 3, 40, k)).collect();
    let images: Vec<&RgbImage> = images.iter().collect();
    for (simulation, pinned) in [
        (Simulation::draem(textures.clone()), 0xbc48_45b7_b9bd_67cb_u64),
        (Simulation::selected(&bottle, textures), 0xe8f2_f6d1_78c0_ecb4),
    ] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| simulation.batch(&images, &streams(24)))
        };
        let one = run(1);
        assert_eq!(one.len(), 24);
        for threads in [2, 7] {
            assert_eq!(run(threads), one);
        }
        for (k, sample) in one.iter().enumerate() {
            assert_eq!(sample, &simulation.sample(images[k], streams(24)[k]));
        }
        assert_eq!(digest(&one), pinned, "{:#x}", digest(&one));
    }
}

#[test]
fn frequencies_are_as_stated() {
    let textures = Arc::new(ProceduralTextures::new(0, 2));
    let mut simulation = Simulation::selected(&Selection::default(), textures);
    let image = surface(32, 32, 0);
    let count = |simulation: &Simulation| {
        let mut counts = HashMap::new();
        for stream in streams(2000) {
            *counts.entry(simulation.sample(&image, stream).kind).or_insert(0) += 1;
        }
        move |kind| counts.get(&kind).copied().unwrap_or(0)
    };
    // Clean: one half, and the empty masks of the covering kinds.
    let counts = count(&simulation);
    assert!((1000..1150).contains(&counts(None)), "{}", counts(None));
    for kind in Kind::PAPER {
        assert!(
            (250..400).contains(&counts(Some(kind))),
            "{kind}: {}",
            counts(Some(kind))
        );
    }
    simulation.p_clean = 0.0;
    for choice in &mut simulation.choices {
        choice.weight = if choice.simulator.kind() == Kind::NearDistribution {
            3.0
        } else {
            0.0
        };
    }
    let counts = count(&simulation);
    assert!(counts(Some(Kind::NearDistribution)) > 1990);
    simulation.p_clean = 1.0;
    assert_eq!(count(&simulation)(None), 2000);
}

struct Never(AtomicUsize);

impl AnomalySimulator for Never {
    fn kind(&self) -> Kind {
        Kind::NearDistribution
    }

    fn simulate_into(&self, _: &RgbImage, _: &mut Simulated, _: &mut dyn RngCore) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        false
    }
}

#[test]
fn a_simulator_that_fails_is_replaced() {
    let textures = Arc::new(ProceduralTextures::new(0, 1));
    let covering = Transparent {
        overlay: TextureOverlay {
            masks: Arc::new(Rectangle::default()),
            ..TextureOverlay::new(textures.clone())
        },
        ..Transparent::new(textures)
    };
    let never = Arc::new(Never(AtomicUsize::new(0)));
    let choice = |simulator: Arc<dyn AnomalySimulator>, on_failure| Choice {
        simulator,
        weight: 1.0,
        on_failure,
    };
    let mut simulation = Simulation {
        p_clean: 0.0,
        rotation: None,
        choices: vec![
            choice(never.clone(), OnFailure::Another),
            choice(Arc::new(covering), OnFailure::Clean),
        ],
        light: None,
        inside: false,
    };
    let image = surface(32, 32, 1);
    let kinds = |simulation: &Simulation| -> Vec<Option<Kind>> {
        streams(100)
            .into_iter()
            .map(|stream| simulation.sample(&image, stream).kind)
            .collect()
    };
    assert_eq!(kinds(&simulation), vec![Some(Kind::Transparent); 100]);
    let tried = never.0.load(Ordering::Relaxed);
    assert!((30..70).contains(&tried), "{tried}");
    simulation.choices[0].on_failure = OnFailure::Clean;
    assert_eq!(
        kinds(&simulation).iter().filter(|kind| kind.is_none()).count(),
        tried
    );
    simulation.choices.truncate(1);
    simulation.choices[0].on_failure = OnFailure::Another;
    assert_eq!(kinds(&simulation), vec![None; 100]);
    simulation.choices.clear();
    assert_eq!(kinds(&simulation), vec![None; 100]);
}

struct Counting(AtomicUsize);

impl TextureSource for Counting {
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, _: &mut dyn RngCore) {
        self.0.fetch_add(1, Ordering::Relaxed);
        *texture = RgbImage::from_pixel(width, height, Rgb([255, 0, 255]));
    }
}

#[test]
fn textures_are_made_only_for_anomalies() {
    let textures = Arc::new(Counting(AtomicUsize::new(0)));
    let simulation = Simulation::draem(textures.clone());
    let image = surface(64, 64, 2);
    let anomalous = streams(200)
        .into_iter()
        .filter(|&s| simulation.sample(&image, s).kind.is_some())
        .count();
    assert!((60..130).contains(&anomalous), "{anomalous}");
    assert_eq!(textures.0.load(Ordering::Relaxed), anomalous);
}

#[test]
fn samples_are_consistent() {
    let textures = Arc::new(ProceduralTextures::default());
    for (width, height) in [(32, 32), (103, 222), (65, 40)] {
        let image = surface(width, height, 3);
        for rotation in [
            None,
            Some(RotateNormals {
                probability: 1.0,
                ..RotateNormals::default()
            }),
        ] {
            let mut simulation = Simulation::selected(&Selection::default(), textures.clone());
            simulation.rotation = rotation;
            for stream in streams(40) {
                let sample = simulation.sample(&image, stream);
                assert_eq!(sample.image.dimensions(), (width, height));
                assert_eq!((sample.mask.width(), sample.mask.height()), (width, height));
                assert_eq!(sample.kind.is_none(), sample.mask.is_empty());
                assert_eq!(sample.normal == image, rotation.is_none());
                let before = to_float(&sample.normal);
                for (x, y, pixel) in sample.image.enumerate_pixels() {
                    assert!(pixel.0.iter().all(|v| (0.0..=1.0).contains(v)));
                    assert!(sample.mask.get(x, y) || pixel == before.get_pixel(x, y));
                }
            }
        }
    }
}

/// Two closures have the same kind, and still numbers of their own.
#[test]
fn no_two_choices_draw_the_same_numbers() {
    let choice = || {
        let simulator = |normal: &RgbImage, rng: &mut dyn RngCore| {
            let number: f64 = rng.random();
            Some(Simulated {
                image: to_float(normal),
                mask: Mask::from_fn(normal.width(), normal.height(), |_, _| true),
                kind: Kind::Other,
                parameters: Parameters::new().with("number", number),
            })
        };
        Choice {
            simulator: Arc::new(simulator),
            weight: 1.0,
            on_failure: OnFailure::Another,
        }
    };
    let number = |drawn: usize| {
        let mut choices = vec![choice(), choice(), choice()];
        for (place, choice) in choices.iter_mut().enumerate() {
            choice.weight = f64::from(u8::from(place == drawn));
        }
        let simulation = Simulation {
            p_clean: 0.0,
            rotation: None,
            choices,
            light: None,
            inside: false,
        };
        let sample = simulation.sample(&surface(32, 32, 0), streams(1)[0]);
        sample.parameters.number("number").unwrap()
    };
    let numbers = [0, 1, 2].map(number);
    let alone: f64 = streams(1)[0].rng("other").random();
    assert_eq!(
        numbers[0], alone,
        "the first choice of a kind has the stream of the kind's name"
    );
    assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] != numbers[2]);
}
