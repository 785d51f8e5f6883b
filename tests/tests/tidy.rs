//! Rules of the repository, as tests: module docs, file sizes, the layering of the crates, leftovers.
//!
//! Every rule is a function from text to offences, so that it can be tried on samples (at the bottom), and a
//! test that runs it over the repository and names every offence at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file in `crates/*/src` and `bindings/*/src`, in lines.
const LONGEST: usize = 500;

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
const LEAVES: [&str; 3] = ["flawforge-tests", "flawforge-benches", "flawforge-python"];

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

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files of the repository with one of the endings, by their path from its root. Build products, results
/// and downloads are left out.
fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let from_root = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .replace('\\', "/");
            let skipped = ["target", ".git", "out", "runs", "shared"].contains(&name.as_str());
            if path.is_dir() && !path.is_symlink() && !skipped && from_root != "data/downloads" {
                folders.push(path);
            } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
                found.push((from_root, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// `crates/NAME/src/...` and `bindings/NAME/src/...`: what users run, as opposed to tests and examples.
fn is_library(path: &str) -> bool {
    ["crates/", "bindings/"]
        .iter()
        .any(|folder| path.starts_with(folder))
        && path.split('/').nth(2) == Some("src")
}

/// The files of the modules that a file declares with `#[cfg(test)] mod name;`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let tests = test_lines(text);
    let folder = path
        .strip_suffix("/mod.rs")
        .or_else(|| path.strip_suffix("/lib.rs"))
        .or_else(|| path.strip_suffix(".rs"))
        .unwrap_or(path);
    (1..)
        .zip(text.lines())
        .filter(|(number, _)| tests.contains(number))
        .filter_map(|(_, line)| line.trim().strip_prefix("mod ")?.strip_suffix(';'))
        .flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")])
        .collect()
}

fn report(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}\n", offences.join("\n  "));
}

/// Runs a rule for lines over the sources and names the line of every offence.
fn report_lines(rule: &str, chosen: impl Fn(&str) -> bool, offences: impl Fn(&str) -> Vec<usize>) {
    let sources = files(&[".rs"]);
    assert!(
        sources.iter().filter(|(path, _)| chosen(path)).count() > 10,
        "the sources were not found"
    );
    let all = sources
        .iter()
        .filter(|(path, _)| chosen(path))
        .flat_map(|(path, text)| {
            offences(text)
                .into_iter()
                .map(move |line| format!("{path}:{line}"))
        });
    report(rule, all.collect());
}

// ---------------------------------------------------------------------------------------------- sources

#[test]
fn every_source_file_says_what_it_is() {
    report_lines(
        "a source file starts with a module doc (`//!`)",
        |_| true,
        missing_module_doc,
    );
}

fn missing_module_doc(text: &str) -> Vec<usize> {
    if text.trim_start().starts_with("//! ") {
        vec![]
    } else {
        vec![1]
    }
}

#[test]
fn no_source_file_is_too_long() {
    let long = files(&[".rs"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(path, lines)| is_library(path) && *lines > LONGEST)
        .map(|(path, lines)| format!("{path}: {lines} lines"));
    report(
        &format!("a file has one concept and at most {LONGEST} lines"),
        long.collect(),
    );
}

#[test]
fn nothing_is_left_undone() {
    report_lines(
        "no unfinished code, debugging output or ignored tests",
        |_| true,
        leftovers,
    );
}

fn leftovers(text: &str) -> Vec<usize> {
    // Put together here, so that this file does not accuse itself.
    let marks = [
        ["to", "do!("],
        ["unimple", "mented!("],
        ["d", "bg!("],
        ["#[ig", "nore"],
    ]
    .map(|parts| parts.concat());
    code_lines(text)
        .filter(|(_, line)| marks.iter().any(|mark| line.contains(mark.as_str())))
        .map(|(number, _)| number)
        .collect()
}

#[test]
fn libraries_do_not_unwrap() {
    let sources = files(&[".rs"]);
    let tests: BTreeSet<String> = sources
        .iter()
        .flat_map(|(path, text)| test_modules(path, text))
        .collect();
    report_lines(
        "no unwrap outside tests without a `// unwrap:` that says why",
        |path| is_library(path) && !tests.contains(path),
        unwraps,
    );
}

fn unwraps(text: &str) -> Vec<usize> {
    let tests = test_lines(text);
    let lines: Vec<&str> = text.lines().collect();
    code_lines(text)
        .filter(|(number, line)| {
            let above = number.checked_sub(2).map_or("", |index| lines[index]);
            line.contains(".unwrap()")
                && !tests.contains(number)
                && !line.contains("// unwrap:")
                && !above.trim_start().starts_with("// unwrap:")
        })
        .map(|(number, _)| number)
        .collect()
}

/// The lines that are not comments, counted from 1.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The lines of items behind `#[cfg(test)]`. Formatted code is assumed: an item ends at the first line that
/// has its own indentation and closes a brace, or with a semicolon on its first line.
fn test_lines(text: &str) -> BTreeSet<usize> {
    let mut tests = BTreeSet::new();
    let mut end: Option<String> = None; // how the line begins that ends the item
    let mut awaiting_item = false;
    for (number, line) in (1..).zip(text.lines()) {
        let indentation = &line[..line.len() - line.trim_start().len()];
        if let Some(closing) = &end {
            tests.insert(number);
            if line.starts_with(closing.as_str()) {
                end = None;
            }
        } else if line.trim_start().starts_with("#[cfg(test)]") {
            awaiting_item = true;
            tests.insert(number);
        } else if awaiting_item {
            tests.insert(number);
            if line.trim_end().ends_with('{') {
                end = Some(format!("{indentation}}}"));
            }
            awaiting_item = line.trim_start().starts_with("#[");
        }
    }
    tests
}

#[test]
fn no_text_depends_on_somebodys_machine() {
    // Put together here, so that this file does not accuse itself.
    let marks = [["/ho", "me/"], ["/wo", "rk/"], ["/Us", "ers/"], ["/ro", "ot/"]].map(|parts| parts.concat());
    let mut offences = Vec::new();
    for (path, text) in files(&[
        ".rs", ".md", ".toml", ".py", ".pyi", ".sh", ".yml", ".json", "run", "python",
    ]) {
        for (number, line) in (1..).zip(text.lines()) {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                offences.push(format!("{path}:{number}"));
            }
        }
    }
    report("no absolute path of one machine", offences);
}

// ---------------------------------------------------------------------------------------------- layers

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

// ---------------------------------------------------------------------------------------------- the rules

#[test]
fn the_rules_for_sources_find_what_they_should() {
    assert_eq!(missing_module_doc("//! What it is.\n"), [0usize; 0]);
    assert_eq!(missing_module_doc("use std::fs;\n//! Late.\n"), [1]);
    assert_eq!(
        leftovers(&["fn f() {\n    to", "do!()\n}\n// d", "bg!(1)\n#[ig", "nore]\n"].concat()),
        [2, 5]
    );

    let text = "\
fn f() {
    a.unwrap();
    b.unwrap(); // unwrap: b was just put there
    // unwrap: so was c
    c.unwrap();
    /// d.unwrap()
}
#[cfg(test)]
use e;
fn g() { f.unwrap() }
#[cfg(test)]
mod tests {
    fn h() {
        i.unwrap();
    }
}
fn j() { k.unwrap() }
";
    assert_eq!(unwraps(text), [2, 10, 17]);
    let parent = "#[cfg(test)]\nmod golden;\nmod other;\n";
    assert_eq!(
        test_modules("a/mod.rs", parent),
        ["a/golden.rs", "a/golden/mod.rs"]
    );
    assert_eq!(
        test_modules("a/b.rs", parent),
        ["a/b/golden.rs", "a/b/golden/mod.rs"]
    );
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
