//! Data sets of others, laid out as they unpack, and masks beside images.

use flawforge_datasets::{
    CategoryFiles, DatasetError, Layout, Limits, Purpose, Why, categories, is_category,
};

use crate::support::{SIZE, files, found, images, load, mask, passed};

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
