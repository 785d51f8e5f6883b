//! The doors under seeded mutations of the fuzz targets' seeds: no coverage, and no tool but this one.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::Trial;
use super::doors::{Door, Seen};
use super::outcome::Report;
use super::program::Running;

/// Longest time that a door may take for a small file.
const SLOW: Duration = Duration::from_secs(10);
/// Address space of a process that tries a door, in bytes: what needs more was not bounded.
const SPACE: u64 = 16 << 30;
/// Longest input, bytes.
const LONGEST: usize = 1 << 16;
/// What the process that tries a door writes when it found something.
const FOUND: &str = "FOUND ";
/// What it writes in the end: how often it tried.
const TRIED: &str = "TRIED ";

/// Each door for its share of the time, in a process of its own: one that dies is a finding with its input.
pub(super) fn run(trial: &mut Trial<'_>, report: &mut Report) -> Result<()> {
    let share = trial.until.saturating_duration_since(Instant::now()) / Door::ALL.len() as u32;
    for door in Door::ALL {
        let mut command = Command::new(&trial.programs.xtask);
        if Command::new("prlimit").arg("--version").output().is_ok() {
            command = Command::new("prlimit");
            command
                .arg(format!("--as={SPACE}"))
                .arg("--core=0")
                .arg(&trial.programs.xtask);
        }
        command.args([
            "campaign",
            "--door",
            door.name(),
            "--seed",
            &trial.seed.to_string(),
        ]);
        command.args(["--seconds", &share.as_secs_f64().to_string()]);
        command.arg("--out").arg(trial.out).env("TMPDIR", trial.folder);
        let ended = Running::start(&mut command)?.end(share + Duration::from_secs(120))?;
        let counts = ended.said.lines().rev().find_map(|line| line.strip_prefix(TRIED));
        let numbers: Vec<u64> = counts
            .iter()
            .flat_map(|text| text.split(' '))
            .flat_map(str::parse)
            .collect();
        if let [tried, taken] = numbers[..] {
            *report.tried.entry(door.name().to_owned()).or_default() += tried;
            report.figures.insert(format!("{door}: taken"), taken as f64);
        }
        for found in ended.said.lines().filter_map(|line| line.strip_prefix(FOUND)) {
            report.find(format!("{door}: {found}"), &again(trial, door));
        }
        if !ended.is_good() {
            let input = last_input(trial.out, door);
            let what = format!(
                "{door}: the process ends with {} at {}: {}",
                ended.how(),
                input.display(),
                ended.last()
            );
            report.find(what, &again(trial, door));
        }
    }
    Ok(())
}

fn again(trial: &Trial<'_>, door: Door) -> String {
    format!(
        "cargo xtask campaign --door {door} --seed {} --seconds 60",
        trial.seed
    )
}

fn last_input(out: &Path, door: Door) -> PathBuf {
    out.join(format!("{door}.last"))
}

/// Tries a door in this process.
pub(super) fn inside(door: Door, time: Duration, seed: u64, out: &Path) -> Result<()> {
    fs::create_dir_all(out)?;
    let seeds = seeds(door)?;
    let mut random = StdRng::seed_from_u64(seed ^ (door as u64) << 40);
    std::panic::set_hook(Box::new(|_| {}));
    let (mut tried, mut taken, mut found) = (0u64, 0u64, 0);
    let mut seeds_left = seeds.len();
    let until = Instant::now() + time;
    // The seeds as they are come first.
    while (seeds_left > 0 || Instant::now() < until) && found < 5 {
        let bytes = match seeds_left.checked_sub(1) {
            Some(seed) => seeds[seed].clone(),
            None => mutated(&seeds, &mut random),
        };
        seeds_left = seeds_left.saturating_sub(1);
        // Whoever dies of it leaves it.
        fs::write(last_input(out, door), &bytes)?;
        let begun = Instant::now();
        let seen = catch_unwind(AssertUnwindSafe(|| door.try_with(&bytes)));
        tried += 1;
        let fault = match seen {
            Ok(Ok(seen)) => {
                taken += u64::from(seen == Seen::Taken);
                (begun.elapsed() > SLOW).then(|| format!("it takes {:.1} s", begun.elapsed().as_secs_f64()))
            }
            Ok(Err(finding)) => Some(finding),
            Err(panic) => Some(format!("a panic: {}", words_of(panic.as_ref()))),
        };
        if let Some(fault) = fault {
            let kept = out.join(format!("{door}-{found}.found"));
            fs::write(&kept, &bytes)?;
            eprintln!("{FOUND}{fault} ({})", kept.display());
            found += 1;
        }
    }
    fs::remove_file(last_input(out, door))?;
    eprintln!("{TRIED}{tried} {taken}");
    Ok(())
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "without a word".to_owned())
}

/// The seeds of a door, those of the repository.
fn seeds(door: Door) -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(door.name());
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    if paths.is_empty() {
        bail!("{}: no seeds", folder.display());
    }
    paths
        .iter()
        .map(|path| fs::read(path).with_context(|| path.display().to_string()))
        .collect()
}

/// A seed with a few changes: bits, bytes, numbers, pieces that are cut, doubled or taken from another seed.
fn mutated(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=6) {
        if bytes.is_empty() {
            bytes.push(random.random());
        }
        let at = random.random_range(0..bytes.len());
        let length = random.random_range(1..=32.min(bytes.len() - at));
        match random.random_range(0..9) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'-', b'9'][random.random_range(0..9)],
            3 => {
                let number = [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0xffff, 0x1_0000]
                    [random.random_range(0..7)];
                let number = if random.random() {
                    number.to_le_bytes()
                } else {
                    number.to_be_bytes()
                };
                for (to, from) in bytes[at..].iter_mut().zip(number) {
                    *to = from;
                }
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..at + length)),
            6 => {
                let piece = bytes[at..at + length].to_vec();
                bytes.splice(at..at, piece);
            }
            7 => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let from = random.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let piece: Vec<u8> = (0..length).map(|_| random.random()).collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_has_seeds_and_takes_one_of_them() {
        for door in Door::ALL.into_iter().filter(|door| *door != Door::Request) {
            let seen: Vec<Seen> = seeds(door)
                .unwrap()
                .iter()
                .map(|seed| {
                    door.try_with(seed)
                        .unwrap_or_else(|finding| panic!("{door}: {finding}"))
                })
                .collect();
            // A checkpoint of a few kilobytes opens, and lacks what detects.
            assert!(
                door == Door::Checkpoint || seen.contains(&Seen::Taken),
                "{door}: {seen:?}"
            );
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_mutations() {
        let seeds = [b"hello".to_vec(), b"world, and more of it".to_vec()];
        let made = || {
            let mut random = StdRng::seed_from_u64(5);
            (0..50).map(|_| mutated(&seeds, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(made(), made());
        assert!(made().iter().any(|bytes| !seeds.contains(bytes)));
    }
}
