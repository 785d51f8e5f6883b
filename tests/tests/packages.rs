//! Every library can be packaged: its manifest says what a registry asks for, and what it embeds lies in it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::repository::root;

fn manifest(path: &Path) -> toml::Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of the crates that are published: all of `crates/` but those that say `publish.workspace = true`,
/// which is `false`.
fn published() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| {
            let manifest = manifest(&folder.join("Cargo.toml"));
            manifest["package"].get("publish").is_none()
        })
        .collect();
    folders.sort();
    assert!(folders.len() >= 9, "{folders:?}");
    folders
}

#[test]
fn manifests_say_what_a_registry_asks_for() {
    let mut missing = Vec::new();
    for folder in published() {
        let manifest = manifest(&folder.join("Cargo.toml"));
        let package = &manifest["package"];
        let keys = [
            "description",
            "documentation",
            "keywords",
            "categories",
            "license",
            "repository",
        ];
        for key in keys.iter().filter(|key| package.get(key).is_none()) {
            missing.push(format!("{}: {key}", folder.display()));
        }
        if package.get("readme").is_none() || !folder.join("README.md").is_file() {
            missing.push(format!("{}: README.md", folder.display()));
        }
        if package
            .get("metadata")
            .and_then(|table| table.get("docs"))
            .is_none()
        {
            missing.push(format!("{}: [package.metadata.docs.rs]", folder.display()));
        }
    }
    assert!(missing.is_empty(), "missing:\n  {}\n", missing.join("\n  "));
}

#[test]
fn published_crates_stand_beside_their_versions() {
    let workspace = manifest(&root().join("Cargo.toml"));
    let version = &workspace["workspace"]["package"]["version"];
    let dependencies = workspace["workspace"]["dependencies"].as_table().unwrap();
    for folder in published() {
        let name = manifest(&folder.join("Cargo.toml"))["package"]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let dependency = dependencies.get(&name);
        assert!(
            dependency.is_some_and(|dependency| dependency.get("version") == Some(version)),
            "{name} needs version = {version} beside its path in [workspace.dependencies]"
        );
    }
}

/// The paths in `include_str!("…")` and `include_bytes!("…")`.
fn embedded(text: &str) -> Vec<&str> {
    ["include_str!(\"", "include_bytes!(\""]
        .iter()
        .flat_map(|start| text.split(start).skip(1))
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

/// How far a path from a file in `depth` folders leads out of them; 0 for one that stays inside.
fn outside(path: &str, depth: usize) -> usize {
    let up = Path::new(path)
        .components()
        .take_while(|component| *component == Component::ParentDir)
        .count();
    up.saturating_sub(depth)
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn what_a_crate_embeds_lies_in_it() {
    let mut offences = Vec::new();
    for folder in published() {
        let mut files = Vec::new();
        sources(&folder, &mut files);
        for file in files {
            let depth = file.strip_prefix(&folder).unwrap().components().count() - 1;
            for path in embedded(&fs::read_to_string(&file).unwrap()) {
                if outside(path, depth) > 0 {
                    offences.push(format!("{}: {path}", file.display()));
                }
            }
        }
    }
    assert!(
        offences.is_empty(),
        "outside of the package:\n  {}\n",
        offences.join("\n  ")
    );
}

#[test]
fn the_rules_find_what_they_should() {
    let text = format!("{}(\"../a.toml\") {}(\"b.cu\")", "include_str!", "include_bytes!");
    assert_eq!(embedded(&text), ["../a.toml", "b.cu"]);
    assert_eq!(
        (
            outside("../a.toml", 1),
            outside("../../a.toml", 1),
            outside("b", 0)
        ),
        (0, 1, 0)
    );
}
