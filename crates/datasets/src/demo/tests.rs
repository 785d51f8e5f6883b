//! Tests of the generated data set as a whole.

use std::collections::HashSet;

use super::picture::VISIBLE;
use super::*;
use crate::{CategoryFiles, Limits};

/// 64-bit FNV-1a over the pixels and masks of a category.
fn fingerprint(category: &Category) -> u64 {
    let train: Vec<_> = category.train.iter().map(|t| t.image().expect("held")).collect();
    let train = train.iter().map(|image| image.as_raw().as_slice());
    let test = category
        .test
        .iter()
        .flat_map(|t| [t.image.as_raw().as_slice(), t.mask.pixels()]);
    train
        .chain(test)
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

fn square(side: u32) -> Loading {
    Loading::opencv(side, side)
}

fn all(size: u32, seed: u64) -> Vec<Category> {
    let generate = |name: &&str| category(name, &square(size), seed).expect("a demo category");
    CATEGORIES.iter().map(generate).collect()
}

/// A change here changes everybody's demo figures: say so where they are published.
#[test]
fn the_pictures_are_pinned() {
    let prints: Vec<u64> = all(48, 7).iter().map(fingerprint).collect();
    assert_eq!(
        prints,
        [
            0x5ba0_b319_6fb8_8e27,
            0x8600_90c7_479b_c08d,
            0xf9e7_ee5b_0276_5c09,
            0x22c9_70a2_da32_5655
        ],
        "{prints:#018x?}"
    );
}

#[test]
fn thread_count_changes_nothing_and_the_seed_everything() {
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a pool of one thread");
    let one = alone.install(|| category("gear", &square(32), 3)).expect("gear");
    let many = category("gear", &square(32), 3).expect("gear");
    assert_eq!(fingerprint(&one), fingerprint(&many));
    let other = category("gear", &square(32), 4).expect("gear");
    let images =
        |c: &Category| -> HashSet<[u8; 32]> { c.train.iter().map(|train| train.look().digest).collect() };
    assert!(images(&one).is_disjoint(&images(&other)));
}

#[test]
fn every_category_has_its_share_of_distinct_pictures() {
    for category in all(40, 0) {
        assert_eq!(category.train.len(), TRAIN);
        let good = category.test.iter().filter(|t| !t.is_defective()).count();
        assert_eq!(
            (good, category.test.len()),
            (TEST_GOOD, TEST_GOOD + TEST_DEFECTIVE)
        );
        let defects: HashSet<&str> = category.test.iter().map(|t| t.defect.as_str()).collect();
        assert!(defects.len() >= 4, "{}: {defects:?}", category.name);
        assert!(category.test.is_sorted_by(|a, b| a.name < b.name));
        // Normals differ from each other by more than their grain.
        for pair in category.train.windows(2) {
            let [a, b] = [0, 1].map(|place| pair[place].image().expect("held").into_owned().into_raw());
            let apart: f64 = a
                .iter()
                .zip(&b)
                .map(|(a, b)| f64::from(a.abs_diff(*b)))
                .sum::<f64>()
                / a.len() as f64;
            assert!(apart > 2.0, "{} {}: {apart}", category.name, pair[0].name);
        }
    }
}

#[test]
fn masks_are_there_and_bounded_at_every_size() {
    for (size, seed) in [(32, 0), (33, 1), (64, 0), (96, 5)] {
        for category in all(size, seed) {
            for test in &category.test {
                let covered = test.mask.coverage();
                if test.is_defective() {
                    assert!(
                        (0.001..0.25).contains(&covered),
                        "{} {} at {size}: {covered}",
                        category.name,
                        test.name
                    );
                } else {
                    assert!(test.mask.is_empty());
                }
                assert_eq!(test.mask, test.mask_half);
            }
        }
    }
}

fn check_twins<P: Product>(name: &str) {
    for defect in 0..P::DEFECTS.len() {
        for index in 0..3 {
            let picture = Picture::defective::<P>(96, 11, name, defect, index, 3);
            let twin = picture.twin.as_ref().expect("a defective picture has a twin");
            let apart = |x: u32, y: u32| {
                let (a, b) = (picture.image.get_pixel(x, y), twin.get_pixel(x, y));
                (0..3).map(|c| a[c].abs_diff(b[c])).max().unwrap_or(0)
            };
            // Both pictures carry the same grain, so rounding adds one level at most.
            let limit = (VISIBLE * 255.0) as u8 + 1;
            let mut largest = 0;
            for (x, y, _) in twin.enumerate_pixels() {
                if picture.mask.get(x, y) {
                    largest = largest.max(apart(x, y));
                } else {
                    assert!(
                        apart(x, y) <= limit,
                        "{name} {defect}/{index}: {} at {x}, {y}",
                        apart(x, y)
                    );
                }
            }
            assert!(largest >= 25, "{name} {defect}/{index}: at most {largest} levels");
        }
    }
}

#[test]
fn a_defect_changes_the_picture_inside_its_mask_and_nowhere_else() {
    check_twins::<connector::Connector>("connector");
    check_twins::<gear::Gear>("gear");
    check_twins::<weave::Weave>("weave");
    check_twins::<leather::Leather>("leather");
}

#[test]
fn exported_files_read_back_to_the_same_pixels() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    // A second export takes the place of the first and leaves nothing of it.
    export(dir.path(), &CATEGORIES, 32, 1).expect("export");
    std::fs::write(dir.path().join("gear/test/good/stale.png"), b"stale").expect("write");
    export(dir.path(), &CATEGORIES, 36, 2).expect("export again");
    let mut expected = CATEGORIES.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(crate::categories(dir.path()).expect("categories"), expected);
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("list").count(),
        CATEGORIES.len()
    );
    for name in CATEGORIES {
        let files = CategoryFiles::discover(&dir.path().join(name)).expect("discover");
        let read = Category::load(&files, &square(36), &Limits::default()).expect("load");
        let made = category(name, &square(36), 2).expect("category");
        assert_eq!(fingerprint(&read), fingerprint(&made), "{name}");
        for (read, made) in read.train.iter().zip(&made.train) {
            assert_eq!(read.name, made.name);
        }
        for (read, made) in read.test.iter().zip(&made.test) {
            assert_eq!((&read.name, &read.defect), (&made.name, &made.defect));
            assert_eq!((&read.mask, &read.mask_half), (&made.mask, &made.mask_half));
        }
    }
}

#[test]
fn a_wrong_name_or_size_is_told_in_one_line() {
    let name = category("bolt", &square(64), 0)
        .map(|c| c.name)
        .expect_err("no such category")
        .to_string();
    assert_eq!(
        name,
        "unknown category \"bolt\": there are connector, gear, weave, leather, sheet"
    );
    for size in [0, 31, 513] {
        let told = category("gear", &square(size), 0)
            .map(|c| c.name)
            .expect_err("no such size")
            .to_string();
        assert!(told.contains("32 to 512") && !told.contains('\n'), "{told}");
    }
}

#[test]
fn every_category_has_a_selection() {
    for name in CATEGORIES {
        assert!(selections_toml().contains(&format!("\n[{name}]\n")), "{name}");
    }
}
