//! One set of build products: what is built for a command serves the tests, and the other way round.
//!
//! Cargo builds a crate once for each set of its features, and the set depends on what is built with it. Where a command selects one
//! package, its crates must have no other features than in the whole workspace, or nearly everything is built a second time.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Commands that select one package: `cargo xtask`, and the wheel that maturin builds.
const SELECTED: [&str; 2] = ["xtask", "flawforge-python"];

/// Every crate with its features, of a selection of packages.
fn crates(edges: &str, selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none"])
        .args(["--edges", edges, "--format", "{p} {f}"])
        .args(selection)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {complaints}");
    let text = String::from_utf8(output.stdout).unwrap();
    // What was shown before is marked.
    let plain = |line: &str| line.trim_end_matches("(*)").trim_end().to_owned();
    text.lines().map(plain).collect()
}

#[test]
fn a_single_package_is_built_from_what_the_workspace_is_built_from() {
    let all = crates("normal,build,dev", &["--workspace"]);
    assert!(all.iter().any(|name| name.starts_with("candle-core ")), "{all:?}");
    for package in SELECTED {
        let own = crates("normal,build", &["--package", package]);
        assert!(own.iter().any(|name| name.starts_with("candle-core ")), "{own:?}");
        let others: Vec<&String> = own.difference(&all).collect();
        assert!(
            others.is_empty(),
            "{package} is built with other features than the workspace; xtask/Cargo.toml shows how they are made the same: {others:?}"
        );
    }
}
