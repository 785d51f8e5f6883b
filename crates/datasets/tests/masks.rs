//! What a mask file marks, whatever it is written as, and what is said of masks that may not mean what they mark.

use std::fs;
use std::path::{Path, PathBuf};

use flawforge_datasets::{
    Category, DatasetError, Limits, Loading, MaskCounts, Remark, TestImage, load_gray, note_lines, resize,
};
use image::{
    DynamicImage, GenericImageView, GrayAlphaImage, GrayImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba,
    RgbaImage,
};

const WIDE: u32 = 150;
const HIGH: u32 = 110;

/// Two blobs and a line.
fn marked(x: u32, y: u32) -> bool {
    let within = |cx: i32, cy: i32, r: i32| (x as i32 - cx).pow(2) + (y as i32 - cy).pow(2) <= r * r;
    within(40, 50, 17) || within(110, 60, 9) || (x == 75 && (20..90).contains(&y))
}

fn gray(level: impl Fn(bool, u32) -> u8) -> GrayImage {
    GrayImage::from_fn(WIDE, HIGH, |x, y| Luma([level(marked(x, y), x)]))
}

fn plain() -> GrayImage {
    gray(|set, _| if set { 255 } else { 0 })
}

/// A category with one defective image and the mask that `save` writes.
struct Folder {
    dir: tempfile::TempDir,
    mask: PathBuf,
}

impl Folder {
    fn new(ending: &str, save: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["normal/a.png", "normal_test/a.png", "defective/a.png"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            picture().save(path).expect("saved");
        }
        fs::create_dir(dir.path().join("masks")).expect("made");
        let mask = dir.path().join(format!("masks/a.{ending}"));
        save(&mask);
        Self { dir, mask }
    }

    fn open(&self, size: (u32, u32)) -> Result<Category, DatasetError> {
        Category::open(
            self.dir.path(),
            &Loading::opencv(size.0, size.1),
            &Limits::default(),
        )
    }
}

fn picture() -> RgbImage {
    RgbImage::from_fn(WIDE, HIGH, |x, y| Rgb([x as u8, y as u8, 40]))
}

fn remarks(category: &Category) -> Vec<Remark> {
    category.notes.iter().map(|note| note.remark.clone()).collect()
}

/// The ground truth and remarks of a mask at a size.
fn read(ending: &str, size: (u32, u32), save: impl FnOnce(&Path)) -> (TestImage, Vec<Remark>) {
    let category = Folder::new(ending, save).open(size).expect("loaded");
    let said = remarks(&category);
    let found = category.test.into_iter().find(TestImage::is_defective);
    (found.expect("a defective image"), said)
}

const SIZES: [(u32, u32); 4] = [(64, 64), (75, 55), (150, 110), (256, 256)];

/// The rule before masks were made binary first: the gray file is resized, then 255 and half of it count.
fn by_the_old_rule(path: &Path, (width, height): (u32, u32)) -> (Vec<u8>, Vec<u8>) {
    let file = load_gray(path, &Limits::default()).expect("read");
    let resized = resize::bilinear_gray(&file, width, height);
    let at_least = |level: u8| {
        resized
            .as_raw()
            .iter()
            .map(|value| u8::from(*value >= level))
            .collect()
    };
    (at_least(255), at_least(128))
}

#[test]
fn masks_of_0_and_255_are_judged_as_ever_bit_for_bit() {
    for size in SIZES {
        let folder = Folder::new("png", |path| plain().save(path).expect("saved"));
        let category = folder.open(size).expect("loaded");
        let (mask, half) = by_the_old_rule(&folder.mask, size);
        assert_eq!(category.test[0].mask.pixels(), mask, "{size:?}");
        assert_eq!(category.test[0].mask_half.pixels(), half, "{size:?}");
    }
}

/// The real masks, where they are at hand: those of 0 and 255, and those that were reduced before, with gray borders.
#[test]
fn masks_of_public_data_are_judged_as_ever_bit_for_bit() {
    for (name, truth) in [
        ("mvtec256/bottle", "ground_truth"),
        ("mvtec_originals/bottle", "ground_truth"),
        ("magnetic_tile", "ground_truth"),
        ("kolektorsdd", "ground_truth"),
    ] {
        let Some(folder) = flawforge_testing::data(name) else {
            continue;
        };
        if flawforge_datasets::CategoryFiles::discover(&folder).is_err() {
            continue;
        }
        for size in [(64, 64), (128, 128), (256, 256)] {
            let loading = Loading::opencv(size.0, size.1);
            let category = Category::open(&folder, &loading, &Limits::default()).expect("loaded");
            let counts = category.mask_counts();
            assert_eq!((counts.mark_nothing, counts.mark_most), (0, 0), "{name}");
            for test in category.test.iter().filter(|test| test.is_defective()) {
                let path = folder.join(format!("{truth}/{}_mask.png", test.name));
                let (mask, half) = by_the_old_rule(&path, size);
                assert!(test.mask.pixels() == mask, "{} at {size:?}", path.display());
                assert!(test.mask_half.pixels() == half, "{} at {size:?}", path.display());
            }
        }
    }
}

/// Every way to write the same marks, with what is said of it.
#[allow(clippy::too_many_lines)]
fn ways() -> Vec<(&'static str, DynamicImage, Option<Remark>)> {
    let level = |value: u8| gray(move |set, _| if set { value } else { 0 }).into();
    let rgb = |color: [u8; 3]| -> DynamicImage {
        RgbImage::from_fn(WIDE, HIGH, |x, y| Rgb(if marked(x, y) { color } else { [0; 3] })).into()
    };
    let deep = |value: u16| -> DynamicImage {
        let of = |x, y| Luma([if marked(x, y) { value } else { 0 }]);
        ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(WIDE, HIGH, of).into()
    };
    let rgba = |inside: [u8; 4], outside: [u8; 4]| -> DynamicImage {
        let of = |x, y| Rgba(if marked(x, y) { inside } else { outside });
        RgbaImage::from_fn(WIDE, HIGH, of).into()
    };
    let two = |left: u8, right: u8| {
        gray(move |set, x| {
            if !set {
                0
            } else if x < 75 {
                left
            } else {
                right
            }
        })
    };
    let color = || Some(Remark::Colors { count: 1 });
    let labels = |largest| Some(Remark::Labels { largest });
    vec![
        ("254", level(254), None),
        ("236", level(236), None),
        ("200", level(200), None),
        ("128", level(128), None),
        ("1", level(1), labels(1)),
        ("0, 1, 2", two(1, 2).into(), labels(2)),
        ("100", level(100), labels(100)),
        ("254 and 255", two(254, 255).into(), None),
        ("128 and 255", two(128, 255).into(), None),
        ("red", rgb([255, 0, 0]), color()),
        ("dark red", rgb([128, 0, 0]), color()),
        ("crimson", rgb([220, 20, 60]), color()),
        ("very dark blue", rgb([0, 0, 9]), color()),
        ("16 bits", deep(65_535), None),
        ("12 bits", deep(4095), None),
        ("255 in 16 bits", deep(255), None),
        ("1 in 16 bits", deep(1), labels(1)),
        ("51400", deep(51_400), None),
        (
            "in alpha, white",
            rgba([255, 255, 255, 255], [255, 255, 255, 0]),
            Some(Remark::Alpha),
        ),
        (
            "in alpha, black",
            rgba([0, 0, 0, 255], [0, 0, 0, 0]),
            Some(Remark::Alpha),
        ),
        (
            "in alpha, hidden black",
            rgba([9, 9, 9, 255], [0, 0, 0, 0]),
            Some(Remark::Alpha),
        ),
        (
            "in colors, opaque",
            rgba([255, 255, 255, 255], [0, 0, 0, 255]),
            None,
        ),
        ("in colors, alpha 0", rgba([255, 255, 255, 0], [0, 0, 0, 0]), None),
        (
            "two colors",
            RgbImage::from_fn(WIDE, HIGH, |x, y| {
                Rgb(match (marked(x, y), x < 75) {
                    (false, _) => [0; 3],
                    (true, true) => [128, 0, 0],
                    (true, false) => [0, 64, 0],
                })
            })
            .into(),
            Some(Remark::Colors { count: 2 }),
        ),
    ]
}

#[test]
fn every_way_to_write_a_mask_gives_what_0_and_255_give() {
    for size in SIZES {
        let (expected, said) = read("png", size, |path| plain().save(path).expect("saved"));
        let lost = said;
        for (name, image, remark) in ways() {
            for ending in ["png", "tif"] {
                let (found, said) = read(ending, size, |path| image.save(path).expect("saved"));
                assert!(found.mask == expected.mask, "{name}.{ending} at {size:?}");
                assert!(
                    found.mask_half == expected.mask_half,
                    "{name}.{ending} at {size:?}"
                );
                assert_eq!(found.marks, expected.marks);
                let all: Vec<Remark> = remark.clone().into_iter().chain(lost.clone()).collect();
                assert_eq!(said, all, "{name}.{ending} at {size:?}");
            }
        }
        // Gray with alpha as PNG.
        let la = GrayAlphaImage::from_fn(WIDE, HIGH, |x, y| {
            LumaA([255, if marked(x, y) { 255 } else { 0 }])
        });
        let (found, _) = read("png", size, |path| la.save(path).expect("saved"));
        assert!(found.mask == expected.mask, "LA at {size:?}");
        // A palette, as BMP.
        let indices: Vec<u8> = plain().pixels().map(|pixel| pixel[0] / 255).collect();
        let palette = [[0u8, 0, 0], [128, 0, 0]];
        let (found, _) = read("bmp", size, |path| {
            let mut file = fs::File::create(path).expect("made");
            image::codecs::bmp::BmpEncoder::new(&mut file)
                .encode_with_palette(&indices, WIDE, HIGH, image::ExtendedColorType::L8, Some(&palette))
                .expect("encoded");
        });
        assert!(found.mask == expected.mask, "palette at {size:?}");
    }
}

#[test]
fn a_jpeg_mask_gives_what_it_was_made_from() {
    for quality in [75, 90] {
        let (expected, _) = read("png", (64, 64), |path| plain().save(path).expect("saved"));
        let (found, said) = read("jpg", (64, 64), |path| {
            let file = fs::File::create(path).expect("made");
            image::codecs::jpeg::JpegEncoder::new_with_quality(file, quality)
                .encode_image(&plain())
                .expect("encoded");
        });
        assert!(
            found.mask == expected.mask && found.mask_half == expected.mask_half,
            "quality {quality}"
        );
        assert!(
            said.contains(&Remark::ManyGreys { from: 128, full: 255 }),
            "{said:?}"
        );
    }
    // Labels do not survive JPEG.
    let folder = Folder::new("jpg", |path| {
        gray(|set, x| if set { 9 + (x % 5) as u8 } else { 0 })
            .save(path)
            .expect("saved");
    });
    let error = folder.open((64, 64)).expect_err("too faint");
    assert!(matches!(error, DatasetError::MaskValues { .. }), "{error}");
}

#[test]
fn what_is_ambiguous_is_named_with_its_file() {
    let save = |image: GrayImage| move |path: &Path| image.save(path).expect("saved");
    // Inverted.
    let (test, said) = read("png", (64, 64), save(gray(|set, _| if set { 0 } else { 255 })));
    assert!(
        matches!(said[..], [Remark::MarksMost { percent }, ..] if percent > 90.0),
        "{said:?}"
    );
    assert!(test.marks.expect("a mask").is_most());
    // Nothing marked.
    let folder = Folder::new("png", save(gray(|_, _| 0)));
    let category = folder.open((64, 64)).expect("loaded");
    assert_eq!(remarks(&category), [Remark::MarksNothing]);
    assert!(!category.test[0].pixels_are_known() && category.test[1].pixels_are_known());
    let line = &note_lines(&category.notes)[0].1;
    assert!(
        line.contains("masks/a.png: the mask of a defective image marks nothing"),
        "{line}"
    );
    // Several levels, of which one does not count.
    let levels = gray(|set, x| {
        if !set {
            0
        } else if x < 75 {
            90
        } else {
            255
        }
    });
    let (test, said) = read("png", (150, 110), save(levels));
    let levels = vec![0, 90, 255];
    assert_eq!(said, [Remark::SeveralLevels { levels, from: 128 }]);
    assert!(!test.mask.get(40, 50) && test.mask.get(110, 60));
    // Soft borders over several pixels: half counts.
    let soft = image::imageops::blur(&plain(), 2.0);
    let (test, said) = read("png", (150, 110), save(soft.clone()));
    assert_eq!(said, [Remark::ManyGreys { from: 128, full: 255 }]);
    assert!(
        soft.enumerate_pixels()
            .all(|(x, y, pixel)| test.mask.get(x, y) == (pixel[0] >= 128))
    );
    // Reduced before: borders of one pixel, judged as the published protocol judges them.
    let big = GrayImage::from_fn(900, 660, |x, y| {
        let round = (x as i32 - 400).pow(2) + (y as i32 - 300).pow(2) < 200 * 200;
        Luma([if round { 255 } else { 0 }])
    });
    let reduced = resize::bilinear_gray(&big, WIDE, HIGH);
    let (test, said) = read("png", (150, 110), save(reduced.clone()));
    assert!(said.contains(&Remark::Reduced), "{said:?}");
    assert!(
        reduced
            .enumerate_pixels()
            .all(|(x, y, pixel)| test.mask.get(x, y) == (pixel[0] == 255))
    );
    // Another size.
    let folder = Folder::new("png", |path| {
        plain().view(0, 0, 75, 55).to_image().save(path).expect("saved")
    });
    let error = folder.open((64, 64)).expect_err("another size").to_string();
    assert!(
        error.contains("mask is 75x55 but its image") && error.ends_with("is 150x110"),
        "{error}"
    );
}

#[test]
fn regions_and_masks_that_vanish_are_counted() {
    let (_, said) = read("png", (150, 110), |path| plain().save(path).expect("saved"));
    assert_eq!(said, []);
    let (test, said) = read("png", (64, 64), |path| plain().save(path).expect("saved"));
    let marks = test.marks.expect("a mask");
    assert_eq!((marks.regions, marks.regions_left), (3, 2));
    assert_eq!(
        said,
        [Remark::RegionsVanish {
            gone: 1,
            of: 3,
            size: (64, 64)
        }]
    );
    let thin = GrayImage::from_fn(WIDE, HIGH, |x, y| Luma([if x == 75 && y > 20 { 255 } else { 0 }]));
    let folder = Folder::new("png", |path| thin.save(path).expect("saved"));
    let category = folder.open((64, 64)).expect("loaded");
    assert_eq!(remarks(&category), [Remark::Vanishes { size: (64, 64) }]);
    let counts = category.mask_counts();
    let expected = MaskCounts {
        defective: 1,
        masks: 1,
        nothing_left: 1,
        nothing_left_half: counts.nothing_left_half,
        regions: 1,
        regions_lost: 1,
        ..MaskCounts::default()
    };
    assert_eq!(counts, expected);
    // At the size of the file nothing vanishes.
    let files = flawforge_datasets::CategoryFiles::discover(folder.dir.path()).expect("found");
    let own =
        TestImage::at_file_size(&files.test[0], category.scale, None, &Limits::default()).expect("loaded");
    assert_eq!(
        own.mask.count(),
        thin.pixels().filter(|pixel| pixel[0] == 255).count()
    );
    assert_eq!(own.mask, own.mask_half);
}

/// The EXIF entry of an orientation, as a JPEG segment.
fn exif(orientation: u8) -> Vec<u8> {
    let mut segment = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    segment.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    segment
}

/// A JPEG with an orientation, 0 for none.
fn save_turned(path: &Path, image: &DynamicImage, orientation: u8) {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
        .encode_image(image)
        .expect("encoded");
    if orientation > 0 {
        bytes.splice(2..2, exif(orientation));
    }
    fs::write(path, bytes).expect("written");
}

#[test]
fn image_and_mask_are_turned_alike_or_named_with_exif() {
    let turned = |image_tag: u8, mask: &DynamicImage, mask_tag: u8| {
        let folder = Folder::new("jpg", |path| save_turned(path, mask, mask_tag));
        fs::remove_file(folder.dir.path().join("defective/a.png")).expect("removed");
        save_turned(
            &folder.dir.path().join("defective/a.jpg"),
            &picture().into(),
            image_tag,
        );
        folder.open((64, 64)).map(|category| {
            let said = remarks(&category);
            (category.test[0].clone(), said)
        })
    };
    let stored: DynamicImage = plain().into();
    for tag in [3u8, 6, 8, 5] {
        let mut upright = stored.clone();
        upright.apply_orientation(image::metadata::Orientation::from_exif(tag).expect("an orientation"));
        let own = GrayImage::from(upright.clone());
        let expected = resize::bilinear_gray(&own, 64, 64);
        let fits = |test: &TestImage| {
            expected
                .enumerate_pixels()
                .all(|(x, y, pixel)| test.mask_half.get(x, y) == (pixel[0] >= 128))
        };
        // Drawn on the stored pixels: turned with the image, and said.
        let (test, said) = turned(tag, &stored, 0).expect("loaded");
        assert!(fits(&test), "orientation {tag}");
        assert!(said.contains(&Remark::Turned), "{said:?}");
        // With an orientation of its own: nothing to doubt.
        let (test, said) = turned(tag, &stored, tag).expect("loaded");
        assert!(
            fits(&test) && !said.contains(&Remark::Turned),
            "orientation {tag}"
        );
        // Drawn on the turned image, upright by its own word.
        let (test, said) = turned(tag, &upright, 1).expect("loaded");
        assert!(
            fits(&test) && said.contains(&Remark::OwnOrientation),
            "orientation {tag}"
        );
        // The same without a word: the size tells it where the sides change places.
        if tag > 4 {
            let (test, said) = turned(tag, &upright, 0).expect("loaded");
            assert!(
                fits(&test) && said.contains(&Remark::Upright),
                "orientation {tag}"
            );
            let error = turned(tag, &stored, 1).expect_err("another size").to_string();
            assert!(error.contains("EXIF"), "{error}");
            let error = turned(0, &stored, tag).expect_err("another size").to_string();
            assert!(error.contains("EXIF"), "{error}");
        }
    }
    for remark in [Remark::Turned, Remark::Upright, Remark::OwnOrientation] {
        assert!(remark.to_string().contains("EXIF"));
    }
}
