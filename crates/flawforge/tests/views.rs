//! Views on the command line: asked for by name or by a settings file, known to every later command.

use std::fs;
use std::path::Path;

use crate::support::{fault, grey, open, path, succeed};
use image::{GenericImageView, GrayImage, Luma};

/// Longer than what the smoke profile sees at once, 64 px.
const WIDTH: u32 = 160;
const HEIGHT: u32 = 96;

/// A category in the form of MVTec's: six normal images, and four of a test.
fn category(root: &Path) {
    let save = |image: &GrayImage, name: String| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).unwrap();
        image.save(path).unwrap();
    };
    for index in 0..6 {
        save(
            &grey(WIDTH, HEIGHT, 5 * index),
            format!("train/good/{index:03}.png"),
        );
    }
    for index in 0..2 {
        let good = grey(WIDTH, HEIGHT, 3 * index);
        save(&good, format!("test/good/{index:03}.png"));
        let spot = |x: u32, y: u32| (100..120).contains(&x) && (30..50).contains(&y);
        let mut bad = good;
        for (_, _, pixel) in bad.enumerate_pixels_mut().filter(|(x, y, _)| spot(*x, *y)) {
            *pixel = Luma([255]);
        }
        save(&bad, format!("test/bad/{index:03}.png"));
        let truth = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([if spot(x, y) { 255 } else { 0 }]));
        save(&truth, format!("ground_truth/bad/{index:03}_mask.png"));
    }
}

/// The arguments of a short training.
fn train<'a>(root: &'a Path, run: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["--profile", "smoke", "--method", "draem", "--steps", "2"];
    let first = ["train", path(root), "--out", path(run)];
    [&first[..], &short, more].concat()
}

/// Scores the test images by both commands, and looks at what they write.
fn assert_later_commands_know_it(root: &Path, run: &Path, out: &Path) {
    let (told, _) = succeed(&["evaluate", path(root), "--run", path(run), "--at-file-size"]);
    assert!(told.contains("AUROC"), "{told}");
    let images = root.join("test");
    let predict = ["predict", path(&images), "--run", path(run), "--out", path(out)];
    succeed(&predict);
    let rows = fs::read_to_string(out.join("scores.csv")).unwrap();
    assert_eq!(rows.lines().count(), 5, "{rows}");
    let map = open(&out.join("bad/000_map.png"));
    assert_eq!(
        map.dimensions(),
        (WIDTH, HEIGHT),
        "maps have the size of the file"
    );
}

#[test]
fn windows_and_the_whole_image_are_trained_scored_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run) = (at("plates"), at("run"));
    category(&root);
    let (_, err) = succeed(&train(&root, &run, &["--view", "two-scales"]));
    assert!(err.contains("at 64 px (tiles and whole)"), "{err}");
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(
        config.contains("[view]\nkind = \"tiles\"") && config.contains("whole = true"),
        "{config}"
    );
    assert_later_commands_know_it(&root, &run, &at("out"));
    let model = at("model.onnx");
    succeed(&["export", path(&run), "--out", path(&model)]);
    assert!(model.exists());
}

#[test]
fn memory_banks_see_windows_too() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (root, run) = (at("plates"), at("run"));
    category(&root);
    let bank = ["--profile", "smoke", "--method", "patchcore", "--view", "tiles"];
    let first = ["train", path(&root), "--out", path(&run)];
    let (_, err) = succeed(&[&first[..], &bank].concat());
    assert!(err.contains("at 64 px (tiles)"), "{err}");
    assert_later_commands_know_it(&root, &run, &at("out"));
}

#[test]
fn a_settings_file_asks_for_a_view_as_an_option_does() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let root = at("plates");
    category(&root);
    let file = at("fit.toml");
    fs::write(&file, "[view]\nkind = \"fit\"\naspect = [160, 96]\n").unwrap();
    let (asked, written) = (at("asked"), at("written"));
    succeed(&train(&root, &asked, &["--view", "fit"]));
    let (_, err) = succeed(&train(&root, &written, &["--config", path(&file)]));
    assert!(err.contains("(fit 160:96)"), "{err}");
    let settings = |run: &Path| fs::read_to_string(run.join("config.toml")).unwrap();
    assert_eq!(settings(&written), settings(&asked));
    assert_later_commands_know_it(&root, &written, &at("out"));

    // The option is nearer to whoever typed it than the file.
    let both = at("both");
    let (_, err) = succeed(&train(
        &root,
        &both,
        &["--config", path(&file), "--view", "tiles:0.5"],
    ));
    assert!(err.contains("(tiles at 0.5)"), "{err}");

    for (text, said) in [
        ("[view]\nkind = \"fitting\"\n", "fit.toml"),
        ("[view]\nkind = \"tiles\"\nscale = -1\n", "view.scale"),
        ("[view]\nkind = \"fit\"\naspect = [160, 1]\n", "view.aspect"),
    ] {
        fs::write(&file, text).unwrap();
        let refused = at("refused");
        let message = fault(&train(&root, &refused, &["--config", path(&file)]));
        assert!(
            message.contains(said) && message.contains("fit.toml"),
            "{message}"
        );
        assert!(!refused.join("checkpoint.safetensors").exists());
    }
}

#[test]
fn long_images_of_one_shape_keep_it_where_nobody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let root = at("plates");
    category(&root);
    let file = at("square.toml");
    fs::write(&file, "[view]\nkind = \"stretch\"\n").unwrap();
    let mut runs = 0;
    let mut told = |method: &str, more: &[&str]| {
        runs += 1;
        let run = at(&format!("run-{runs}"));
        let of = ["--method", method, "--profile", "smoke"];
        let first = ["train", path(&root), "--out", path(&run)];
        let (_, err) = succeed(&[&first[..], &of, more].concat());
        (err, run)
    };
    let (err, run) = told("forge", &[]);
    assert!(
        err.contains("long and of one shape") && err.contains("px (fit 160:96)"),
        "{err}"
    );
    assert_later_commands_know_it(&root, &run, &at("out"));
    // Whoever asks is heard, by an option or by a settings file.
    for more in [["--view", "stretch"], ["--config", path(&file)]] {
        let (err, _) = told("forge", &more);
        assert!(!err.contains("fit 160:96"), "{err}");
        assert!(!err.contains("squeezed into a square; "), "{err}");
    }
    // The paper's methods have the paper's square, and it is said what that does.
    let (err, _) = told("draem", &["--steps", "2"]);
    assert!(
        err.contains("squeezed into a square; `--view fit` keeps their shape"),
        "{err}"
    );
}
