//! Regions of interest on the command line: a file, a folder of masks, `roi.png` beside the images, and the one that `select` writes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{fault, grey, open, path, succeed};
use image::{DynamicImage, GrayImage, Luma};

const WIDTH: u32 = 80;
const HEIGHT: u32 = 60;

/// A grey part whose right half is of this level.
fn plate(shift: u32, right: u8) -> GrayImage {
    let mut plate = grey(WIDTH, HEIGHT, shift);
    for (_, _, pixel) in plate.enumerate_pixels_mut().filter(|(x, ..)| *x >= WIDTH / 2) {
        *pixel = Luma([right]);
    }
    plate
}

/// White in the left half.
fn left_half() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, _| Luma([if x < WIDTH / 2 { 255 } else { 0 }]))
}

fn save(image: &GrayImage, path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).unwrap();
    image.save(path).unwrap();
}

/// A category in the form of MVTec's: six normal images, and four of a test whose flaw lies inside.
fn category(root: &Path) {
    for index in 0..6 {
        save(
            &plate(5 * index, 40 * index as u8),
            &root.join(format!("train/good/{index:03}.png")),
        );
    }
    for index in 0..2 {
        save(
            &plate(3 * index, 200),
            &root.join(format!("test/good/{index:03}.png")),
        );
        let spot = |x: u32, y: u32| (10..20).contains(&x) && (30..40).contains(&y);
        let mut bad = plate(3 * index, 20);
        for (_, _, pixel) in bad.enumerate_pixels_mut().filter(|(x, y, _)| spot(*x, *y)) {
            *pixel = Luma([255]);
        }
        save(&bad, &root.join(format!("test/bad/{index:03}.png")));
        let truth = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([if spot(x, y) { 255 } else { 0 }]));
        save(
            &truth,
            &root.join(format!("ground_truth/bad/{index:03}_mask.png")),
        );
    }
}

/// The arguments of a short training.
fn train<'a>(root: &'a Path, run: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["--profile", "smoke", "--method", "draem", "--steps", "2"];
    let first = ["train", path(root), "--out", path(run)];
    [&first[..], &short, more].concat()
}

/// Two images that differ outside alone.
fn twins(dir: &Path) -> PathBuf {
    let folder = dir.join("twins");
    save(&plate(1, 0), &folder.join("a.png"));
    save(&plate(1, 250), &folder.join("b.png"));
    folder
}

/// That the twins have the same scores and maps, and that these are quiet outside.
fn assert_twins_alike(out: &Path) {
    let rows = fs::read_to_string(out.join("scores.csv")).unwrap();
    let after_name = |name: &str| {
        let row = rows.lines().find(|row| row.contains(name)).expect("a row");
        let numbers = row.split(',').skip(1).take(2);
        numbers.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(after_name("a.png"), after_name("b.png"), "{rows}");
    let map = |name: &str| match open(&out.join(name)) {
        DynamicImage::ImageLuma16(map) => map,
        _ => panic!("{name}: a map has 16 bits"),
    };
    let (a, b) = (map("a_map.png"), map("b_map.png"));
    assert!(a == b, "maps");
    let lowest = a.pixels().map(|pixel| pixel[0]).min();
    let outside = a.enumerate_pixels().filter(|(x, ..)| *x > WIDTH / 2);
    assert!(
        outside
            .map(|(.., pixel)| pixel[0])
            .all(|level| Some(level) == lowest)
    );
}

#[test]
fn a_mask_for_all_images_is_known_to_every_later_command() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run, mask) = (at("plates"), at("run"), at("left.png"));
    category(&root);
    save(&left_half(), &mask);
    let (_, err) = succeed(&train(&root, &run, &["--roi", path(&mask)]));
    let said = format!("region of interest {}: 50 % of the image", path(&mask));
    assert!(err.contains(&said), "{err}");
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("[region]\nkind = \"fixed\""), "{config}");

    let (out, _) = succeed(&["evaluate", path(&root), "--run", path(&run)]);
    assert!(out.contains("AUROC"), "{out}");
    let out = at("out");
    succeed(&[
        "predict",
        path(&twins(dir.path())),
        "--run",
        path(&run),
        "--out",
        path(&out),
    ]);
    assert_twins_alike(&out);

    // Another region is refused, the same one is not.
    let right = at("right.png");
    let mirrored = image::imageops::flip_horizontal(&left_half());
    save(&mirrored, &right);
    let evaluate = ["evaluate", path(&root), "--run", path(&run), "--roi"];
    let message = fault(&[&evaluate[..], &[path(&right)]].concat());
    assert!(message.contains("another region of interest"), "{message}");
    succeed(&[&evaluate[..], &[path(&mask)]].concat());

    // `roi.png` among the images is the same region, and no image.
    let beside = at("beside");
    fs::copy(&mask, root.join("roi.png")).unwrap();
    let (_, err) = succeed(&train(&root, &beside, &[]));
    assert!(
        err.contains("roi.png: 50 % of the image") && err.contains("6 normal images"),
        "{err}"
    );
    let settings = |run: &Path| fs::read_to_string(run.join("config.toml")).unwrap();
    assert_eq!(settings(&beside), settings(&run));
}

#[test]
fn what_is_no_region_is_one_line_with_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run) = (at("plates"), at("run"));
    category(&root);
    let (empty, polygons) = (at("empty.png"), at("polygons.json"));
    save(&GrayImage::new(WIDTH, HEIGHT), &empty);
    fs::write(&polygons, "{\"width\": 3}").unwrap();
    let missing = at("missing.png");
    for (region, said) in [
        (&empty, "nothing lies inside"),
        (&polygons, "no polygons"),
        (&missing, "missing.png"),
    ] {
        let message = fault(&train(&root, &run, &["--roi", path(region)]));
        assert!(message.contains(said), "{}: {message}", region.display());
    }
    assert!(!run.join("checkpoint.safetensors").exists());
}

#[test]
fn a_region_of_another_aspect_is_said_once_with_its_file_and_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run) = (at("plates"), at("run"));
    category(&root);
    let square = at("square.png");
    save(&GrayImage::from_pixel(50, 50, Luma([255])), &square);
    let named = fault(&train(&root, &run, &["--roi", path(&square)]));
    let beside = root.join("roi.png");
    fs::copy(&square, &beside).unwrap();
    let lying = fault(&train(&root, &run, &[]));
    for (message, file) in [(named, &square), (lying, &beside)] {
        let said = format!(
            "{}: it has 50x50 pixels, which is not the aspect ratio of {} ({WIDTH}x{HEIGHT}), nor that of 5 other images",
            file.display(),
            root.join("train/good/000.png").display()
        );
        assert_eq!(message.matches("aspect ratio").count(), 1, "{message}");
        assert!(message.contains(&said), "{message}");
    }
}

#[test]
fn each_image_may_have_a_mask_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run, masks) = (at("plates"), at("run"), at("masks"));
    category(&root);
    for folder in ["train/good", "test/good", "test/bad"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name();
            save(&left_half(), &masks.join(folder).join(name));
        }
    }
    let (_, err) = succeed(&train(&root, &run, &["--roi", path(&masks)]));
    assert!(
        err.contains("regions of interest: a mask for each image in"),
        "{err}"
    );
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("[region]\nkind = \"each-image\""), "{config}");

    let evaluate = ["evaluate", path(&root), "--run", path(&run)];
    let message = fault(&evaluate);
    assert!(
        message.contains("name the folder of their masks (--roi DIR)"),
        "{message}"
    );
    let (out, _) = succeed(&[&evaluate[..], &["--roi", path(&masks)]].concat());
    assert!(out.contains("AUROC"), "{out}");

    let (suspects, out) = (twins(dir.path()), at("out"));
    let predict = [
        "predict",
        path(&suspects),
        "--run",
        path(&run),
        "--roi",
        path(&masks),
        "--out",
    ];
    // No mask is no score: the image is told, and its row says why.
    save(&left_half(), &masks.join("a.png"));
    let first = at("first");
    let message = fault(&[&predict[..], &[path(&first)]].concat());
    assert!(message.contains("1 of 2"), "{message}");
    let rows = fs::read_to_string(first.join("scores.csv")).unwrap();
    let row = rows.lines().find(|row| row.contains("b.png")).expect("a row");
    assert!(row.contains("no mask for"), "{rows}");
    save(&left_half(), &masks.join("b.png"));
    succeed(&[&predict[..], &[path(&out)]].concat());
    assert_twins_alike(&out);
}

#[test]
fn the_region_that_select_writes_is_one_to_train_with() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (mask, selection, run) = (at("deep/discs.png"), at("discs.toml"), at("run"));
    let root = at("discs");
    for index in 0..6 {
        let inside = |x: u32, y: u32| (x as i32 - 34 - index).pow(2) + (y as i32 - 30).pow(2) < 200;
        let mut disc = grey(WIDTH, HEIGHT, 7 * index as u32);
        for (_, _, pixel) in disc.enumerate_pixels_mut().filter(|(x, y, _)| !inside(*x, *y)) {
            *pixel = Luma([20]);
        }
        save(&disc, &root.join(format!("normal/{index}.png")));
    }
    let select = ["select", path(&root), "--size", "64", "--out", path(&selection)];
    let (_, err) = succeed(&[&select[..], &["--roi-out", path(&mask)]].concat());
    let share: f64 = err
        .split("parts lie on ")
        .nth(1)
        .and_then(|rest| rest.split(" %").next())
        .and_then(|share| share.parse().ok())
        .expect("the share is said");
    // The mask is that of a square of 256 px, in the shape of the images.
    let white = open(&mask).to_luma8();
    assert_eq!(white.dimensions(), (WIDTH, HEIGHT));
    let inside = white.pixels().filter(|pixel| pixel[0] == 255).count() as f64;
    let found = 100.0 * inside / f64::from(white.width() * white.height());
    assert!(
        (found - share).abs() <= 1.5 && (5.0..95.0).contains(&share),
        "{found} {share}"
    );

    let short = [
        "--profile",
        "smoke",
        "--method",
        "draem",
        "--steps",
        "2",
        "--selection",
        path(&selection),
    ];
    let train = ["train", path(&root), "--out", path(&run), "--roi", path(&mask)];
    let (_, err) = succeed(&[&train[..], &short].concat());
    let said = format!("region of interest {}: {found:.0} % of the image", path(&mask));
    assert!(err.contains(&said), "{err}");
    // Who looks at a part already is not told of another.
    let again = ["select", path(&root), "--size", "64", "--roi", path(&mask)];
    let (_, err) = succeed(&again);
    assert!(!err.contains("parts lie on"), "{err}");
    // Surfaces have no ground to stand before.
    let (surface, none) = (at("plates"), at("none.png"));
    category(&surface);
    let message = fault(&["select", path(&surface), "--size", "64", "--roi-out", path(&none)]);
    assert!(message.contains("no even ground") && !none.exists(), "{message}");
}
