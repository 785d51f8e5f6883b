//! Doors for texts and archives: selections, settings, results, downloads.

use std::fs;
use std::path::Path;

use flawforge::augment::Selection;
use flawforge::fault::in_one_line;
use flawforge::source::Images;
use flawforge::training::{Experiment, Method, Overrides, Product, Profile};
use flawforge_lab::cell::{self, Provenance};

use super::{Finding, Seen, refused, scratch};
use crate::download::{Bounds, DataSet, Show, unpack};

/// Most files and bytes that come out of an archive here.
const BOUNDS: Bounds = Bounds {
    files: 64,
    bytes: 1 << 20,
};

pub(super) fn selection(bytes: &[u8]) -> Result<Seen, Finding> {
    let path = scratch::file("given.toml", bytes)?;
    let images = Images::Single("part".into());
    let selection = match images.selection("part", Some(&path)) {
        Ok(selected) => selected.selection,
        Err(fault) => return refused(&in_one_line(&fault), "given.toml"),
    };
    match selection
        .enabled()
        .find(|(_, weight)| *weight <= 0.0 || weight.is_nan())
    {
        Some((kind, weight)) => Err(format!("{kind} came through with weight {weight}")),
        None => Ok(Seen::Taken),
    }
}

/// Settings are taken, made into a run's settings, checked, written and read back.
pub(super) fn settings(bytes: &[u8]) -> Result<Seen, Finding> {
    let text = String::from_utf8_lossy(bytes);
    let overrides = match Overrides::from_toml(&text, "given.toml") {
        Ok(overrides) => overrides,
        Err(fault) => return refused(&fault.to_string(), "given.toml"),
    };
    let mut seen = Seen::Refused;
    for method in [Method::LinYan, Method::Nsa, Method::PatchCore, Method::Forge] {
        let known = |fault: flawforge::training::TrainingError| fault.to_string();
        let profile = Profile::builtin("smoke").map_err(known)?;
        let product = Product::new("part", Selection::default());
        let experiment = Experiment::new(method, &profile, &product, 0).map_err(known)?;
        let changed = experiment
            .with(&overrides)
            .and_then(|changed| changed.validate().map(|()| changed));
        let changed = match changed {
            Ok(changed) => changed,
            Err(fault) => {
                refused(&fault.to_string(), "")?;
                continue;
            }
        };
        let written = changed
            .to_toml()
            .map_err(|fault| format!("settings that were taken cannot be written: {fault}"))?;
        let back = Experiment::from_toml(&written, "written.toml")
            .map_err(|fault| format!("settings that were written cannot be read: {fault}"))?;
        if back.hash() != changed.hash() {
            return Err("settings read back have another hash".to_owned());
        }
        seen = Seen::Taken;
    }
    Ok(seen)
}

pub(super) fn result(bytes: &[u8]) -> Result<Seen, Finding> {
    let path = scratch::file("result.json", bytes)?;
    let wanted = Provenance {
        config_hash: "00".to_owned(),
        data: "demo".to_owned(),
        textures: "procedural".to_owned(),
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    match cell::finished(folder, &wanted) {
        Ok(cell::State::Absent) => Err("a file that is there is said to be absent".to_owned()),
        Ok(_) => Ok(Seen::Taken),
        Err(fault) => refused(&in_one_line(fault.as_ref()), "result.json"),
    }
}

/// An archive comes out below its folder, within its bounds, as files and folders alone.
pub(super) fn archive(bytes: &[u8]) -> Result<Seen, Finding> {
    let name = match bytes.starts_with(b"\xfd7zXZ") {
        true => "given.tar.xz",
        false => "given.tar.gz",
    };
    let path = scratch::file(name, bytes)?;
    let around = scratch::folder()?.join("around");
    let target = around.join("target");
    let untried = |fault: std::io::Error| format!("the door could not be tried: {fault}");
    if around.exists() {
        fs::remove_dir_all(&around).map_err(untried)?;
    }
    fs::create_dir(&around).map_err(untried)?;
    let set = DataSet {
        title: "Given".to_owned(),
        archive: name.to_owned(),
        sha256: "0".repeat(64),
        bytes: bytes.len() as u64,
        root: "things".to_owned(),
        contains: Vec::new(),
        unpacked: BOUNDS,
        addresses: Vec::new(),
        page: String::new(),
        licence: String::new(),
    };
    let outcome = unpack(&path, &target, &set, Show::Nothing);
    let beside = fs::read_dir(&around).map_err(untried)?;
    if let Some(stranger) = beside.flatten().find(|entry| entry.path() != target) {
        return Err(format!(
            "{} appeared beside the folder",
            stranger.path().display()
        ));
    }
    let (mut files, mut held) = (0, 0);
    let mut folders = vec![target];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let kind = entry.file_type().map_err(untried)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files += 1;
                held += entry.metadata().map_err(untried)?.len();
            } else {
                return Err(format!("{} is neither file nor folder", entry.path().display()));
            }
        }
    }
    if files > BOUNDS.files || held > BOUNDS.bytes {
        return Err(format!("{files} files of {held} bytes came out"));
    }
    match outcome {
        Ok(()) => Ok(Seen::Taken),
        Err(fault) => refused(&fault.to_string(), name).or_else(|finding| match fault {
            // Of what cannot be written the name within the folder is told.
            crate::download::DownloadError::Io { .. } => Ok(Seen::Refused),
            _ => Err(finding),
        }),
    }
}
