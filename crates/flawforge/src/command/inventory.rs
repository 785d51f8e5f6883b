//! What a command says of the images that it was given: one line of what is used and what is not, and a warning for each
//! fault that does not concern it.

use std::collections::BTreeMap;

use flawforge::datasets::{
    Category, CategoryFiles, DatasetError, Part, Role, Survey, TestSet, Why, counted, path_text,
};

use super::facts::Sorts;

/// Faults that are named one by one; the rest is counted.
const NAMED: usize = 5;

/// Says which normal images are used, and warns of what would stop an evaluation.
pub(crate) fn say_normals(category: &Category, files: Option<&CategoryFiles>, skipped: &[String]) {
    let mut parts = vec![format!(
        "{} to train on",
        counted(category.train.len(), "normal image")
    )];
    if !skipped.is_empty() {
        parts.push(format!("{} left out", counted(skipped.len(), "unreadable file")));
    }
    if let Some(files) = files.filter(|files| !files.test.is_empty()) {
        let (defective, masked) = files.masked();
        let normal = files.test.len() - defective;
        let masks = match masked {
            0 => "without masks".to_owned(),
            all if all == defective => "with masks".to_owned(),
            some => format!("{some} of them with a mask"),
        };
        parts.push(match defective {
            0 => format!("not read: {normal} normal test images"),
            _ => format!("not read: {normal} normal and {defective} defective test images, {masks}"),
        });
    }
    parts.extend(files.map(unread).unwrap_or_default());
    say(&category.name, files, parts, &Survey::of_normals(category));
    if let Some(files) = files {
        for fault in files.test_faults.iter().take(NAMED) {
            log::warn!("test part: {}", flawforge::fault::in_one_line(fault));
        }
        if files.test_faults.len() > NAMED {
            let more = counted(files.test_faults.len() - NAMED, "more fault");
            log::warn!("test part: {more}");
        }
    }
}

/// Says which test images are used, and how many of them the run has been trained on, by the digests of its images.
pub(crate) fn say_tests(tests: &TestSet<'_>, trained: &[&str]) {
    let Sorts {
        normal,
        defective,
        masked,
    } = Sorts::of(tests);
    let files = tests.files;
    let mut parts = vec![format!("{normal} normal and {defective} defective test images")];
    match masked {
        0 if defective > 0 => parts.push("no masks, so no pixel figures".to_owned()),
        some if some < defective => {
            let unknown = tests.entries().iter();
            let unknown = unknown.filter(|test| test.is_defective() && test.marks.is_none());
            let unknown = first_of(unknown.map(|test| test.seen.name.as_str()));
            parts.push(format!(
                "{some} of {defective} defective images have masks, not {unknown}: pixel figures are on these and the normal ones"
            ));
        }
        _ => {}
    }
    if !trained.is_empty() {
        let some = first_of(trained.iter().copied());
        parts.push(format!(
            "{} among those the run was trained on: {some}",
            counted(trained.len(), "test image")
        ));
    }
    if let Some(files) = files {
        if !files.train.is_empty() {
            parts.push(format!(
                "not read: {} to train on",
                counted(files.train.len(), "normal image")
            ));
        }
        parts.extend(unread(files));
    }
    for (defect, masks) in empty_types(tests) {
        log::warn!(
            "{defect}: every mask is empty ({}); were they exported wrongly, or are the images normal?",
            counted(masks, "mask")
        );
    }
    let survey = Survey::of_tests(tests.entries().iter().map(|entry| &entry.seen));
    if trained.is_empty() {
        say(&tests.name, files, parts, &survey);
    } else {
        log::warn!("{}", line(&tests.name, files, parts, &survey));
    }
}

/// Defect types of which every mask marks nothing, with the number of their masks.
fn empty_types<'a>(tests: &'a TestSet<'_>) -> BTreeMap<&'a str, usize> {
    let mut types: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
    for test in tests.entries().iter().filter(|test| test.is_defective()) {
        if let Some(marks) = test.marks {
            let (masks, empty) = types.entry(&test.defect).or_insert((0, true));
            *masks += 1;
            *empty &= marks.marked == 0;
        }
    }
    let empty = types.into_iter().filter(|(_, (_, empty))| *empty);
    empty.map(|(defect, (masks, _))| (defect, masks)).collect()
}

/// The first names of a list.
fn first_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(NAMED)].join(", "))
}

/// What is said of parts whose labels lie in masks that were not opened.
fn unread(files: &CategoryFiles) -> Vec<String> {
    let is_used = |part: &&Part| {
        files.train.iter().any(|train| train.path.starts_with(&part.path))
            || files.test.iter().any(|test| test.path.starts_with(&part.path))
    };
    let by_mask = files.parts.iter().filter(|part| part.role == Role::ByMask);
    let unread = by_mask.filter(|part| !is_used(part));
    unread
        .map(|part| {
            format!(
                "not read: {} of {}",
                counted(part.images, "image"),
                path_text(&part.path)
            )
        })
        .collect()
}

fn say(name: &str, files: Option<&CategoryFiles>, parts: Vec<String>, survey: &Survey) {
    // Junk beside the images is counted; images that are not used, and odd ones, are worth a look.
    let concerns = files.is_some_and(|files| {
        let passed = &files.inventory.passed;
        passed.iter().any(|passed| {
            passed.images > 0 && !matches!(passed.why, Why::Validation | Why::MaskOfNormal | Why::OwnPicture)
                || passed.why == Why::DeadLink
        })
    });
    let some_masks = files.is_some_and(|files| {
        let (defective, masked) = files.masked();
        masked > 0 && masked < defective
    });
    let line = line(name, files, parts, survey);
    match concerns || some_masks || !survey.is_empty() {
        true => log::warn!("{line}"),
        false => log::info!("{line}"),
    }
}

fn line(name: &str, files: Option<&CategoryFiles>, parts: Vec<String>, survey: &Survey) -> String {
    let mut parts = parts;
    let name = match files {
        Some(files) => {
            if let Some(passed) = files.inventory.line() {
                parts.push(format!("passed over: {passed}"));
            }
            parts.extend(files.inventory.assumed.iter().cloned());
            format!("{} ({})", path_text(&files.inventory.root), files.layout)
        }
        None => name.to_owned(),
    };
    if !survey.is_empty() {
        parts.push(survey.to_string());
    }
    format!("{name}: {}", parts.join("; "))
}

/// Adds to faults of images what a person can do about them.
pub(crate) fn with_advice(fault: DatasetError) -> anyhow::Error {
    let unreadable = |fault: &DatasetError| {
        matches!(
            fault,
            DatasetError::Decode { .. } | DatasetError::TooLarge { .. } | DatasetError::FileTooLarge { .. }
        )
    };
    match fault.errors() {
        [one] if unreadable(one) => anyhow::anyhow!("{fault}; --skip-bad goes on without it"),
        all if all.iter().any(unreadable) => {
            anyhow::anyhow!("{fault}\n  --skip-bad goes on without files that cannot be read")
        }
        _ => fault.into(),
    }
}
