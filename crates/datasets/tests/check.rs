//! What a check finds in a folder: for each kind of finding an input, and the line that is expected.

use std::fs;
use std::path::Path;

use flawforge_datasets::check::{Check, Finding, SIDES, Severity};
use flawforge_datasets::{CategoryFiles, Limits};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};

const WIDE: u32 = 96;
const HIGH: u32 = 80;

/// A picture of coarse blocks with a grain, another one for each seed.
fn picture_of(width: u32, height: u32, seed: u32) -> RgbImage {
    let draw = |x: u32, y: u32, salt: u32| {
        let mixed =
            x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ (seed + salt).wrapping_mul(83_492_791);
        let mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0x5bd1_e995);
        mixed ^ (mixed >> 15)
    };
    RgbImage::from_fn(width, height, |x, y| {
        let block = draw(x / 12, y / 12, 0) % 90;
        let level = (70 + block + draw(x, y, 7) % 8) as u8;
        Rgb([level, level, level.saturating_add(20)])
    })
}

fn picture(seed: u32) -> RgbImage {
    picture_of(WIDE, HIGH, seed)
}

fn save(root: &Path, name: &str, image: impl Into<DynamicImage>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    image.into().save(path).expect("saved");
}

fn mask(marked: impl Fn(u32, u32) -> bool) -> GrayImage {
    GrayImage::from_fn(WIDE, HIGH, |x, y| Luma([if marked(x, y) { 255 } else { 0 }]))
}

fn blob(x: u32, y: u32) -> bool {
    (20..50).contains(&x) && (20..50).contains(&y)
}

/// A category in which nothing is wrong.
fn sound() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for seed in 0..24 {
        save(dir.path(), &format!("train/good/{seed:03}.png"), picture(seed));
    }
    for seed in 0..3 {
        save(
            dir.path(),
            &format!("test/good/{seed:03}.png"),
            picture(100 + seed),
        );
        save(
            dir.path(),
            &format!("test/dent/{seed:03}.png"),
            picture(200 + seed),
        );
        save(
            dir.path(),
            &format!("ground_truth/dent/{seed:03}_mask.png"),
            mask(blob),
        );
    }
    dir
}

fn check(root: &Path) -> Check {
    let files = CategoryFiles::discover(root).expect("a category");
    Check::of(&files, &Limits::default(), &|| {})
}

fn find<'a>(check: &'a Check, kind: &str) -> &'a Finding {
    let found = check.findings.iter().find(|finding| finding.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {:#?}", check.findings))
}

#[test]
fn a_sound_folder_has_figures_and_no_findings() {
    let dir = sound();
    let check = check(dir.path());
    assert_eq!(check.findings, []);
    assert!(check.training_starts() && check.evaluation_starts());
    assert_eq!((check.images.train, check.images.normal_test), (24, 3));
    assert_eq!(check.images.defective.get("dent"), Some(&3));
    assert_eq!(check.files.kinds.get("PNG"), Some(&30));
    assert_eq!(check.files.depths.get("8 bits"), Some(&30));
    assert_eq!(check.files.colors.get("color"), Some(&30));
    assert_eq!(
        (check.masks.masked, check.masks.read, check.masks.regions),
        (3, 3, 3)
    );
    let [least, _, most] = check.masks.coverage_percent.expect("coverage");
    assert!(
        (least - most).abs() < 1e-9 && (least - 11.72).abs() < 0.01,
        "{least}"
    );
    assert_eq!(check.masks.values.get("0 and one other value"), Some(&3));
    assert_eq!(check.masks.lost.len(), SIDES.len());
    // As JSON it has the same fields.
    let json = serde_json::to_value(&check).expect("JSON");
    assert_eq!(json["images"]["defective"]["dent"], 3);
    assert_eq!(json["files"]["sizes"][0]["width"], WIDE);
    assert_eq!(json["layout"], "MVTec layout");
    assert!(json["findings"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn every_image_is_reported_once_and_little_is_held() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for seed in 0..6 {
        save(
            dir.path(),
            &format!("normal/{seed}.png"),
            picture_of(900, 700, seed),
        );
    }
    let files = CategoryFiles::discover(dir.path()).expect("a category");
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let check = Check::of(&files, &Limits::default(), &|| {
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(seen.into_inner(), 6);
    // 1.9 MB of pixels each.
    assert!(check.held_bytes / 6 < 8_000, "{} bytes", check.held_bytes);
}

#[test]
fn unreadable_files_stop_what_they_belong_to() {
    let dir = sound();
    fs::write(dir.path().join("train/good/003.png"), b"").expect("written");
    fs::write(dir.path().join("train/good/004.png"), b"no picture").expect("written");
    let whole = fs::read(dir.path().join("test/good/000.png")).expect("read");
    fs::write(dir.path().join("test/good/000.png"), &whole[..whole.len() / 2]).expect("written");
    let found = check(dir.path());
    assert!(!found.training_starts() && !found.evaluation_starts());
    let unreadable = &found.findings[0];
    assert_eq!(
        (unreadable.severity, unreadable.count),
        (Severity::StopsTraining, 2)
    );
    assert_eq!(unreadable.what, "2 files cannot be read");
    assert_eq!(
        unreadable.files[0],
        "train/good/003.png: cannot be decoded: the file is empty"
    );
    assert!(unreadable.advice.contains("--skip-bad"));
    assert_eq!(found.findings[1].severity, Severity::StopsEvaluation);
    assert!(found.findings[1].files[0].starts_with("test/good/000.png: "));
    // Many are counted.
    for seed in 0..9 {
        fs::write(dir.path().join(format!("train/good/{seed:03}.png")), b"x").expect("written");
    }
    let found = check(dir.path());
    assert_eq!((found.findings[0].files.len(), found.findings[0].more()), (5, 4));
}

#[test]
fn doubles_leaks_and_contradictions_are_told_apart() {
    let dir = sound();
    let copy = |from: &str, to: &str| fs::copy(dir.path().join(from), dir.path().join(to)).expect("copied");
    copy("train/good/001.png", "train/good/001b.png");
    copy("train/good/002.png", "test/good/900.png");
    copy("test/good/001.png", "test/dent/900.png");
    // Of one picture a copy with another ending and, of a grey one, with three channels.
    let grey = DynamicImage::from(picture(5)).into_luma8();
    save(dir.path(), "train/good/grey.png", grey.clone());
    save(
        dir.path(),
        "train/good/grey3.bmp",
        DynamicImage::from(grey).into_rgb8(),
    );
    // Nearly the same: compressed anew.
    save(dir.path(), "test/good/901.jpg", picture(7));
    let found = check(dir.path());
    let labels = find(&found, "both-labels");
    assert_eq!(
        labels.what,
        "1 group: the same picture is both normal and defective"
    );
    assert_eq!(labels.files, ["test/dent/900.png = test/good/001.png"]);
    assert_eq!(
        find(&found, "leak").files,
        ["train/good/002.png = test/good/900.png"]
    );
    assert_eq!(
        find(&found, "doubled").files,
        [
            "train/good/001.png = train/good/001b.png",
            "train/good/grey.png = train/good/grey3.bmp"
        ]
    );
    let near = find(&found, "near-leak");
    assert_eq!(near.files, ["train/good/007.png = test/good/901.jpg"]);
    assert!(near.what.contains("proposal"), "{}", near.what);
    assert_eq!(found.twins.exact.len(), 4);
    assert_eq!(found.twins.exact[0][1].sort, "train");
}

#[test]
fn masks_are_told_by_what_they_mark() {
    let dir = sound();
    let at = |name: &str, image: GrayImage| save(dir.path(), name, image);
    for seed in 3..8 {
        save(
            dir.path(),
            &format!("test/dent/{seed:03}.png"),
            picture(200 + seed),
        );
    }
    at("ground_truth/dent/003_mask.png", mask(|_, _| false));
    at("ground_truth/dent/004_mask.png", mask(|x, y| !blob(x, y)));
    at(
        "ground_truth/dent/005_mask.png",
        mask(|x, y| blob(x, y) || (x, y) == (80, 70)),
    );
    let levels = GrayImage::from_fn(WIDE, HIGH, |x, _| Luma([[0, 90, 255][(x / 32) as usize]]));
    at("ground_truth/dent/006_mask.png", levels);
    // 007 has none; a type of its own has empty ones alone.
    for seed in 0..2 {
        save(
            dir.path(),
            &format!("test/scratch/{seed}.png"),
            picture(300 + seed),
        );
        at(
            &format!("ground_truth/scratch/{seed}_mask.png"),
            mask(|_, _| false),
        );
    }
    let found = check(dir.path());
    assert!(found.evaluation_starts());
    let empty = find(&found, "masks-empty");
    assert_eq!(empty.what, "defect types of which every mask is empty");
    assert_eq!(empty.files, ["scratch (2 masks)"]);
    assert_eq!(find(&found, "mask-nothing").count, 3);
    assert_eq!(
        find(&found, "mask-most").files,
        ["test/dent/004.png (88 % marked)"]
    );
    assert_eq!(find(&found, "masks-missing").files, ["test/dent/007.png"]);
    assert_eq!(found.masks.values.get("several levels"), Some(&1));
    assert_eq!(
        (
            found.masks.defective,
            found.masks.masked,
            found.masks.mark_nothing
        ),
        (10, 9, 3)
    );
    let small = find(&found, "regions-vanish");
    assert_eq!(small.files, ["test/dent/005.png (1 of 2 regions)"]);
    assert!(
        found
            .findings
            .iter()
            .any(|f| f.what.contains("mask with several levels"))
    );
}

#[test]
fn marks_that_vanish_are_counted_at_both_sizes() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let save = |name: &str, image: DynamicImage| save(dir.path(), name, image);
    save("normal/a.png", picture_of(600, 600, 1).into());
    save("defective/a.png", picture_of(600, 600, 2).into());
    let thin = GrayImage::from_fn(600, 600, |x, _| Luma([if x == 300 { 255 } else { 0 }]));
    save("masks/a.png", thin.into());
    let found = check(dir.path());
    let lost: Vec<(u32, usize)> = found
        .masks
        .lost
        .iter()
        .map(|lost| (lost.side, lost.masks))
        .collect();
    assert_eq!(lost, [(128, 1), (256, 1)]);
    let vanishes = find(&found, "mask-vanishes");
    assert_eq!(
        vanishes.what,
        "1 defective image: no pixel of the mask is left at 128x128"
    );
    assert!(vanishes.advice.contains("--at-file-size"));
}

#[test]
fn masks_that_do_not_fit_and_partners_that_lack_stop_an_evaluation() {
    let dir = sound();
    save(
        dir.path(),
        "ground_truth/dent/000_mask.png",
        GrayImage::new(10, 10),
    );
    save(dir.path(), "ground_truth/dent/777_mask.png", mask(blob));
    save(dir.path(), "test/good/000.bmp", picture(99));
    let found = check(dir.path());
    assert!(found.training_starts() && !found.evaluation_starts());
    assert_eq!(
        find(&found, "mask-size").files,
        ["ground_truth/dent/000_mask.png: mask is 10x10 but its image test/dent/000.png is 96x80"]
    );
    assert!(find(&found, "orphan-mask").files[0].starts_with("ground_truth/dent/777_mask.png: "));
    assert_eq!(find(&found, "same-name").count, 1);
}

#[test]
fn normals_unlike_the_others_are_named_worst_first() {
    let dir = sound();
    let at = |name: &str, image: RgbImage| save(dir.path(), &format!("train/good/{name}.png"), image);
    let changed = |seed: u32, change: &dyn Fn([u8; 3]) -> [u8; 3]| {
        let mut image = picture(seed);
        image.pixels_mut().for_each(|pixel| pixel.0 = change(pixel.0));
        image
    };
    at("dark", changed(51, &|p| p.map(|v| v / 4)));
    at("red", changed(52, &|[r, g, b]| [r.saturating_add(60), g, b]));
    at("wide", picture_of(HIGH * 3, HIGH, 53));
    at("large", picture_of(WIDE * 3, HIGH * 3, 54));
    at("blurred", image::imageops::blur(&picture(55), 6.0));
    at("white", RgbImage::from_pixel(WIDE, HIGH, Rgb([255; 3])));
    let found = check(dir.path());
    let unusual = find(&found, "unusual");
    assert_eq!(unusual.what, "6 normal images unlike the others");
    let reasons: Vec<String> = found
        .unusual
        .iter()
        .map(|one| format!("{}: {}", one.image.file, one.reason))
        .collect();
    for expected in [
        "train/good/dark.png: darker: ",
        "train/good/red.png: a color cast, more red: red minus green is 6",
        "train/good/wide.png: 240x80, others 96x80",
        "train/good/large.png: 288x240, others 96x80",
        "train/good/blurred.png: blurred: ",
        "train/good/white.png: brighter: 255 of 255",
    ] {
        assert!(
            reasons.iter().any(|reason| reason.starts_with(expected)),
            "{expected} in {reasons:#?}"
        );
    }
    assert!(reasons[0].contains("wide.png"), "{reasons:?}");
    assert_eq!(find(&found, "constant").files, ["train/good/white.png"]);
}

#[test]
fn deep_files_have_one_scale_and_strangers_are_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let deep = |seed: u32, factor: u16| -> DynamicImage {
        let flat = DynamicImage::from(picture(seed)).into_luma8();
        let deep: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(WIDE, HIGH, |x, y| {
            Luma([u16::from(flat.get_pixel(x, y)[0]) * factor])
        });
        deep.into()
    };
    for seed in 0..4 {
        save(dir.path(), &format!("normal/{seed}.png"), deep(seed, 16));
    }
    save(dir.path(), "normal/flat.png", picture(9));
    save(dir.path(), "normal_test/bright.png", deep(10, 200));
    // The same picture at the same scale is the same file.
    save(dir.path(), "normal_test/leak.tif", deep(2, 16));
    let found = check(dir.path());
    assert_eq!(found.files.scale.words, Some(12));
    assert_eq!(found.files.depths.get("16 bits"), Some(&6));
    let said: Vec<&str> = found
        .findings
        .iter()
        .map(|finding| finding.what.as_str())
        .collect();
    for expected in [
        "fills 12 bits",
        "8-bit files are taken as they are",
        "lie beyond the run's scale",
    ] {
        assert!(
            said.iter().any(|what| what.contains(expected)),
            "{expected} in {said:#?}"
        );
    }
    assert_eq!(
        find(&found, "leak").files,
        ["normal/2.png = normal_test/leak.tif"]
    );
    assert!(find(&found, "few-normals").what.starts_with("5 normal images"));
    assert!(find(&found, "one-sort").advice.contains("defective"));
}

#[test]
fn floating_point_tests_without_a_scale_stop_an_evaluation() {
    let dir = sound();
    let real = image::Rgb32FImage::from_fn(WIDE, HIGH, |x, _| Rgb([x as f32 * 9.0; 3]));
    save(dir.path(), "test/good/real.tiff", DynamicImage::ImageRgb32F(real));
    let found = check(dir.path());
    assert!(!found.evaluation_starts());
    assert!(
        find(&found, "no-scale").files[0].starts_with("test/good/real.tiff: its values go as far as 855")
    );
}

#[test]
fn without_normals_or_tests_it_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    save(dir.path(), "defective/a.png", picture(1));
    let found = check(dir.path());
    assert!(!found.training_starts() && found.evaluation_starts());
    assert_eq!(
        find(&found, "no-normals").what,
        "there are no normal images to train on"
    );
    assert_eq!(find(&found, "no-masks").severity, Severity::Note);
    let dir = tempfile::tempdir().expect("a temporary folder");
    save(dir.path(), "a.png", picture_of(1, 1, 0));
    save(dir.path(), "b.png", picture_of(1, 7, 0));
    save(dir.path(), "notes/c.png", picture_of(3, 2, 0));
    let found = check(dir.path());
    assert!(found.training_starts());
    assert_eq!(find(&found, "no-tests").severity, Severity::StopsEvaluation);
    assert!(find(&found, "long").what.starts_with("width is 0.14 to 1.50"));
}

#[test]
fn what_is_passed_over_is_said() {
    let dir = sound();
    save(dir.path(), "train/god/1.png", picture(70));
    fs::write(dir.path().join("train/good/notes.txt"), b"x").expect("written");
    let found = check(dir.path());
    let passed = find(&found, "passed-over");
    assert!(passed.what.contains("god"), "{}", passed.what);
    assert!(
        found
            .passed_over
            .iter()
            .any(|one| one.path == "train/good/notes.txt")
    );
}

#[cfg(unix)]
#[test]
fn odd_names_dead_links_and_closed_folders_are_told() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = sound();
    let odd = dir
        .path()
        .join("train/good")
        .join(OsStr::from_bytes(b"n\xff.png"));
    fs::copy(dir.path().join("train/good/001.png"), &odd).expect("copied");
    symlink("nowhere.png", dir.path().join("train/good/dead.png")).expect("linked");
    let found = check(dir.path());
    assert_eq!(
        find(&found, "doubled").files,
        ["train/good/001.png = train/good/n\\xff.png"]
    );
    assert!(find(&found, "passed-over").what.contains("1 dead link"));
    let closed = dir.path().join("test/dent");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
    // Root may read everything.
    let is_closed = fs::read_dir(&closed).is_err();
    let found =
        CategoryFiles::discover(dir.path()).map(|files| Check::of(&files, &Limits::default(), &|| {}));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).expect("opened");
    if is_closed {
        let found = found.expect("a category");
        assert!(!found.evaluation_starts());
        assert!(
            find(&found, "unreadable").files[0].contains("test/dent"),
            "{:?}",
            found.findings
        );
    }
}
