//! Choices that outlast the process, so that a run that is repeated or continued computes the same bits.
//!
//! Engines differ in the order of their sums. Which one is fastest is measured, and two measurements need not agree. So
//! the first choice stays: in a file of the user's cache, a line a convolution. It is only ever appended to; lines that
//! make no sense are passed over, and the first of a name counts.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::plan::Choice;

/// Where the file is, unless this environment variable names another: `off` keeps choices in the process alone.
const VARIABLE: &str = "FLAWFORGE_CONVOLUTIONS";

/// What is known, by name.
struct Choices {
    file: Option<PathBuf>,
    known: HashMap<String, Choice>,
}

static CHOICES: Mutex<Option<Choices>> = Mutex::new(None);

/// The choice of a name, if one was made.
pub(super) fn find(name: &str) -> Option<Choice> {
    with(|choices| choices.known.get(name).cloned())
}

/// Keeps a choice for the process, and in the file. Where that cannot be written, a later process measures again, and may
/// choose another engine: its sums then have another order.
pub(super) fn keep(name: &str, choice: &Choice) {
    with(|choices| {
        choices.known.insert(name.to_owned(), choice.clone());
        if let Some(file) = &choices.file {
            let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
            let _ = folder.and_then(|()| {
                let mut file = OpenOptions::new().create(true).append(true).open(file)?;
                // In one call, so that processes do not mix their lines.
                file.write_all(line(name, choice).as_bytes())
            });
        }
    });
}

fn with<R>(f: impl FnOnce(&mut Choices) -> R) -> R {
    // Nothing is left half done when a thread fails here.
    let mut choices = CHOICES.lock().unwrap_or_else(PoisonError::into_inner);
    f(choices.get_or_insert_with(|| {
        let file = file();
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        Choices {
            file,
            known: read(&text.unwrap_or_default()),
        }
    }))
}

fn file() -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(off) if off == "off" => None,
        Some(file) => Some(file.into()),
        None => {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
            Some(cache.or_else(home)?.join("flawforge/convolutions.txt"))
        }
    }
}

fn line(name: &str, choice: &Choice) -> String {
    format!("{name}: {choice}\n")
}

fn read(text: &str) -> HashMap<String, Choice> {
    let mut known = HashMap::new();
    for line in text.lines() {
        if let Some((name, choice)) = line.rsplit_once(": ")
            && let Ok(choice) = choice.parse()
        {
            known.entry(name.to_owned()).or_insert(choice);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_name_counts_and_others_are_passed_over() {
        let first: Choice = "3 1=2".parse().unwrap();
        let text = line("a: b", &first) + &line("a: b", &"4".parse().unwrap()) + "c: x\nd: 5 2=";
        let known = read(&text);
        assert_eq!(known.len(), 1);
        assert_eq!(known["a: b"], first);
    }
}
