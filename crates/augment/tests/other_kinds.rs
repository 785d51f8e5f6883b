//! Kinds beyond those of Lin & Yan: pinned bytes, equal for any number of threads.

use std::sync::Arc;

use flawforge_augment::{
    AnomalySimulator, Choice, Constants, CutOut, CutPaste, ForeignPatch, Kind, LabelKind, Nsa, NsaSettings,
    OnFailure, Relocated, Simulation, Stream, TextureBank, TextureSource, to_bytes,
};
use image::{Rgb, RgbImage};

/// Integers only, so that the picture is the same everywhere.
fn normal(width: u32, height: u32, shift: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = if ((x + shift) / 9).is_multiple_of(2) {
            70
        } else {
            0
        };
        Rgb([
            40 + stripe + x % 60,
            90 + (y * 3 + shift) % 110,
            30 + stripe + x * y % 70,
        ]
        .map(|v| v as u8))
    })
}

fn simulators() -> Vec<Arc<dyn AnomalySimulator>> {
    let bank = Arc::new(TextureBank::new((1..4).map(|k| normal(96, 72, 20 * k)).collect()).unwrap());
    let nsa = |category: &str| Nsa {
        sources: Some(bank.clone()),
        label: LabelKind::Logistic,
        ..Nsa::new(NsaSettings::builtin()[category])
    };
    vec![
        Arc::new(CutPaste::default()),
        Arc::new(nsa("transistor")),
        Arc::new(nsa("tile")),
        Arc::new(CutOut::default()),
        Arc::new(ForeignPatch::new(bank.clone())),
        Arc::new(Relocated::default()),
    ]
}

/// 64-bit FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn batch(simulator: Arc<dyn AnomalySimulator>) -> u64 {
    let simulation = Simulation {
        p_clean: 0.0,
        rotation: None,
        choices: vec![Choice {
            simulator,
            weight: 1.0,
            on_failure: OnFailure::Clean,
        }],
        light: None,
        inside: false,
    };
    let images: Vec<RgbImage> = (0..12).map(|k| normal(96, 72, 5 * k)).collect();
    let streams: Vec<Stream> = (0..12)
        .map(|index| Stream {
            seed: 3,
            step: 1,
            index,
        })
        .collect();
    let normals: Vec<&RgbImage> = images.iter().collect();
    let samples = simulation.batch(&normals, &streams);
    assert!(samples.iter().any(|sample| sample.kind.is_some()));
    hash(samples.iter().flat_map(|sample| {
        let image = to_bytes(&sample.image).into_raw();
        image.into_iter().chain(sample.mask.pixels().to_vec())
    }))
}

#[test]
fn bytes_are_pinned_for_any_number_of_threads() {
    const PINNED: [(Kind, u64); 6] = [
        (Kind::CutPaste, 0xbfd4_17de_846a_7373),
        // Sums of the sine transform run in the order of a product of matrices; with Fourier transforms instead the
        // hashes were 0850_81f2_98b0_ccfb and 0024_e52e_4160_58b7.
        (Kind::Nsa, 0x94e2_30c4_a0b6_6bd2),
        (Kind::Nsa, 0x4bb9_fe5e_4fee_b6ee),
        (Kind::CutOut, 0x1e66_19e3_2555_6c03),
        (Kind::ForeignPatch, 0xb0fb_0cf4_e9fe_e78f),
        (Kind::Relocated, 0xc435_d4cd_1062_81f0),
    ];
    let mut found = Vec::new();
    for simulator in simulators() {
        let hashes = [1, 2, 7].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| batch(simulator.clone()))
        });
        assert!(
            hashes.iter().all(|hash| *hash == hashes[0]),
            "{}",
            simulator.kind()
        );
        found.push((simulator.kind(), hashes[0]));
    }
    assert_eq!(found, PINNED, "{found:#x?}");
}

#[test]
fn every_kind_tells_its_parameters_and_can_be_replayed() {
    let image = normal(80, 100, 3);
    let bank: Arc<dyn TextureSource> = Arc::new(TextureBank::new(vec![normal(96, 72, 20)]).unwrap());
    let kinds = Kind::ALL.map(|kind| Constants::of(kind).unwrap().simulator(&bank.clone().into()));
    for simulator in simulators().into_iter().chain(kinds) {
        let stream = Stream {
            seed: 9,
            step: 0,
            index: 4,
        };
        let make = || (0..20).find_map(|k| simulator.simulate(&image, &mut stream.rng(&k.to_string())));
        let made = make().unwrap();
        assert_eq!(made.kind, simulator.kind());
        assert!(!made.parameters.is_empty() && !made.mask.is_empty());
        assert_eq!(Some(made), make());
    }
}
