//! `flawforge select`: what is proposed for categories whose answers are known, and what the command writes.

use crate::support;

use std::fs;
use std::process::Output;

use flawforge::augment::evidence::{Evidence, Proposal};
use flawforge::augment::{Fill, Kind, Selections};
use flawforge::datasets::{Category, CategoryFiles, Limits, Loading, demo};
use image::RgbImage;

/// Images of each category that are looked at.
const IMAGES: usize = 24;

fn propose(category: &Category) -> Proposal {
    let images = category.train.iter().take(IMAGES);
    let images: Vec<_> = images.map(|t| t.image().expect("held")).collect();
    let normals: Vec<&RgbImage> = images.iter().map(AsRef::as_ref).collect();
    let evidence = Evidence::measure(&normals).expect("enough images");
    let proposal = evidence.propose();
    println!("{}: {evidence:?}\n  {}", category.name, proposal.selection.reason);
    proposal
}

#[test]
fn the_demo_categories_get_the_selection_that_they_were_made_for() {
    let made_for = Selections::from_toml(demo::selections_toml()).unwrap();
    for name in demo::CATEGORIES {
        // Another seed than the one that the thresholds were set with.
        for (size, seed) in [(64, 7), (96, 0)] {
            let proposal = propose(&demo::category(name, &Loading::opencv(size, size), seed).unwrap());
            let (found, expected) = (&proposal.selection, made_for.get(name).unwrap());
            assert!(found.enabled().eq(expected.enabled()), "{name}: {}", found.reason);
            assert_eq!(found.texture, expected.texture, "{name}: {}", found.reason);
            assert_eq!(
                found.rotate_normals, expected.rotate_normals,
                "{name}: {}",
                found.reason
            );
            assert_eq!(found.fill, expected.fill, "{name}");
            let decided = proposal.orientation.fixed.is_some() && proposal.positions.fixed.is_some();
            assert!(decided, "{name}: {}", found.reason);
        }
    }
}

/// Evenly spaced normal images of a real category, if it is there.
fn real(folder: &str) -> Option<Category> {
    let root = flawforge_testing::data(folder)?;
    let mut files = CategoryFiles::discover(&root).unwrap();
    files.test.clear();
    let all = std::mem::take(&mut files.train);
    files.train = (0..IMAGES).map(|i| all[i * all.len() / IMAGES].clone()).collect();
    Some(Category::load(&files, &Loading::opencv(96, 96), &Limits::default()).unwrap())
}

#[test]
fn a_bottle_seen_from_above_is_symmetric_and_its_parts_have_their_place() {
    if let Some(bottle) = real("mvtec256/bottle") {
        let Proposal { selection, .. } = propose(&bottle);
        assert!(
            selection.enables(Kind::NearDistribution) && selection.rotate_normals,
            "{}",
            selection.reason
        );
        assert_eq!(selection.fill, Fill::Edge);
    }
}

#[test]
fn a_ground_tile_keeps_its_direction_and_cannot_be_bent() {
    if let Some(tile) = real("magnetic_tile") {
        let proposal = propose(&tile);
        let selection = &proposal.selection;
        assert!(
            !selection.enables(Kind::NearDistribution) && !selection.rotate_normals,
            "{}",
            selection.reason
        );
        assert_eq!(proposal.orientation.fixed, Some(true), "{}", selection.reason);
    }
}

fn flawforge(arguments: &[&str]) -> Output {
    support::command()
        .args(arguments)
        .output()
        .expect("the command starts")
}

#[test]
fn the_command_writes_a_selection_and_a_page_that_needs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (out, page) = (path("deep/selection.toml"), path("page.html"));
    let select = [
        "select", "--demo", "gear", "--size", "64", "--count", "2", "--out", &out, "--page", &page,
    ];
    let output = flawforge(&select);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let toml = fs::read_to_string(&out).unwrap();
    let selections = Selections::from_toml(&toml).unwrap();
    let gear = selections.get("gear").unwrap();
    assert!(
        gear.enables(Kind::NearDistribution) && gear.rotate_normals && gear.reason.contains("likeness"),
        "{toml}"
    );

    let html = fs::read_to_string(&page).unwrap();
    // Eight normals and their mean; two normals, samples and masks of three kinds; two normals and rotated ones.
    assert_eq!(html.matches("<img ").count(), 9 + 3 * 6 + 4);
    assert_eq!(
        html.matches("src=").count(),
        html.matches("src=\"data:image/").count()
    );
    for outside in ["http:", "https:", "<script", "<link", "href=", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
    for kind in ["transparent", "opaque", "near-distribution"] {
        assert!(
            html.contains(&format!("<h2>{kind} <span class=\"on\">")),
            "{kind}"
        );
    }
    for tag in ["div", "table", "tr", "td", "h2", "p", "pre", "span"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }

    // The same again changes nothing; what a person decided is not replaced.
    assert!(flawforge(&select).status.success());
    assert_eq!(fs::read_to_string(&page).unwrap(), html);
    let changed = toml.replacen("on = true", "on = false", 1);
    fs::write(&out, &changed).unwrap();
    let refused = flawforge(&select);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("exists with different contents"));
    assert_eq!(fs::read_to_string(&out).unwrap(), changed);

    // Without files, the selection is printed, and the other commands read it.
    let printed = flawforge(&["select", "--demo", "gear", "--size", "64"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), toml);
    fs::write(&out, &printed.stdout).unwrap();
    let sheet = path("sheet.png");
    let simulate = [
        "simulate",
        "--demo",
        "gear",
        "--selection",
        &out,
        "--size",
        "64",
        "--count",
        "1",
        "--out",
        &sheet,
    ];
    assert!(flawforge(&simulate).status.success());
}

#[test]
fn too_few_images_are_a_fault_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let normal = dir.path().join("plates/normal");
    fs::create_dir_all(&normal).unwrap();
    for index in 0..3 {
        RgbImage::new(40, 40)
            .save(normal.join(format!("{index}.png")))
            .unwrap();
    }
    let output = flawforge(&["select", dir.path().join("plates").to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("`plates`") && told.contains("at least 4 normal images, not from 3"),
        "{told}"
    );
}
