//! Folders as people have them and as data sets unpack: what is understood, what is passed over, and who opens what.

use std::path::Path;

use flawforge_datasets::{
    Category, CategoryFiles, DatasetError, GOOD, Layout, Limits, Loading, Purpose, Role, Why, categories,
    is_category, read_folders,
};
use image::{GrayImage, Luma, Rgb, RgbImage};

const SIZE: (u32, u32) = (12, 10);

fn save(path: &Path, write: impl FnOnce(&Path) -> image::ImageResult<()>) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    write(path).expect("saved");
}

/// Images, each of another grey.
fn images(dir: &Path, names: &[&str]) {
    for (index, name) in names.iter().enumerate() {
        let picture = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([40 + index as u8; 3]));
        save(&dir.join(name), |path| picture.save(path));
    }
}

/// A mask that marks some columns; none at all for 0.
fn mask(path: &Path, columns: std::ops::Range<u32>) {
    let picture = GrayImage::from_fn(SIZE.0, SIZE.1, |x, _| {
        Luma([if columns.contains(&x) { 255 } else { 0 }])
    });
    save(path, |path| picture.save(path));
}

fn files(dir: &Path) -> CategoryFiles {
    CategoryFiles::discover(dir).expect("a category")
}

/// Layout, names of the images to train on, and `defect/name:masks` of the test images.
fn found(dir: &Path) -> (Layout, Vec<String>, Vec<String>) {
    let files = files(dir);
    assert!(
        files.train_faults.is_empty() && files.test_faults.is_empty(),
        "{files:?}"
    );
    let test = files
        .test
        .iter()
        .map(|t| format!("{}/{}:{}", t.defect, t.name, t.masks.len()));
    (
        files.layout,
        files.train.iter().map(|t| t.name.clone()).collect(),
        test.collect(),
    )
}

fn load(dir: &Path) -> Category {
    Category::open(dir, &Loading::opencv(SIZE.0, SIZE.1), &Limits::default()).expect("loaded")
}

/// The reasons why something was passed over, with how often.
fn passed(dir: &Path) -> Vec<(Why, usize)> {
    let files = files(dir);
    let mut found: Vec<(Why, usize)> = Vec::new();
    for passed in &files.inventory.passed {
        match found.iter_mut().find(|(why, _)| *why == passed.why) {
            Some((_, count)) => *count += 1,
            None => found.push((passed.why, 1)),
        }
    }
    found.sort();
    found
}

#[test]
fn folders_by_usual_names_are_found_in_any_case() {
    for (names, layout, train, test) in [
        (&["a.png", "b.png"][..], Layout::Flat, &["a", "b"][..], &[][..]),
        (&["good/a.png"], Layout::Plain, &["a"], &[]),
        (&["Normal/a.png"], Layout::Plain, &["a"], &[]),
        (&["OK/a.png", "NG/b.png"], Layout::Plain, &["a"], &["NG/b:0"]),
        (
            &["a.png", "defect/b.png", "defect/bend/c.png"],
            Layout::Plain,
            &["a"],
            &["bend/c:0", "defect/b:0"],
        ),
        (&["Train/Good/a.png"], Layout::Mvtec, &["a"], &[]),
        (&["train/a.png"], Layout::Mvtec, &["a"], &[]),
        (
            &["TRAIN/ok/a.png", "Test/OK/b.png", "Test/dent/c.png"],
            Layout::Mvtec,
            &["a"],
            &["dent/c:0", "good/b:0"],
        ),
        (
            &["test/Good/b.png", "test/dent/c.png"],
            Layout::Mvtec,
            &[],
            &["dent/c:0", "good/b:0"],
        ),
        (
            &["normal_test/b.png", "Defective/c.png"],
            Layout::Plain,
            &[],
            &["defective/c:0", "good/b:0"],
        ),
        (
            &["normal/a.png", "test/ok/b.png", "test/ng/c.png"],
            Layout::Mvtec,
            &["a"],
            &["good/b:0", "ng/c:0"],
        ),
        (
            &["2026-01/a.png", "2026-02/b.png"],
            Layout::Flat,
            &["2026-01/a", "2026-02/b"],
            &[],
        ),
        (
            &["normal/a.png", "normal/2026-01/b.png"],
            Layout::Plain,
            &["2026-01/b", "a"],
            &[],
        ),
    ] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        images(dir.path(), names);
        let (is, to_train, to_test) = found(dir.path());
        assert_eq!(is, layout, "{names:?}");
        assert_eq!(to_train, train, "{names:?}");
        assert_eq!(to_test, test, "{names:?}");
        assert_eq!(passed(dir.path()), [], "{names:?}");
    }
}

#[test]
fn a_folder_of_normal_images_is_no_defect_whatever_its_name_and_masks() {
    for name in ["ok", "Good", "normal", "defect-free"] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| dir.path().join(path);
        images(dir.path(), &["train/good/0.png"]);
        images(&at("test").join(name), &["0.png", "1.png"]);
        images(&at("test/bad"), &["0.png"]);
        mask(&at("ground_truth").join(name).join("0_mask.png"), 0..0);
        mask(&at("ground_truth").join(name).join("1_mask.png"), 0..0);
        mask(&at("ground_truth/bad/0_mask.png"), 2..5);
        let test = load(dir.path()).test;
        let defective: Vec<&str> = test
            .iter()
            .filter(|t| t.is_defective())
            .map(|t| t.name.as_str())
            .collect();
        assert_eq!((test.len(), defective), (3, vec!["bad/0"]), "{name}");
        let passed = files(dir.path()).inventory;
        assert_eq!(
            passed.line().expect("a line"),
            format!("2 masks of normal images (ground_truth/{name})")
        );
    }
}

#[test]
fn nothing_is_passed_over_in_silence() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| dir.path().join(path);
    images(
        dir.path(),
        &[
            "normal/0.png",
            "normal/new/1.png",
            "normal/ng/2.png",
            "old/3.png",
            "old/4.png",
            "loose.png",
        ],
    );
    std::fs::create_dir(at("docs")).expect("made");
    for file in [
        "docs/a.pdf",
        "normal/x.jfif",
        "normal/y.pgm",
        "normal/.hidden.png",
        "notes.txt",
    ] {
        std::fs::write(at(file), b"?").expect("written");
    }
    let mut own = std::fs::read(at("loose.png")).expect("read");
    flawforge_datasets::mark_as_own(&mut own);
    std::fs::write(at("normal/sheet.png"), own).expect("written");
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere.png", at("normal/l.png")).expect("linked");
    let files = files(dir.path());
    assert_eq!(
        files.train.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(),
        ["0", "new/1"]
    );
    let line = files.inventory.line().expect("a line");
    for phrase in [
        "2 folders of unknown meaning with 2 images (docs, old)",
        "1 image without a label (loose.png)",
        "1 defective image among those to train on (normal/ng)",
        "1 picture that flawforge wrote (normal/sheet.png)",
        "3 files of other kinds (jfif, pgm, txt)",
        "1 hidden file",
    ] {
        assert!(line.contains(phrase), "{phrase}: {line}");
    }
    #[cfg(unix)]
    assert!(line.contains("1 dead link (normal/l.png)"), "{line}");
    assert!(
        files
            .parts
            .iter()
            .any(|part| part.role == Role::Normal && part.images == 2)
    );
}

#[test]
fn masks_are_used_as_far_as_there_are_any() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| dir.path().join(path);
    images(
        dir.path(),
        &[
            "train/good/0.png",
            "test/bad/0.png",
            "test/bad/1.png",
            "test/dent/0.png",
            "test/good/0.png",
        ],
    );
    assert_eq!(files(dir.path()).masked(), (3, 0));
    mask(&at("ground_truth/Bad/0_mask.png"), 1..4);
    let files = files(dir.path());
    assert_eq!(files.masked(), (3, 1));
    assert_eq!(
        files.inventory.assumed,
        ["ground_truth/Bad holds the masks of test/bad"]
    );
    let known: Vec<(String, bool)> = load(dir.path())
        .test
        .into_iter()
        .map(|t| (t.name, t.has_truth))
        .collect();
    let expected = [
        ("bad/0", true),
        ("bad/1", false),
        ("dent/0", false),
        ("good/0", true),
    ];
    assert_eq!(known, expected.map(|(name, known)| (name.to_owned(), known)));
    // A folder of masks without images is most often misspelt.
    mask(&at("ground_truth/dnet/0_mask.png"), 1..4);
    assert!(matches!(
        CategoryFiles::discover(dir.path()).expect("listed").test_faults[..],
        [DatasetError::OrphanMask { .. }]
    ));
}

#[test]
fn loco_btad_and_ad2_are_read_as_they_unpack() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| root.path().join(path);
    images(
        &at("loco"),
        &[
            "train/good/0.png",
            "validation/good/0.png",
            "test/good/0.png",
            "test/logical_anomalies/0.png",
        ],
    );
    mask(&at("loco/ground_truth/logical_anomalies/0/000.png"), 0..2);
    mask(&at("loco/ground_truth/logical_anomalies/0/001.png"), 5..6);
    let expected = ["good/0:0", "logical_anomalies/0:2"].map(str::to_owned);
    assert_eq!(
        found(&at("loco")),
        (Layout::MvtecLoco, vec!["0".to_owned()], expected.to_vec())
    );
    assert_eq!(passed(&at("loco")), [(Why::Validation, 1)]);
    let union = &load(&at("loco")).test[1].mask;
    assert_eq!(union.count(), 3 * SIZE.1 as usize, "the union of both masks");

    images(&at("01"), &["train/ok/0.bmp", "test/ok/1.bmp", "test/ko/2.bmp"]);
    mask(&at("01/ground_truth/ko/2.png"), 0..2);
    let expected = ["good/1:0", "ko/2:1"].map(str::to_owned);
    assert_eq!(
        found(&at("01")),
        (Layout::Btad, vec!["0".to_owned()], expected.to_vec())
    );

    images(
        &at("can"),
        &[
            "train/good/0_regular.png",
            "validation/good/1_regular.png",
            "test_public/good/2_regular.png",
            "test_public/bad/3_regular.png",
            "test_private/4_regular.png",
            "test_private_mixed/5_mixed.png",
        ],
    );
    mask(&at("can/test_public/ground_truth/bad/3_regular_mask.png"), 0..2);
    let expected = ["bad/3_regular:1", "good/2_regular:0"].map(str::to_owned);
    assert_eq!(
        found(&at("can")),
        (Layout::MvtecAd2, vec!["0_regular".to_owned()], expected.to_vec())
    );
    assert_eq!(passed(&at("can")), [(Why::Unlabeled, 2), (Why::Validation, 1)]);

    assert_eq!(categories(root.path()).expect("listed"), ["01", "can", "loco"]);
    assert!(!is_category(root.path()).expect("read") && is_category(&at("can")).expect("read"));
    let several = CategoryFiles::discover(root.path())
        .expect_err("not one")
        .to_string();
    assert!(
        several.ends_with("is a folder of categories; name one of them: 01, can, loco"),
        "{several}"
    );
    let above = tempfile::tempdir().expect("a temporary folder");
    images(above.path(), &["sets/loco/train/good/0.png"]);
    let unknown = CategoryFiles::discover(above.path())
        .expect_err("too far up")
        .to_string();
    assert!(
        unknown.contains("a data set further down (sets/loco/train)"),
        "{unknown}"
    );
}

#[test]
fn visa_is_split_by_its_table() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| root.path().join(path);
    images(
        &at("candle/Data/Images"),
        &[
            "Normal/0000.JPG",
            "Normal/0001.JPG",
            "Normal/0002.JPG",
            "Anomaly/000.JPG",
        ],
    );
    mask(&at("candle/Data/Masks/Anomaly/000.png"), 1..3);
    std::fs::write(at("candle/image_anno.csv"), "image,label,mask\n").expect("written");
    let all = ["0000", "0001", "0002"].map(str::to_owned).to_vec();
    let anomaly = "Anomaly/000:1".to_owned();
    assert_eq!(found(&at("candle")), (Layout::Visa, all, vec![anomaly.clone()]));
    assert_eq!(
        files(&at("candle")).inventory.line().expect("a line"),
        "1 file of another kind (csv)"
    );
    std::fs::create_dir(at("split_csv")).expect("made");
    let rows = [
        "object,split,label,image,mask",
        "candle,train,normal,candle/Data/Images/Normal/0000.JPG,",
        "candle,test,normal,candle/Data/Images/Normal/0001.JPG,",
        "candle,test,anomaly,candle/Data/Images/Anomaly/000.JPG,candle/Data/Masks/Anomaly/000.png",
        "cashew,train,normal,cashew/Data/Images/Normal/0000.JPG,",
    ];
    std::fs::write(at("split_csv/1cls.csv"), rows.join("\n")).expect("written");
    let expected = (
        Layout::Visa,
        vec!["0000".to_owned()],
        vec![anomaly, "good/0001:0".to_owned()],
    );
    assert_eq!(found(&at("candle")), expected);
    assert_eq!(passed(&at("candle")), [(Why::NotInSplit, 1), (Why::OtherKind, 1)]);
    assert_eq!(categories(root.path()).expect("listed"), ["candle"]);
    std::fs::write(at("split_csv/1cls.csv"), "a,b\n1,2\n").expect("written");
    let broken = files(&at("candle"));
    let error = broken.train_faults[0].to_string();
    assert!(error.contains("1cls.csv: has no column \"object\""), "{error}");
}

#[test]
fn masks_beside_the_images_label_them() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| root.path().join(path);
    for (folder, part, marked) in [
        ("kos01", 0, 0..0),
        ("kos01", 1, 2..4),
        ("kos02", 0, 0..0),
        ("kos02", 1, 0..0),
    ] {
        images(&at("ksdd").join(folder), &[&format!("Part{part}.jpg")]);
        mask(
            &at("ksdd").join(folder).join(format!("Part{part}_label.bmp")),
            marked,
        );
    }
    let expected = [
        "defective/kos01/Part1:1",
        "good/kos02/Part0:0",
        "good/kos02/Part1:0",
    ]
    .map(str::to_owned);
    assert_eq!(
        found(&at("ksdd")),
        (
            Layout::KolektorSdd,
            vec!["kos01/Part0".to_owned()],
            expected.to_vec()
        )
    );
    assert!(files(&at("ksdd")).inventory.assumed[0].contains("every second folder"));
    let train =
        CategoryFiles::discover_for(&at("ksdd"), Purpose::Training, &Limits::default()).expect("listed");
    assert_eq!(train.train.len(), 1, "the same images, whoever asks");

    images(
        &at("ksdd2"),
        &["train/1.png", "train/2.png", "test/3.png", "test/4.png"],
    );
    for (name, marked) in [
        ("train/1", 0..0),
        ("train/2", 1..2),
        ("test/3", 0..0),
        ("test/4", 4..9),
    ] {
        mask(&at("ksdd2").join(format!("{name}_GT.png")), marked);
    }
    let expected = ["defective/4:1", "good/3:0"].map(str::to_owned);
    assert_eq!(
        found(&at("ksdd2")),
        (Layout::KolektorSdd2, vec!["1".to_owned()], expected.to_vec())
    );
    assert_eq!(passed(&at("ksdd2")), [(Why::DefectiveInTraining, 1)]);
    assert_eq!(categories(root.path()).expect("listed"), ["ksdd", "ksdd2"]);

    // A part that is not wanted is not opened.
    std::fs::write(at("ksdd2/test/3_GT.png"), b"no picture").expect("written");
    let for_training =
        CategoryFiles::discover_for(&at("ksdd2"), Purpose::Training, &Limits::default()).expect("listed");
    assert!(for_training.train_faults.is_empty() && for_training.test_faults.is_empty());
    assert!(matches!(
        files(&at("ksdd2")).test_faults[..],
        [DatasetError::Decode { .. }]
    ));
}

#[test]
fn images_beside_a_folder_of_masks_are_told_by_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    images(dir.path(), &["a.png", "b.png", "c.png"]);
    mask(&dir.path().join("masks/b_mask.png"), 1..3);
    mask(&dir.path().join("masks/c_mask.png"), 0..0);
    let expected = (
        Layout::Plain,
        ["a", "c"].map(str::to_owned).to_vec(),
        vec!["defective/b:1".to_owned()],
    );
    assert_eq!(found(dir.path()), expected);
    let dir = tempfile::tempdir().expect("a temporary folder");
    images(dir.path(), &["images/a.png", "images/b.png"]);
    mask(&dir.path().join("masks/b.png"), 1..3);
    let expected = (
        Layout::Plain,
        vec!["a".to_owned()],
        vec!["defective/b:1".to_owned()],
    );
    assert_eq!(found(dir.path()), expected);
}

#[test]
fn a_part_is_loaded_without_the_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let at = |path: &str| dir.path().join(path);
    images(
        dir.path(),
        &[
            "train/good/0.png",
            "train/good/1.png",
            "test/good/0.png",
            "test/bad/0.png",
        ],
    );
    let loading = Loading::opencv(6, 5);
    let files = files(dir.path());
    std::fs::write(at("test/bad/0.png"), b"no picture").expect("written");
    let normals = Category::load_normals(&files, &loading, &Limits::default()).expect("whole");
    assert_eq!(
        (normals.train.len(), normals.test.len(), normals.train[0].size),
        (2, 0, SIZE)
    );
    assert!(Category::load_tests(&files, &loading, &Limits::default()).is_err());
    images(&at("test/bad"), &["0.png"]);
    std::fs::write(at("train/good/1.png"), b"no picture").expect("written");
    let tests = Category::load_tests(&files, &loading, &Limits::default()).expect("whole");
    assert_eq!((tests.train.len(), tests.test.len()), (0, 2));
    assert_eq!(tests.test.iter().filter(|t| t.defect == GOOD).count(), 1);
    assert!(Category::load_normals(&files, &loading, &Limits::default()).is_err());
    let (readable, errors) =
        Category::load_readable_normals(&files, &loading, &Limits::default()).expect("one is left");
    assert_eq!((readable.train.len(), errors.len()), (1, 1));
    std::fs::write(at("train/good/0.png"), b"no picture").expect("written");
    let none =
        Category::load_readable_normals(&files, &loading, &Limits::default()).expect_err("none is left");
    assert_eq!(none.errors().len(), 2);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_stay_apart() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().expect("a temporary folder");
    images(dir.path(), &["normal/0.png", "defective/x.png", "masks/x.png"]);
    for (folder, byte) in [("defective", b"\xff"), ("defective", b"\xfe"), ("masks", b"\xfe")] {
        let name = std::ffi::OsStr::from_bytes(byte).to_owned();
        let mut path = dir.path().join(folder).join(name);
        path.as_mut_os_string().push(".png");
        std::fs::copy(dir.path().join(folder).join("x.png"), path).expect("copied");
    }
    let (_, _, test) = found(dir.path());
    assert_eq!(test, ["defective/x:1", "defective/\\xfe:1", "defective/\\xff:0"]);
}

#[test]
fn read_folders_are_those_where_outputs_would_be_read() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    images(dir.path(), &["normal/0.png", "defective/x/0.png"]);
    let read = |dir: &Path| read_folders(dir).expect("listed");
    assert_eq!(
        read(dir.path()),
        [dir.path().join("defective"), dir.path().join("normal")]
    );
    let flat = tempfile::tempdir().expect("a temporary folder");
    images(flat.path(), &["0.png"]);
    assert_eq!(read(flat.path()), [flat.path()]);
}
