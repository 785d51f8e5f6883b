//! Folders as people have them and as data sets unpack: what is understood, what is passed over, and who opens what.

use std::path::Path;

use flawforge_datasets::{
    Category, CategoryFiles, DatasetError, GOOD, Layout, Limits, Loading, Role, read_folders,
};

use crate::support::{SIZE, files, found, images, load, mask, passed};

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
        "normal/x.heic",
        "normal/y.raw",
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
        "3 files of other kinds (heic, raw, txt)",
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
        .map(|t| (t.name.clone(), t.pixels_are_known()))
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
