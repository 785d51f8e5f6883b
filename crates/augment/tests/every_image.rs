//! Every simulator on every form of image: grey and colour, bytes and floats, square or not, from 32 px; and what is
//! refused.

use std::sync::Arc;

use flawforge_augment::{
    AnomalySimulator, AnyImage, Background, Chance, Constants, Gray32FImage, ImageError, Kind, Materials,
    NsaSettings, OnObject, OneOf, ProceduralTextures, Retry, Stream, TextureBank, TextureSource,
    simulate_any,
};
use image::{DynamicImage, GrayImage, Luma, Rgb, Rgb32FImage, RgbImage};

const SIZES: [(u32, u32); 4] = [(32, 32), (33, 57), (103, 222), (256, 40)];

fn surface(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let stripe = if (x / 5 + y / 6).is_multiple_of(2) {
            50
        } else {
            140
        };
        Rgb([stripe, stripe + (x % 50) as u8, 40 + (y % 90) as u8])
    })
}

/// Every kind of the table, with normal images to cut from and without; and simulators made of simulators.
fn simulators() -> Vec<(String, Arc<dyn AnomalySimulator>)> {
    let textures: Arc<dyn TextureSource> = Arc::new(ProceduralTextures::new(0, 4));
    let alone = Materials::from(textures.clone());
    let materials = Materials {
        textures,
        normals: Some(Arc::new(
            TextureBank::new(vec![surface(90, 70), surface(40, 60)]).unwrap(),
        )),
    };
    let of = |kind: Kind| Constants::of(kind).unwrap().simulator(&materials);
    let cut = of(Kind::CutPaste);
    let made_of_others: [(&str, Arc<dyn AnomalySimulator>); 4] = [
        (
            "nsa, texture",
            Constants::Nsa(NsaSettings::builtin()["wood"]).simulator(&materials),
        ),
        (
            "on the object",
            Arc::new(OnObject {
                background: Background::new(0.0, 60.0),
                simulator: cut.clone(),
            }),
        ),
        (
            "one of",
            Arc::new(OneOf::new(vec![(cut.clone(), 1.0), (of(Kind::Opaque), 2.0)]).unwrap()),
        ),
        (
            "chance, again",
            Arc::new(Retry {
                tries: 3,
                simulator: Arc::new(Chance {
                    probability: 0.5,
                    simulator: cut,
                }),
            }),
        ),
    ];
    let kinds = Kind::ALL.into_iter().flat_map(|kind| {
        let itself = Constants::of(kind).unwrap().simulator(&alone);
        [
            (kind.to_string(), of(kind)),
            (format!("{kind} without normal images"), itself),
        ]
    });
    kinds
        .chain(made_of_others.map(|(name, simulator)| (name.to_owned(), simulator)))
        .collect()
}

/// Simulates until something is made; checks that the ground is untouched, and counts what changed.
fn check<I: AnyImage>(
    name: &str,
    simulator: &dyn AnomalySimulator,
    normal: &I,
    size: (u32, u32),
    equal: impl Fn(&I, u32, u32) -> bool,
) {
    let mut made = None;
    for index in 0..200 {
        let stream = Stream {
            seed: 2,
            step: 0,
            index,
        };
        made = simulate_any(simulator, normal, &mut stream.rng("")).unwrap();
        if made.is_some() {
            break;
        }
    }
    let made = made.unwrap_or_else(|| panic!("{name} makes nothing on {size:?}"));
    assert_eq!((made.mask.width(), made.mask.height()), size, "{name}");
    assert!(!made.mask.is_empty() && !made.parameters.is_empty(), "{name}");
    let mut changed = 0;
    for y in 0..size.1 {
        for x in 0..size.0 {
            let same = equal(&made.image, x, y);
            assert!(
                same || made.mask.get(x, y),
                "{name}, {size:?}: ({x}, {y}) beside the mask"
            );
            changed += usize::from(!same);
        }
    }
    assert!(changed > 0, "{name}, {size:?}: nothing has changed");
}

#[test]
fn every_form_and_size_is_taken() {
    for (name, simulator) in simulators() {
        for (width, height) in SIZES {
            let size = (width, height);
            let rgb = surface(width, height);
            let grey = GrayImage::from_fn(width, height, |x, y| Luma([rgb.get_pixel(x, y).0[1]]));
            let floats = Rgb32FImage::from_fn(width, height, |x, y| {
                Rgb(rgb
                    .get_pixel(x, y)
                    .0
                    .map(|level| (f32::from(level) + 0.25) / 256.0))
            });
            let grey_floats =
                Gray32FImage::from_fn(width, height, |x, y| Luma([floats.get_pixel(x, y).0[1]]));
            check(&name, &*simulator, &rgb, size, |image, x, y| {
                image.get_pixel(x, y) == rgb.get_pixel(x, y)
            });
            check(&name, &*simulator, &grey, size, |image, x, y| {
                image.get_pixel(x, y) == grey.get_pixel(x, y)
            });
            check(&name, &*simulator, &floats, size, |image, x, y| {
                let pixel = image.get_pixel(x, y);
                assert!(pixel.0.iter().all(|value| (0.0..=1.0).contains(value)));
                pixel == floats.get_pixel(x, y)
            });
            check(&name, &*simulator, &grey_floats, size, |image, x, y| {
                let pixel = image.get_pixel(x, y);
                assert!((0.0..=1.0).contains(&pixel.0[0]));
                pixel == grey_floats.get_pixel(x, y)
            });
            let dynamic = DynamicImage::ImageRgb8(rgb.clone());
            check(&name, &*simulator, &dynamic, size, |image, x, y| {
                image.as_rgb8().unwrap().get_pixel(x, y) == rgb.get_pixel(x, y)
            });
        }
    }
}

#[test]
fn the_rest_is_refused_by_every_simulator() {
    for (name, simulator) in simulators() {
        let refused = |image: &DynamicImage| {
            let rng = &mut Stream::default().rng("");
            simulate_any(&*simulator, image, rng).err()
        };
        for (width, height) in [(31, 64), (64, 31), (0, 0), (1, 500)] {
            let expected = ImageError::TooSmall { width, height };
            assert_eq!(
                refused(&DynamicImage::new_rgb8(width, height)),
                Some(expected.clone()),
                "{name}"
            );
            assert_eq!(
                refused(&DynamicImage::new_luma8(width, height)),
                Some(expected),
                "{name}"
            );
        }
        for image in [
            DynamicImage::new_rgba8(40, 40),
            DynamicImage::new_luma_a8(40, 40),
            DynamicImage::new_rgb16(40, 40),
        ] {
            assert_eq!(refused(&image), Some(ImageError::Pixels(image.color())), "{name}");
        }
        let mut bright = Rgb32FImage::new(40, 40);
        bright.put_pixel(7, 9, Rgb([0.0, 1.5, 0.0]));
        let expected = ImageError::Value {
            x: 7,
            y: 9,
            value: 1.5,
        };
        assert_eq!(
            refused(&DynamicImage::ImageRgb32F(bright)),
            Some(expected),
            "{name}"
        );
    }
}
