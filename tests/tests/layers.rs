//! The layering of the crates: arrows run downward only, and the light ones know of no tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::repository::{files, report, root};

/// What each library builds on: arrows run downward only (ARCHITECTURE.md). A new member of the workspace
/// needs a line here, and with it a thought about its place.
const LIBRARIES: [(&str, &[&str]); 12] = [
    ("flawforge-files", &[]),
    ("flawforge-onnx", &[]),
    ("flawforge-resample", &[]),
    ("flawforge-masks", &["flawforge-resample"]),
    ("flawforge-augment", &["flawforge-resample", "flawforge-masks"]),
    ("flawforge-metrics", &[]),
    ("flawforge-datasets", &["flawforge-resample", "flawforge-masks"]),
    ("flawforge-ops", &[]),
    (
        "flawforge-models",
        &[
            "flawforge-files",
            "flawforge-onnx",
            "flawforge-resample",
            "flawforge-masks",
            "flawforge-ops",
            "flawforge-metrics",
        ],
    ),
    (
        "flawforge-pictures",
        &[
            "flawforge-files",
            "flawforge-augment",
            "flawforge-datasets",
            "flawforge-models",
        ],
    ),
    (
        "flawforge-training",
        &[
            "flawforge-files",
            "flawforge-onnx",
            "flawforge-resample",
            "flawforge-masks",
            "flawforge-augment",
            "flawforge-metrics",
            "flawforge-datasets",
            "flawforge-ops",
            "flawforge-models",
            "flawforge-pictures",
        ],
    ),
    (
        "flawforge-server",
        &[
            "flawforge-files",
            "flawforge-resample",
            "flawforge-augment",
            "flawforge-metrics",
            "flawforge-datasets",
            "flawforge-models",
            "flawforge-pictures",
            "flawforge-training",
        ],
    ),
];

/// The members above the libraries, in order: each may build on every library and on those before it.
const ABOVE: [&str; 3] = ["flawforge", "flawforge-lab", "xtask"];

/// Members that nothing builds on.
const LEAVES: [&str; 4] = [
    "flawforge-tests",
    "flawforge-benches",
    "flawforge-python",
    "flawforge-emulated-gpu",
];

/// Members for tests alone: they build on nothing, and only dev-dependencies name them.
const FOR_TESTS: [&str; 1] = ["flawforge-testing"];

/// What other people's crates import: built in seconds, and free of tensors.
const LIGHT: [&str; 6] = [
    "flawforge-files",
    "flawforge-onnx",
    "flawforge-resample",
    "flawforge-masks",
    "flawforge-augment",
    "flawforge-metrics",
];

/// The members of the workspace by name, with their manifests. The fuzz targets are a workspace of their own.
fn manifests() -> BTreeMap<String, toml::Table> {
    let members = files(&["Cargo.toml"]).into_iter();
    let members = members.filter(|(path, _)| !path.starts_with("fuzz/"));
    let parsed = members.filter_map(|(path, text)| {
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        Some((name, manifest))
    });
    parsed.collect()
}

/// Names of dependencies in the tables of one kind, those for single targets included.
fn dependencies(manifest: &toml::Table, kinds: &[&str]) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let for_targets = targets
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(for_targets)
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()))
        .flat_map(|table| {
            table.iter().map(|(key, value)| {
                let renamed = value
                    .as_table()
                    .and_then(|value| value.get("package"))
                    .and_then(toml::Value::as_str);
                renamed.unwrap_or(key).to_owned()
            })
        })
        .collect()
}

/// The members that a member may build on; `None` for one without a place.
fn allowed(name: &str) -> Option<BTreeSet<&'static str>> {
    if let Some((_, below)) = LIBRARIES.iter().find(|(library, _)| *library == name) {
        return Some(below.iter().copied().collect());
    }
    if FOR_TESTS.contains(&name) {
        return Some(BTreeSet::new());
    }
    let rank = if LEAVES.contains(&name) {
        ABOVE.len()
    } else {
        ABOVE.iter().position(|above| *above == name)?
    };
    Some(
        LIBRARIES
            .iter()
            .map(|(library, _)| *library)
            .chain(ABOVE[..rank].iter().copied())
            .collect(),
    )
}

fn upward_arrows(name: &str, dependencies: &BTreeSet<String>, members: &BTreeSet<String>) -> Vec<String> {
    let Some(allowed) = allowed(name) else {
        return vec![format!("{name} has no place in the layers of this test")];
    };
    dependencies
        .iter()
        .filter(|dependency| members.contains(*dependency) && !allowed.contains(dependency.as_str()))
        .map(|dependency| format!("{name} -> {dependency}"))
        .collect()
}

#[test]
fn arrows_run_downward_only() {
    let manifests = manifests();
    let members: BTreeSet<String> = manifests.keys().cloned().collect();
    assert!(
        members.len() >= LIBRARIES.len() + ABOVE.len() + LEAVES.len() + FOR_TESTS.len(),
        "{members:?}"
    );
    let arrows = manifests.iter().flat_map(|(name, manifest)| {
        upward_arrows(
            name,
            &dependencies(manifest, &["dependencies", "build-dependencies"]),
            &members,
        )
    });
    report("a crate builds on the layers below it only", arrows.collect());
}

#[test]
fn every_member_obeys_the_lints_of_the_workspace() {
    let without = manifests().into_iter().filter_map(|(name, manifest)| {
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        (inherits.and_then(toml::Value::as_bool) != Some(true)).then_some(name)
    });
    report("`[lints] workspace = true` in every manifest", without.collect());
}

/// The packages of a lock file: name to the names of what it needs (tests of members included).
fn locked(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let lock: toml::Table = lock.parse().unwrap();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let needs = package.get("dependencies").and_then(toml::Value::as_array);
        // "name", "name version" or "name version (source)"
        let names = needs
            .into_iter()
            .flatten()
            .filter_map(|need| need.as_str()?.split(' ').next());
        graph
            .entry(package["name"].as_str().unwrap().to_owned())
            .or_default()
            .extend(names.map(str::to_owned));
    }
    graph
}

/// The way from a package to the first one whose name begins with `prefix`.
fn way_to(graph: &BTreeMap<String, BTreeSet<String>>, from: &str, prefix: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::from([from.to_owned()]);
    let mut ways = vec![vec![from.to_owned()]];
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last.starts_with(prefix) {
            return Some(way);
        }
        for next in graph.get(last).into_iter().flatten() {
            if seen.insert(next.clone()) {
                ways.push(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}

#[test]
fn the_light_crates_do_not_know_of_tensors() {
    let graph = locked(&fs::read_to_string(root().join("Cargo.lock")).unwrap());
    assert!(
        way_to(&graph, "flawforge-ops", "candle").is_some(),
        "the lock file was not understood"
    );
    let ways = LIGHT.iter().filter_map(|light| {
        assert!(graph.contains_key(*light), "{light} is not in the lock file");
        way_to(&graph, light, "candle").map(|way| way.join(" -> "))
    });
    report("masks, augment and metrics build without candle", ways.collect());
}

#[test]
fn the_rules_for_layers_find_what_they_should() {
    let manifest: toml::Table = "[dependencies]\na = \"1\"\nb = { package = \"flawforge\", path = \"x\" }\n\
         [dev-dependencies]\nc = \"1\"\n[target.'cfg(unix)'.dependencies]\nd = \"1\"\n"
        .parse()
        .unwrap();
    let found = dependencies(&manifest, &["dependencies"]);
    assert_eq!(found, BTreeSet::from(["a", "d", "flawforge"].map(str::to_owned)));

    let members = BTreeSet::from(["flawforge", "flawforge-masks"].map(str::to_owned));
    assert_eq!(
        upward_arrows("flawforge-masks", &found, &members),
        ["flawforge-masks -> flawforge"]
    );
    assert_eq!(upward_arrows("xtask", &found, &members), [""; 0]);
    let testing = BTreeSet::from(["flawforge-testing".to_owned()]);
    for name in ["xtask", "flawforge-masks", "flawforge-testing"] {
        assert_eq!(upward_arrows(name, &testing, &testing).len(), 1, "{name}");
    }
    assert_eq!(upward_arrows("new", &found, &members).len(), 1);

    let graph = locked(
        "[[package]]\nname = \"a\"\ndependencies = [\"b 1.0.0\", \"c\"]\n[[package]]\nname = \"b\"\n\
         [[package]]\nname = \"c\"\ndependencies = [\"candle-core\"]\n[[package]]\nname = \"candle-core\"\n",
    );
    assert_eq!(way_to(&graph, "a", "candle").unwrap(), ["a", "c", "candle-core"]);
    assert_eq!(way_to(&graph, "b", "candle"), None);
}
