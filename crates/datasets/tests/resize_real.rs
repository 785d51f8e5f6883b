//! The resize against OpenCV on real files, where they are at hand.

use std::path::Path;

use flawforge_datasets::{Limits, load_gray, load_rgb, resize};

/// 900x900 originals against copies that OpenCV has brought to 256x256.
#[test]
fn real_files_equal_their_twins_resized_by_opencv() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let (originals, twins) = (data.join("mvtec_originals/bottle"), data.join("mvtec256/bottle"));
    if !originals.is_dir() || !twins.is_dir() {
        println!("skipped: ../shared/data/mvtec_originals or mvtec256 absent");
        return;
    }
    let limits = Limits::default();
    for file in [
        "train/good/000.png",
        "test/good/000.png",
        "test/broken_large/000.png",
    ] {
        let original = load_rgb(&originals.join(file), &limits).expect("loaded");
        assert_eq!(original.dimensions(), (900, 900));
        let twin = load_rgb(&twins.join(file), &limits).expect("loaded");
        assert_close(
            resize::bilinear_rgb(&original, 256, 256).as_raw(),
            twin.as_raw(),
            file,
        );
    }
    let file = "ground_truth/broken_large/000_mask.png";
    let original = load_gray(&originals.join(file), &limits).expect("loaded");
    let twin = load_gray(&twins.join(file), &limits).expect("loaded");
    assert_close(
        resize::bilinear_gray(&original, 256, 256).as_raw(),
        twin.as_raw(),
        file,
    );
}

fn assert_close(ours: &[u8], theirs: &[u8], file: &str) {
    assert_eq!(ours.len(), theirs.len());
    let differing = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    let largest = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max();
    println!(
        "{file}: {differing} of {} values differ, by {largest:?} at most",
        ours.len()
    );
    assert!(largest <= Some(1), "{file}: differs by {largest:?}");
}
