//! Rules for sources: module docs, lengths, leftovers, tests that run.
//!
//! Every rule is a function from text to offences, so that it can be tried on samples (at the bottom), and a
//! test that runs it over the repository and names every offence at once.

use std::collections::BTreeSet;

use crate::repository::{files, report};

/// Longest file in `crates/*/src` and `bindings/*/src`, in lines.
const LONGEST: usize = 500;

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

/// Test programs are named in manifests (`autotests = false`), so that several files make one: a file that none of them
/// names would never run.
#[test]
fn every_test_file_runs() {
    let sources = files(&[".rs", "Cargo.toml"]);
    let mut forgotten = Vec::new();
    for (path, manifest) in &sources {
        if !manifest.contains("autotests = false") {
            continue;
        }
        let Some(folder) = path.strip_suffix("Cargo.toml") else {
            continue;
        };
        let folder = format!("{folder}tests/");
        let main = sources
            .iter()
            .find(|(path, _)| *path == format!("{folder}main.rs"));
        let main = main.map_or("", |(_, text)| text.as_str());
        let inside = sources
            .iter()
            .filter_map(|(path, _)| path.strip_prefix(folder.as_str()));
        forgotten.extend(
            unnamed_tests(inside, manifest, main)
                .into_iter()
                .map(|name| format!("{folder}{name}")),
        );
    }
    report(
        "a test file is a module of `tests/main.rs` or a `[[test]]` of its own",
        forgotten,
    );
}

/// Those files of a `tests` folder, and folders in it, that neither the manifest nor `main.rs` names.
fn unnamed_tests<'a>(files: impl Iterator<Item = &'a str>, manifest: &str, main: &str) -> BTreeSet<&'a str> {
    files
        .filter_map(|file| file.split('/').next()?.split(".rs").next())
        .filter(|name| {
            *name != "main"
                && !manifest.contains(&format!("name = \"{name}\""))
                && !main.lines().any(|line| line == format!("mod {name};"))
        })
        .collect()
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
    let manifest = "[[test]]\nname = \"apart\"\n";
    let files = ["main.rs", "apart.rs", "one.rs", "lost.rs", "support/mod.rs"].into_iter();
    assert_eq!(
        unnamed_tests(files, manifest, "mod one;\nmod support;\n"),
        BTreeSet::from(["lost"])
    );
}
