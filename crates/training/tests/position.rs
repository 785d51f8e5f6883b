//! Forge where the place of a patch counts: what lies at a wrong place is found, in windows too, and images are added.

use std::path::Path;

use crate::support::{quiet, textures};
use flawforge_augment::Selection;
use flawforge_datasets::{Category, TrainImage};
use flawforge_training::{Experiment, Method, Overrides, Product, Profile, Run, add_normals, train};
use image::{Rgb, RgbImage};

/// A run of distances at its sizes alone.
fn experiment(overrides: &str) -> flawforge_training::Result<Experiment> {
    let product = Product::new("board", Selection::default());
    let mut experiment = Experiment::new(Method::Forge, &Profile::builtin("smoke").unwrap(), &product, 0)?
        .with(&Overrides::from_toml(overrides, "the test").unwrap())?;
    if let Some(settings) = experiment.settings.forge_mut() {
        settings.forge.head.simulated = 0;
        settings.forge.details = None;
    }
    Ok(experiment)
}

/// Grain that differs from picture to picture.
fn grain(x: u32, y: u32, number: u32) -> u32 {
    ((x * 31 + y * 17 + number * 7) ^ (x * y)) % 9
}

/// A white and a black square on grey, in one of two orders: as large as what the method sees at once.
fn board(number: u32, swapped: bool) -> RgbImage {
    RgbImage::from_fn(96, 96, |x, y| {
        let level = match (x / 32, y / 32) {
            (0, 1) if swapped => 20,
            (2, 1) if swapped => 230,
            (0, 1) => 230,
            (2, 1) => 20,
            _ => 120,
        };
        Rgb([(level + grain(x, y, number)) as u8; 3])
    })
}

/// Twice as wide: each half has one of the squares in its middle, so that either order shows the same two halves.
fn pair(number: u32, swapped: bool) -> RgbImage {
    RgbImage::from_fn(192, 96, |x, y| {
        let level = match (x % 96 / 32, y / 32, (x < 96) == swapped) {
            (1, 1, true) => 20,
            (1, 1, false) => 230,
            _ => 120,
        };
        Rgb([(level + grain(x % 96, y, number)) as u8; 3])
    })
}

type Picture = fn(u32, bool) -> RgbImage;

fn pictures(numbers: std::ops::Range<u32>, swapped: bool, picture: Picture) -> Category {
    let train = numbers.map(|number| TrainImage::new(format!("{number}"), picture(number, swapped)));
    Category {
        name: "board".to_owned(),
        train: train.collect(),
        ..Category::default()
    }
}

/// Windows that see one half of a pair each.
const TILES: &str = "[view]\nkind = \"tiles\"\noverlap = 0.0\n";

fn trained(overrides: &str, picture: Picture, dir: &Path) -> Run {
    let experiment = experiment(overrides).unwrap();
    train(
        &experiment,
        &pictures(0..12, false, picture),
        textures(),
        dir,
        &quiet(),
    )
    .unwrap();
    Run::open(dir).unwrap()
}

/// A run whose banks hold all patches: what counts as near is then near in place too.
fn dense(position: f32, view: &str, picture: Picture, dir: &Path) -> Run {
    let overrides = format!("[forge]\nposition = {position:.1}\nvectors = 4000\ncandidates = 5000\n{view}");
    trained(&overrides, picture, dir)
}

fn score(run: &Run, image: &RgbImage) -> f32 {
    run.detector().unwrap().detect(&[image]).unwrap()[0].score
}

fn highest_normal(run: &Run) -> f32 {
    let calibrated = run.calibrated().unwrap();
    calibrated.normal().map(|one| one.score).fold(f32::MIN, f32::max)
}

/// Tensors of a run that are of positions.
fn positions(run: &Run) -> usize {
    let tensors = candle_core::safetensors::load(run.file(), &candle_core::Device::Cpu).unwrap();
    let names = tensors.into_keys().filter(|name| name.contains("position"));
    names.count()
}

#[test]
fn what_lies_at_a_wrong_place_is_found_until_it_is_added() {
    let out = tempfile::tempdir().unwrap();
    let cases: [(&str, Picture); 2] = [("", board), (TILES, pair)];
    for (number, (view, picture)) in cases.into_iter().enumerate() {
        let dir = |name: &str| out.path().join(format!("{name}-{number}"));
        let (without, with) = (
            dense(0.0, view, picture, &dir("without")),
            dense(20.0, view, picture, &dir("with")),
        );
        let swapped = picture(40, true);
        let [before, now] = [&without, &with].map(|run| score(run, &swapped) / highest_normal(run));
        println!("{view:?}: {before} {now}");
        assert!(now > 2.0 && now > 1.2 * before, "{view}: {before} {now}");
        // Nothing but its place tells what is moved from one window to another.
        assert!(view.is_empty() || before < 1.1, "{view}: {before}");
        // Files of runs without it are those of before.
        assert_eq!((positions(&without), positions(&with)), (0, 2));
        add_normals(&with, &pictures(50..56, true, picture), "a folder", &dir("more")).unwrap();
        let more = Run::open(&dir("more")).unwrap();
        assert_eq!(positions(&more), 2);
        let later = score(&more, &swapped);
        println!("{view:?}: {} {later}", score(&with, &swapped));
        assert!(later < 0.5 * score(&with, &swapped), "{view}: {later}");
    }
}

#[test]
fn a_tiled_image_that_fits_one_tile_has_the_map_of_the_untiled_one() {
    let out = tempfile::tempdir().unwrap();
    let [whole, tiled] = [("whole", ""), ("tiled", TILES)].map(|(name, view)| {
        let run = dense(3.0, view, board, &out.path().join(name));
        let mut found = run.detector().unwrap().detect(&[&board(40, true)]).unwrap();
        let map = found.remove(0).map;
        map.resized(96, 96)
    });
    assert_eq!(whole, tiled);
    assert!(whole.scores.iter().any(|&score| score > 1.0));
}

#[test]
fn threads_change_nothing_in_windows() {
    let out = tempfile::tempdir().unwrap();
    let found = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let overrides = format!("[forge]\nposition = 2.0\n{TILES}");
            let run = trained(&overrides, pair, &out.path().join(threads.to_string()));
            let detector = run.detector().unwrap();
            let found = detector.detect(&[&pair(40, true)]).unwrap().remove(0);
            let scores: Vec<f32> = run
                .calibrated()
                .unwrap()
                .scores
                .iter()
                .map(|one| one.score)
                .collect();
            (found.map, scores)
        })
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn every_view_takes_it_whatever_the_sizes_of_images() {
    let out = tempfile::tempdir().unwrap();
    for (number, view) in [
        "kind = \"fit\"\naspect = [4, 3]",
        "kind = \"tiles\"\nscale = 1.0\nwhole = true",
    ]
    .into_iter()
    .enumerate()
    {
        let experiment = experiment(&format!("[forge]\nposition = 1.0\n[view]\n{view}")).unwrap();
        let mut category = pictures(0..4, false, board);
        category.train.extend(pictures(4..8, false, pair).train);
        let dir = out.path().join(number.to_string());
        train(&experiment, &category, textures(), &dir, &quiet()).unwrap();
        let detector = Run::open(&dir).unwrap().detector().unwrap();
        for image in [board(9, false), pair(9, false)] {
            let found = detector.inspect(&[&image]).unwrap().remove(0);
            assert_eq!((found.map.width, found.map.height), image.dimensions(), "{view}");
            assert!(found.map.scores.iter().all(|score| score.is_finite()), "{view}");
        }
    }
}

#[test]
fn a_share_out_of_range_is_refused_in_one_line() {
    for overrides in ["[forge]\nposition = -0.5", "[forge]\nposition = 1000.0"] {
        let fault = match experiment(overrides) {
            Err(fault) => fault.to_string(),
            Ok(experiment) => {
                let out = tempfile::tempdir().unwrap();
                let category = pictures(0..4, false, board);
                let fault = train(&experiment, &category, textures(), out.path(), &quiet());
                fault.unwrap_err().to_string()
            }
        };
        assert!(
            fault.contains("forge.position") && !fault.contains('\n'),
            "{overrides}: {fault}"
        );
    }
}

/// Pixels of a cell.
const CELL: u32 = 64;

/// Nine cells of one look each: every look in its own cell, or in any.
fn cells(number: u32, everywhere: bool) -> RgbImage {
    let look = |cell: u32| match everywhere {
        true => (cell * [1, 2, 4, 5, 7, 8][number as usize % 6] + number) % 9,
        false => cell,
    };
    RgbImage::from_fn(3 * CELL, 3 * CELL, |x, y| {
        let look = look(x / CELL + 3 * (y / CELL));
        let grain = ((x * 31 + y * 17 + number * 7) ^ (x * y)) % 9;
        let line = match (x + look * y) % (4 + look) {
            0 => 60,
            _ => 0,
        };
        Rgb([(40 + 15 * look + grain + line) as u8; 3])
    })
}

#[test]
fn normal_images_choose_whether_places_count() {
    let out = tempfile::tempdir().unwrap();
    let chosen = |everywhere: bool, overrides: &str| {
        let train_images =
            (0..16).map(|number| TrainImage::new(format!("{number}"), cells(number, everywhere)));
        let category = Category {
            name: "board".to_owned(),
            train: train_images.collect(),
            ..Category::default()
        };
        let dir = out.path().join(format!("{everywhere}-{}", overrides.len()));
        train(
            &experiment(overrides).unwrap(),
            &category,
            textures(),
            &dir,
            &quiet(),
        )
        .unwrap();
        positions(&Run::open(&dir).unwrap())
    };
    // A patch is small beside a cell, and there are many.
    let fine = "[forge]\nsides = [192]\ncandidates = 4000";
    assert_eq!(chosen(false, fine), 1);
    assert_eq!(chosen(true, fine), 0);
    assert_eq!(chosen(false, &format!("{fine}\nposition = 0")), 0);
    // Windows know their places too.
    let tiles = "[forge]\nsides = [96]\ncandidates = 4000\n[view]\nkind = \"tiles\"\n";
    assert_eq!(chosen(false, tiles), 1);
    assert_eq!(chosen(true, tiles), 0);
}
