//! `train --from` with memory banks: what has changed is told, and a run is called after its product.

use std::fs;
use std::path::Path;

use crate::support::{grey, path, succeed};

fn parts(folder: &Path, shifts: std::ops::Range<u32>) {
    fs::create_dir_all(folder).unwrap();
    for index in shifts {
        let picture = grey(48, 48, 5 * index);
        picture.save(folder.join(format!("{index:03}.png"))).unwrap();
    }
}

#[test]
fn adding_normals_tells_before_and_now() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (good, more) = (at("bottle/train/good"), at("more"));
    parts(&good, 0..6);
    parts(&more, 6..8);
    let (run, next) = (at("run"), at("next"));
    let train = ["train", path(&good), "--out", path(&run), "--method", "patchcore"];
    let (_, err) = succeed(&[&train[..], &["--profile", "smoke"]].concat());
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("category = \"bottle\""), "{config}");
    // Files by their paths, ready to be opened.
    assert!(
        err.contains(&format!("least like the others: {}/00", path(&good))) && err.contains(".png ("),
        "{err}"
    );
    let (_, err) = succeed(&["train", path(&more), "--from", path(&run), "--out", path(&next)]);
    for part in [
        "2 normal images were added",
        "before: decision threshold ",
        "now: decision threshold ",
        "of 2 normal images added, each scored unseen, ",
    ] {
        assert!(err.contains(part), "{part}: {err}");
    }
    assert!(
        err.contains(&format!("least like the others: {}/00", path(&more))),
        "{err}"
    );
    assert!(!err.contains("unlike"), "{err}");
    // Images of another shape are squeezed as those of the run were not; that is told, with a file.
    let wide = at("wide");
    fs::create_dir_all(&wide).unwrap();
    grey(96, 48, 1).save(wide.join("a.png")).unwrap();
    fs::copy(more.join("006.png"), wide.join("b.png")).unwrap();
    let (_, err) = succeed(&[
        "train",
        path(&wide),
        "--from",
        path(&run),
        "--out",
        path(&at("last")),
    ]);
    let told = format!(
        "1 of 2 images is unlike those of {}, and will count as normal all the same: {}/a.png (96x48, the normal images 48x48",
        path(&run),
        path(&wide)
    );
    assert!(err.contains(&told), "{err}");
    let page = at("page.html");
    succeed(&["report", path(&next), "--out", path(&page)]);
    let page = fs::read_to_string(&page).unwrap();
    assert!(
        page.contains("the method takes one look at each image and has none"),
        "{page}"
    );
}
