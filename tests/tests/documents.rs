//! What the documents name exists: files behind links, and the tests that ARCHITECTURE.md promises.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::repository::root;

/// Files below a folder with one of the endings; build products and hidden folders are left out.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            let skipped = ["target", "out", "runs", "shared", "downloads"].contains(&name.as_str());
            if !skipped && !name.starts_with('.') {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn all(ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    files(&root(), ending, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// The targets of `[text](target)` that are paths inside the repository.
fn links(text: &str) -> Vec<&str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

/// The text between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for (path, text) in all(".md") {
        let folder = path.parent().unwrap();
        for target in links(&text) {
            if !folder.join(target).exists() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n  {}\n", dead.join("\n  "));
}

#[test]
fn the_tests_of_the_invariants_exist() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let start = page.find("## Invariants").expect("a section of invariants");
    let end = page.find("## Glossary").expect("a glossary after it");
    let sources = all(".rs");
    let tests: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1))
        .filter_map(|rest| Some(rest.split_once('(')?.0))
        .collect();
    let mut missing = Vec::new();
    for name in code(&page[start..end]) {
        let words = name.bytes().filter(|byte| *byte == b'_').count();
        let is_test = words >= 2
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
        let is_file = name.ends_with(".rs");
        let exists = (is_test && tests.contains(name))
            || (is_file && sources.iter().any(|(path, _)| path.ends_with(name)));
        if (is_test || is_file) && !exists {
            missing.push(name);
        }
    }
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md names what does not exist: {missing:?}"
    );
}

#[test]
fn the_rules_find_what_they_should() {
    assert_eq!(
        links("a [b](c.md#d) [e](https://f) [g](#h) [i](j/k)"),
        ["c.md", "j/k"]
    );
    assert_eq!(code("a `b` c `d_e`").collect::<Vec<_>>(), ["b", "d_e"]);
}
