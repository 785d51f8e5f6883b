//! Files with more than 8 bits: one scale for a run, found from the training images, kept for all later ones.

use std::fs;
use std::path::Path;

use flawforge_datasets::{
    Category, DatasetError, Limits, Loading, PixelScale, Remark, Survey, TestImage, load_picture,
    load_textures,
};
use image::{ImageBuffer, Luma, Rgb, RgbImage};

const SIZE: u32 = 32;

/// An 8-bit scene: a ramp with a dark spot where there is a flaw.
fn scene(flaw: bool) -> impl Fn(u32, u32) -> u8 {
    move |x, y| match flaw && (8..14).contains(&x) && (10..20).contains(&y) {
        true => 12,
        false => (120 + 3 * x + y) as u8,
    }
}

fn folder(path: &Path) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
}

fn save16(path: &Path, shift: u32, flaw: bool) {
    folder(path);
    let at = scene(flaw);
    let image: ImageBuffer<Luma<u16>, _> =
        ImageBuffer::from_fn(SIZE, SIZE, |x, y| Luma([u16::from(at(x, y)) << shift]));
    image.save(path).expect("saved");
}

fn save8(path: &Path, flaw: bool) {
    folder(path);
    let at = scene(flaw);
    RgbImage::from_fn(SIZE, SIZE, |x, y| Rgb([at(x, y); 3]))
        .save(path)
        .expect("saved");
}

fn save_float(path: &Path, factor: f32, flaw: bool) {
    folder(path);
    let at = scene(flaw);
    let values: Vec<f32> = (0..SIZE * SIZE)
        .map(|i| factor * f32::from(at(i % SIZE, i / SIZE)))
        .collect();
    let file = fs::File::create(path).expect("made");
    tiff::encoder::TiffEncoder::new(file)
        .and_then(|mut encoder| {
            encoder.write_image::<tiff::encoder::colortype::Gray32Float>(SIZE, SIZE, &values)
        })
        .expect("encoded");
}

fn open(dir: &Path) -> Category {
    Category::open(dir, &Loading::opencv(SIZE, SIZE), &Limits::default()).expect("loaded")
}

/// The category as 8-bit files have it.
fn plain() -> Category {
    let dir = tempfile::tempdir().expect("a temporary folder");
    save8(&dir.path().join("normal/0.png"), false);
    save8(&dir.path().join("normal/1.png"), false);
    save8(&dir.path().join("defective/2.png"), true);
    open(dir.path())
}

fn assert_same(a: &Category, b: &Category, what: &str) {
    for (a, b) in a.train.iter().zip(&b.train) {
        assert!(a.look() == b.look(), "{what}: {}", a.name);
    }
    for (a, b) in a.test.iter().zip(&b.test) {
        assert!(a.image == b.image, "{what}: {}", a.name);
    }
}

#[test]
fn ten_to_sixteen_bits_show_the_scene_as_eight_do_and_single_files_too() {
    let plain = plain();
    for (depth, ending) in (10..=16).zip(["png", "tif"].into_iter().cycle()) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in ["normal/0", "normal/1"] {
            save16(&dir.path().join(format!("{name}.{ending}")), depth - 8, false);
        }
        let suspect = dir.path().join(format!("defective/2.{ending}"));
        save16(&suspect, depth - 8, true);
        let category = open(dir.path());
        assert_eq!(category.scale.words, Some(depth));
        assert_same(&category, &plain, &format!("{depth} bits"));
        let remarks: Vec<&Remark> = category.notes.iter().map(|note| &note.remark).collect();
        assert_eq!(remarks, [&Remark::Words { bits: depth }], "said once");
        // A single image, later: the run's scale, whatever its own values are.
        save16(&suspect, depth - 8, true);
        let single = load_picture(&suspect, &Limits::default(), &category.scale).expect("read");
        assert_eq!(single.image, plain.test[0].image);
        assert!(single.notes.is_empty());
        // A dark test image is not brightened.
        let black: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(SIZE, SIZE, Luma([5]));
        black.save(&suspect).expect("saved");
        let single = load_picture(&suspect, &Limits::default(), &category.scale).expect("read");
        assert!(single.image.pixels().all(|pixel| pixel[0] <= 1));
        // A run's scale is taken as it is, also for its own images.
        let fixed = Loading::opencv(SIZE, SIZE).by(PixelScale::default());
        let full = Category::open(dir.path(), &fixed, &Limits::default()).expect("loaded");
        assert_eq!(full.scale, PixelScale::default());
        let dark = full.train[0].image().expect("held").get_pixel(0, 0)[0];
        assert_eq!(u32::from(dark), 120 >> (16 - depth));
        let of_normals = |note: &&flawforge_datasets::Note| note.path.starts_with(dir.path().join("normal"));
        let mut remarks = full.notes.iter().filter(of_normals).map(|note| &note.remark);
        let warned = remarks.any(|remark| matches!(remark, Remark::Dark { .. }));
        assert_eq!(warned, depth < 14, "{depth} bits");
    }
}

#[test]
fn floating_point_files_keep_their_contrast() {
    let plain = plain();
    for (factor, white) in [(1.0 / 255.0, 1.0), (1.0, 255.0), (4095.0 / 255.0, 4095.0)] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        save_float(&dir.path().join("normal/0.tif"), factor, false);
        save_float(&dir.path().join("normal/1.tif"), factor, false);
        let suspect = dir.path().join("defective/2.tif");
        save_float(&suspect, factor, true);
        let category = open(dir.path());
        assert_eq!(category.scale.reals, Some((0.0, white)));
        assert_same(&category, &plain, &format!("up to {white}"));
        let unknown = load_picture(&suspect, &Limits::default(), &PixelScale::default());
        match white > 1.0 {
            true => assert!(matches!(unknown, Err(DatasetError::NoScale { .. }))),
            false => assert_eq!(unknown.expect("read").image, plain.test[0].image),
        }
    }
}

#[test]
fn eight_bit_files_among_deeper_ones_stay_as_they_are() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    save16(&dir.path().join("normal/0.png"), 4, false);
    save8(&dir.path().join("normal/1.png"), false);
    save8(&dir.path().join("defective/2.png"), true);
    let category = open(dir.path());
    assert_same(&category, &plain(), "mixed");
    let mixed = |note: &&flawforge_datasets::Note| note.remark == Remark::MixedDepths;
    let note = category.notes.iter().find(mixed).expect("said");
    assert!(note.path.ends_with("normal/1.png"));
    // Textures have a scale of their own.
    let textures = load_textures(&dir.path().join("normal"), SIZE, SIZE, &Limits::default()).expect("loaded");
    assert_eq!(textures[0], textures[1]);
}

#[test]
fn constant_images_and_lost_contrast_are_said() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, level) in [("a", 20_000u16), ("b", 20_300)] {
        let path = dir.path().join(format!("normal/{name}.png"));
        folder(&path);
        let image: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_pixel(SIZE, SIZE, Luma([level]));
        image.save(path).expect("saved");
    }
    let said = |category: &Category| -> Vec<Remark> {
        category.notes.iter().map(|note| note.remark.clone()).collect()
    };
    let all = said(&open(dir.path()));
    assert_eq!(
        all,
        [Remark::Words { bits: 15 }, Remark::FewLevels { levels: 3 },]
    );
    let constant = |category: &Category| Survey::of_normals(category).constant.len();
    assert_eq!(constant(&open(dir.path())), 2);
    save8(&dir.path().join("normal/c.png"), false);
    assert_eq!(constant(&open(dir.path())), 2);
}

/// A minimal TIFF: one strip, little-endian; `entries` are tag, count and value of 16-bit numbers.
fn tiff_file(entries: &[(u16, Vec<u16>)], data: &[u8]) -> Vec<u8> {
    let head = 8 + 2 + 12 * (entries.len() + 2) + 4;
    let mut long = Vec::new();
    let mut table = Vec::new();
    for (tag, values) in entries {
        table.extend(tag.to_le_bytes());
        table.extend(3u16.to_le_bytes());
        table.extend((values.len() as u32).to_le_bytes());
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        if bytes.len() <= 4 {
            table.extend(bytes.iter().copied().chain([0; 4]).take(4));
        } else {
            table.extend(((head + long.len()) as u32).to_le_bytes());
            long.extend(bytes);
        }
    }
    for (tag, value) in [(273u16, (head + long.len()) as u32), (279, data.len() as u32)] {
        table.extend(tag.to_le_bytes());
        table.extend(4u16.to_le_bytes());
        table.extend(1u32.to_le_bytes());
        table.extend(value.to_le_bytes());
    }
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend((entries.len() as u16 + 2).to_le_bytes());
    file.extend(table);
    file.extend([0; 4]);
    file.extend(long);
    file.extend(data);
    file
}

fn gray(width: u16, height: u16, bits: u16, more: &[(u16, Vec<u16>)]) -> Vec<(u16, Vec<u16>)> {
    let mut entries = vec![
        (256, vec![width]),
        (257, vec![height]),
        (258, vec![bits]),
        (259, vec![1]),
        (262, vec![1]),
        (277, vec![1]),
    ];
    for (tag, values) in more {
        match entries.iter_mut().find(|(known, _)| known == tag) {
            Some(entry) => entry.1.clone_from(values),
            None => entries.push((*tag, values.clone())),
        }
    }
    entries
}

#[test]
fn tiff_files_of_the_kinds_that_machines_write_are_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.tif");
    let read = |file: Vec<u8>, scale: &PixelScale| {
        fs::write(&path, file).expect("written");
        load_picture(&path, &Limits::default(), scale)
            .map(|picture| picture.image.pixels().map(|pixel| pixel.0).collect::<Vec<_>>())
    };
    let default = PixelScale::default();
    // 12 bits without gaps, three to a row of 36 bits.
    let twelve = PixelScale {
        words: Some(12),
        ..default
    };
    let rows = [0x00, 0x1f, 0xff, 0x80, 0x00, 0xff, 0xf0, 0x00, 0x80, 0x00];
    let values = read(tiff_file(&gray(3, 2, 12, &[]), &rows), &twelve).expect("read");
    assert_eq!(values, [0, 255, 128, 255, 0, 0x80].map(|level| [level; 3]));
    // 4 bits, and a palette of 2 bits.
    let values = read(tiff_file(&gray(3, 1, 4, &[]), &[0x0f, 0x70]), &default).expect("read");
    assert_eq!(values, [0, 255, 119].map(|level| [level; 3]));
    let map = vec![0, 0xff00, 0, 7 << 8, 0, 0, 0xff00, 8 << 8, 9 << 8, 0, 0, 0xff00];
    let palette = gray(4, 1, 2, &[(262, vec![3]), (320, map)]);
    let values = read(tiff_file(&palette, &[0b00_01_10_11]), &default).expect("read");
    assert_eq!(values, [[0, 0, 9], [255, 0, 0], [0, 255, 0], [7, 8, 255]]);
    // Signed and 32-bit numbers need a scale, and have the run's.
    let signed = gray(2, 1, 16, &[(339, vec![2])]);
    let data: Vec<u8> = [0i16, 1023]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let file = tiff_file(&signed, &data);
    assert!(matches!(
        read(file.clone(), &default),
        Err(DatasetError::NoScale { .. })
    ));
    let scale = PixelScale {
        reals: Some((0.0, 1023.0)),
        ..default
    };
    assert_eq!(read(file, &scale).expect("read"), [[0; 3], [255; 3]]);
    // Gray with alpha, and gray with a second band that is no alpha.
    let two = |kind: u16| gray(2, 1, 8, &[(258, vec![8, 8]), (277, vec![2]), (338, vec![kind])]);
    let data = [200, 0, 100, 255];
    assert_eq!(
        read(tiff_file(&two(2), &data), &default).expect("read"),
        [[0; 3], [100; 3]]
    );
    assert_eq!(
        read(tiff_file(&two(0), &data), &default).expect("read"),
        [[200; 3], [100; 3]]
    );
    // A fourth band that is said to be something else is no alpha; one that nothing is said of is, as in libtiff.
    let four = |more: &[(u16, Vec<u16>)]| {
        let bands = [(258, vec![8; 4]), (262, vec![2]), (277, vec![4])];
        tiff_file(&gray(1, 1, 8, &[&bands, more].concat()), &[10, 20, 30, 0])
    };
    let infrared = read(four(&[(338, vec![0])]), &default).expect("read");
    assert_eq!(infrared, [[10, 20, 30]]);
    assert_eq!(read(four(&[]), &default).expect("read"), [[0; 3]]);
}

#[test]
fn a_test_image_comes_at_the_size_of_its_file_too() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    save16(&dir.path().join("normal/0.png"), 4, false);
    save16(&dir.path().join("defective/2.png"), 4, true);
    let category = Category::open(dir.path(), &Loading::opencv(8, 8), &Limits::default()).expect("loaded");
    assert_eq!(category.test[0].file_size, (SIZE, SIZE));
    let files = flawforge_datasets::CategoryFiles::discover(dir.path()).expect("found");
    let own =
        TestImage::at_file_size(&files.test[0], category.scale, None, &Limits::default()).expect("loaded");
    assert_eq!(own.image, plain().test[0].image);
    assert_eq!((own.mask.width(), own.mask.height()), (SIZE, SIZE));
}
