//! The resize against OpenCV on real files, where they are at hand.

use flawforge_datasets::{Limits, load_gray, load_rgb, resize};
use flawforge_testing::data;

/// 900x900 originals against copies that OpenCV has brought to 256x256.
#[test]
fn real_files_equal_their_twins_resized_by_opencv() {
    let (Some(originals), Some(twins)) = (data("mvtec_originals/bottle"), data("mvtec256/bottle")) else {
        return;
    };
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
