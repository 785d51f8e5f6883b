//! Folders right and wrong: what is found, in which order, and the one line that every error gets.

use std::path::Path;

use flawforge_datasets::{Category, CategoryFiles, DatasetError, GOOD, Limits, Loading, categories};
use image::{GrayImage, Luma, Rgb, RgbImage};

const SIZE: (u32, u32) = (20, 14);

fn image(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 30]))
        .save(path)
        .expect("saved");
}

fn mask(path: &Path, (w, h): (u32, u32)) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    GrayImage::from_fn(w, h, |x, y| {
        Luma([if (4..12).contains(&x) && (4..9).contains(&y) {
            255
        } else {
            0
        }])
    })
    .save(path)
    .expect("saved");
}

/// A sound category in MVTec's layout.
fn mvtec(dir: &Path) {
    for i in 0..3 {
        image(&dir.join(format!("train/good/00{i}.png")));
    }
    image(&dir.join("test/good/000.png"));
    for defect in ["scratch", "dent"] {
        for i in 0..2 {
            image(&dir.join(format!("test/{defect}/00{i}.PNG")));
        }
    }
    mask(&dir.join("ground_truth/scratch/000_mask.png"), SIZE);
    mask(&dir.join("ground_truth/scratch/001_mask.png"), SIZE);
    mask(&dir.join("ground_truth/dent/000.png"), SIZE);
    mask(&dir.join("ground_truth/dent/001_mask.bmp"), SIZE);
    for file in [
        "readme.txt",
        "train/good/readme.txt",
        "ground_truth/license.txt",
        "test/dent/._000.PNG",
    ] {
        std::fs::write(dir.join(file), "words").expect("written");
    }
}

fn open(dir: &Path) -> Result<Category, DatasetError> {
    Category::open(dir, &Loading::opencv(10, 7), &Limits::default())
}

/// Spoils a sound category and returns the single line it is refused with, less the folder's own path.
fn refused(spoil: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    mvtec(dir.path());
    spoil(dir.path());
    let error = open(dir.path()).expect_err("an error");
    assert_eq!(error.errors().len(), 1, "{error}");
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn mvtec_layout_is_loaded_in_order() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join("widget");
    mvtec(&root);
    let category = open(&root).expect("loaded");
    assert_eq!(category.name, "widget");
    let train: Vec<&str> = category.train.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(train, ["000", "001", "002"]);
    let test: Vec<&str> = category.test.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(
        test,
        ["dent/000", "dent/001", "good/000", "scratch/000", "scratch/001"]
    );
    assert!(category.has_ground_truth());
    for test in &category.test {
        assert_eq!(test.image.dimensions(), (10, 7));
        assert_eq!((test.mask.width(), test.mask.height()), (10, 7));
        assert_eq!(test.is_defective(), test.defect != GOOD);
        // Halved exactly: 2×2 means. The 8×5 block has one row of halves, which only the plain rule keeps.
        let counts = (test.mask.count(), test.mask_half.count());
        assert_eq!(
            counts,
            if test.is_defective() { (8, 12) } else { (0, 0) },
            "{}",
            test.name
        );
    }
    assert_eq!(categories(dir.path()).expect("listed"), ["widget"]);
    let inside = categories(&root).expect_err("a category itself").to_string();
    assert!(inside.ends_with("give the folder above it"), "{inside}");
}

#[test]
fn loading_does_not_depend_on_threads() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    mvtec(dir.path());
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let category = pool.install(|| open(dir.path())).expect("loaded");
        category
            .test
            .into_iter()
            .map(|t| (t.name, t.image, t.mask.count()))
            .collect::<Vec<_>>()
    };
    assert_eq!(with(1), with(5));
}

#[test]
fn a_plain_folder_of_normal_images_is_enough() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    image(&dir.path().join("normal/a.png"));
    let category = open(dir.path()).expect("loaded");
    assert_eq!((category.train.len(), category.test.len()), (1, 0));
    assert!(!category.has_ground_truth());
    assert_eq!(
        Some(category.name.as_str()),
        dir.path().file_name().and_then(|n| n.to_str())
    );
}

#[test]
fn a_plain_folder_may_have_defects_with_and_without_masks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for file in [
        "normal/a.png",
        "normal_test/n.png",
        "defective/b.png",
        "defective/dent/c.png",
    ] {
        image(&dir.path().join(file));
    }
    let category = open(dir.path()).expect("loaded");
    let names: Vec<&str> = category.test.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["defective/b", "dent/c", "good/n"]);
    assert!(!category.has_ground_truth());
    mask(&dir.path().join("masks/b.png"), SIZE);
    let category = open(dir.path()).expect("loaded");
    let known: Vec<bool> = category.test.iter().map(|t| t.pixels_are_known()).collect();
    assert_eq!(known, [true, false, true], "masks of some defective images alone");
    mask(&dir.path().join("masks/dent/c_mask.png"), SIZE);
    let category = open(dir.path()).expect("loaded");
    assert!(category.has_ground_truth());
    assert!(
        category
            .test
            .iter()
            .all(|t| t.is_defective() != t.mask.is_empty())
    );
    mask(&dir.path().join("masks/bend/d.png"), SIZE);
    let files = CategoryFiles::discover(dir.path()).expect("listed");
    assert!(matches!(files.test_faults[..], [DatasetError::OrphanMask { .. }]));
    assert!(matches!(open(dir.path()), Err(DatasetError::OrphanMask { .. })));
}

#[test]
fn missing_things_are_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let gone = open(&dir.path().join("gone")).expect_err("missing").to_string();
    assert!(
        gone.ends_with("gone: no such folder (the folder of a category)"),
        "{gone}"
    );
    assert!(matches!(
        open(dir.path()),
        Err(DatasetError::UnknownLayout { .. })
    ));
    assert!(matches!(
        categories(dir.path()),
        Err(DatasetError::NoCategories { hint: "", .. })
    ));
    assert!(matches!(
        categories(&dir.path().join("gone")),
        Err(DatasetError::MissingFolder { .. })
    ));
    std::fs::create_dir(dir.path().join("normal")).expect("made");
    assert!(matches!(open(dir.path()), Err(DatasetError::NoImages { .. })));
}

#[test]
fn every_fault_is_one_line_with_the_file() {
    let remove =
        |file: &'static str| move |dir: &Path| std::fs::remove_file(dir.join(file)).expect("removed");
    assert_eq!(
        refused(remove("test/dent/001.PNG")),
        "ground_truth/dent/001_mask.bmp: mask without an image (no image of that name is in test/dent)"
    );
    assert_eq!(
        refused(|dir| mask(&dir.join("ground_truth/bend/000_mask.png"), SIZE)),
        "ground_truth/bend/000_mask.png: mask without an image (no image of that name is in test/bend)"
    );
    assert_eq!(
        refused(|dir| mask(&dir.join("ground_truth/scratch/000_mask.png"), (20, 13))),
        "ground_truth/scratch/000_mask.png: mask is 20x13 but its image test/scratch/000.PNG is 20x14"
    );
    assert_eq!(
        refused(|dir| image(&dir.join("test/good/000.bmp"))),
        "test/good/000.png: same name as test/good/000.bmp but for the ending"
    );
    assert_eq!(
        refused(|dir| {
            std::fs::remove_dir_all(dir.join("train/good")).expect("removed");
            std::fs::create_dir_all(dir.join("train/good")).expect("made");
        }),
        "train/good: no image in it (normal images to train on; \
         png, jpg, jpeg, jpe, jfif, bmp, tif, tiff, webp, pgm, ppm and pnm are read)"
    );
    let cut = refused(|dir| {
        let path = dir.join("train/good/001.png");
        let bytes = std::fs::read(&path).expect("read");
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    });
    assert!(
        cut.starts_with("train/good/001.png: cannot be decoded: "),
        "{cut}"
    );
    let words = refused(|dir| std::fs::write(dir.join("test/dent/000.PNG"), "words").expect("written"));
    assert!(
        words.starts_with("test/dent/000.PNG: cannot be decoded: "),
        "{words}"
    );
}

#[test]
fn all_faults_are_found_before_returning() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    mvtec(dir.path());
    for file in [
        "train/good/000.png",
        "test/good/000.png",
        "test/dent/001.PNG",
        "ground_truth/dent/001_mask.bmp",
    ] {
        std::fs::write(dir.path().join(file), "words").expect("written");
    }
    let error = open(dir.path()).expect_err("errors");
    assert_eq!(error.errors().len(), 4, "{error}");
    assert_eq!(error.to_string().lines().count(), 5, "{error}");
    assert!(matches!(
        Category::open(dir.path(), &Loading::opencv(0, 7), &Limits::default()),
        Err(DatasetError::TargetSize { width: 0, .. })
    ));
}

/// The real folders, where they are at hand: counts and ground truth.
#[test]
fn real_categories_load() {
    for (path, train, good, defective) in [("mvtec256/bottle", 209, 20, 63), ("magnetic_tile", 220, 50, 80)] {
        let Some(folder) = flawforge_testing::data(path) else {
            continue;
        };
        let category = Category::open(&folder, &Loading::opencv(64, 64), &Limits::default()).expect("loaded");
        let defects = category.test.iter().filter(|t| t.is_defective()).count();
        assert_eq!(
            (category.train.len(), category.test.len() - defects, defects),
            (train, good, defective)
        );
        assert!(
            category
                .test
                .iter()
                .all(|t| t.is_defective() || t.mask_half.is_empty())
        );
        assert!(
            category
                .test
                .iter()
                .all(|t| t.mask.count() <= t.mask_half.count())
        );
    }
}
