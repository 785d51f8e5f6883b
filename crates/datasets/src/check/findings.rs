//! What is wrong with a category, or may be, from everything that was read.

use std::collections::BTreeMap;

use super::facts::FileFacts;
use super::finding::{Finding, Severity};
use super::masks::{Marked, MaskFacts, SIDES};
use super::{Entry, Whole};
use crate::alike::of_the_set;
use crate::note::{Note, Remark, alike};
use crate::pixels::outside;
use crate::{DatasetError, Why, counted};

/// Fewer normal images than these are few for any method (proposal).
const FEW: usize = 20;
/// Aspect ratios beyond this lose much when an image becomes a square (proposal).
const LONG: f64 = 2.0;

impl Whole<'_> {
    /// All findings, worst first.
    pub(super) fn findings(&self, facts: &FileFacts, masks: &MaskFacts) -> Vec<Finding> {
        let mut found = Vec::new();
        self.faults(&mut found);
        self.counts(&mut found);
        self.doubles(&mut found);
        self.masks(masks, &mut found);
        self.looks(facts, &mut found);
        self.remarks(&mut found);
        self.passed(&mut found);
        found.sort_by_key(|finding| finding.severity);
        found
    }

    /// What stops a training or an evaluation.
    fn faults(&self, found: &mut Vec<Finding>) {
        let of = |train: bool| {
            let entries = self.entries.iter().filter(move |entry| entry.is_train() == train);
            entries.flat_map(|entry| entry.faults.iter())
        };
        let scale = self.entries.iter().filter(|entry| !entry.is_train());
        let scale: Vec<DatasetError> = scale.filter_map(|entry| self.beyond_scale(entry)).collect();
        let train = self.files.train_faults.iter().chain(of(true));
        let test = self.files.test_faults.iter().chain(of(false)).chain(&scale);
        self.sorted_faults(Severity::StopsTraining, train, found);
        self.sorted_faults(Severity::StopsEvaluation, test, found);
        let readable = self
            .entries
            .iter()
            .any(|entry| entry.is_train() && entry.glance.is_some());
        if !readable && self.files.train_faults.is_empty() {
            let advice = "put images of good parts into `normal/` or `train/good/`";
            let what = match self.files.train.len() {
                0 => "there are no normal images to train on",
                _ => "none of the normal images can be read",
            };
            found.push(Finding::new(
                Severity::StopsTraining,
                "no-normals",
                what,
                [self.below(self.files.normal_folder())],
                advice,
            ));
        }
        if self.files.test.is_empty() && self.files.test_faults.is_empty() {
            let advice = "a training needs none; to measure a run, add `normal_test/` and `defective/`";
            let what = "there are no test images";
            found.push(Finding::new(
                Severity::StopsEvaluation,
                "no-tests",
                what,
                [],
                advice,
            ));
        }
    }

    /// An error where deep values of a test image cannot be shown by the scale of the training images.
    fn beyond_scale(&self, entry: &Entry<'_>) -> Option<DatasetError> {
        let extent = entry.glance.as_ref()?.extent;
        let value = outside(&extent, &self.scale, &mut Vec::new()).err()?;
        let path = entry.path.to_path_buf();
        Some(DatasetError::NoScale { path, value })
    }

    fn sorted_faults<'b>(
        &self,
        severity: Severity,
        faults: impl Iterator<Item = &'b DatasetError>,
        found: &mut Vec<Finding>,
    ) {
        let mut kinds: BTreeMap<Fault, Vec<String>> = BTreeMap::new();
        let root = format!("{}/", self.files.inventory.root.display());
        for fault in faults.flat_map(|fault| fault.errors()) {
            let text = fault.to_string().replace(&root, "");
            kinds.entry(Fault::of(fault)).or_default().push(text);
        }
        for (kind, texts) in kinds {
            let (name, what, advice) = kind.words(severity, texts.len());
            found.push(Finding::new(severity, name, what, texts, advice));
        }
    }

    fn counts(&self, found: &mut Vec<Finding>) {
        let train = self.files.train.len();
        if (1..FEW).contains(&train) {
            let what = format!("{} to train on is few", counted(train, "normal image"));
            let advice =
                format!("with fewer than {FEW} no threshold can be trusted: add images of good parts");
            found.push(Finding::new(Severity::Look, "few-normals", what, [], advice));
        }
        let (defective, masked) = self.files.masked();
        let normal = self.files.test.len() - defective;
        if !self.files.test.is_empty() && (defective == 0 || normal == 0) {
            let (there, lacking) = if defective == 0 {
                ("normal", "defective")
            } else {
                ("defective", "normal")
            };
            let what = format!("all test images are {there}");
            let advice =
                format!("add {lacking} ones: without them no metric that tells the two apart is defined");
            found.push(Finding::new(Severity::Look, "one-sort", what, [], advice));
        }
        let unmasked = self.files.test.iter();
        let unmasked = unmasked.filter(|test| test.is_defective() && test.masks.is_empty());
        let unmasked: Vec<String> = unmasked.map(|test| self.below(&test.path)).collect();
        if defective > 0 && masked == 0 {
            let advice = "metrics of images are computed, those of pixels are not; masks go into `masks/` or `ground_truth/`";
            let what = "no defective image has a mask: there is no ground truth";
            found.push(Finding::new(Severity::Note, "no-masks", what, [], advice));
        } else if !unmasked.is_empty() {
            let what = format!("{} of {defective} defective images have no mask", unmasked.len());
            let advice = "they are left out of the metrics of pixels; draw their masks, or accept that";
            found.push(Finding::new(
                Severity::Look,
                "masks-missing",
                what,
                unmasked,
                advice,
            ));
        }
    }

    fn doubles(&self, found: &mut Vec<Finding>) {
        let groups = |groups: &[Vec<usize>], wanted: &dyn Fn(&[&Entry<'_>]) -> bool| -> Vec<String> {
            let entries = |group: &Vec<usize>| group.iter().map(|&at| &self.entries[at]).collect::<Vec<_>>();
            let wanted = groups.iter().filter(|group| wanted(&entries(group)));
            wanted.map(|group| self.group(group)).collect()
        };
        let both_labels = |group: &[&Entry<'_>]| {
            group.iter().any(|e| e.is_defective()) && !group.iter().all(|e| e.is_defective())
        };
        let leak =
            |group: &[&Entry<'_>]| group.iter().any(|e| e.is_train()) && !group.iter().all(|e| e.is_train());
        let within = |group: &[&Entry<'_>]| !leak(group) && !both_labels(group);
        let leak_alone = |group: &[&Entry<'_>]| leak(group) && !both_labels(group);
        let limits = format!(
            "32x32 pictures differ by at most {} of 255 and {:.0} % of their contrast (proposal)",
            super::NEAR,
            100.0 * super::NEAR_SHARE
        );
        let mut say = |groups: Vec<String>, severity, kind, what: String, advice: &str| {
            if !groups.is_empty() {
                let what = format!("{}: {what}", counted(groups.len(), "group"));
                found.push(Finding::new(severity, kind, what, groups, advice));
            }
        };
        say(
            groups(&self.exact, &both_labels),
            Severity::Look,
            "both-labels",
            "the same picture is both normal and defective".into(),
            "one of the two labels is wrong: decide, and remove the other file",
        );
        say(
            groups(&self.exact, &leak_alone),
            Severity::Look,
            "leak",
            "the same picture is trained on and tested with".into(),
            "take it out of one of the two parts: metrics on it prove nothing",
        );
        say(
            groups(&self.exact, &within),
            Severity::Look,
            "doubled",
            "the same picture is there more than once".into(),
            "remove all but one: doubled images count twice",
        );
        say(
            groups(&self.near, &leak),
            Severity::Look,
            "near-leak",
            format!("nearly the same picture is trained on and tested with ({limits})"),
            "look whether these are copies, or photographs of the same piece; then keep them in one part",
        );
        say(
            groups(&self.near, &|group| !leak(group)),
            Severity::Note,
            "near",
            format!("nearly the same pictures ({limits})"),
            "look whether these are copies, compressed or resized anew, or frames of a film",
        );
    }

    /// A group in one phrase.
    fn group(&self, group: &[usize]) -> String {
        const SHOWN: usize = 4;
        let shown: Vec<String> = group
            .iter()
            .take(SHOWN)
            .map(|&at| self.below(self.entries[at].path))
            .collect();
        let more = match group.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}{more}", shown.join(" = "))
    }

    fn masks(&self, facts: &MaskFacts, found: &mut Vec<Finding>) {
        let read: Vec<(&Entry<'_>, &Marked)> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.marked.as_ref()?)))
            .collect();
        let mut types: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (entry, marked) in &read {
            let (all, empty) = types
                .entry(entry.test.map_or("", |test| &test.defect))
                .or_default();
            *all += 1;
            *empty += usize::from(marked.marks.marked == 0);
        }
        let of = |wanted: &dyn Fn(&Marked) -> Option<String>| -> Vec<String> {
            let all = read.iter();
            all.filter_map(|(entry, marked)| {
                let said = wanted(marked)?;
                Some(format!("{}{said}", self.below(entry.path)))
            })
            .collect()
        };
        let empty_types: Vec<String> = types
            .iter()
            .filter(|(_, (all, empty))| all == empty)
            .map(|(defect, (all, _))| format!("{defect} ({})", counted(*all, "mask")))
            .collect();
        if !empty_types.is_empty() {
            let what = "defect types of which every mask is empty";
            let advice = "the masks were exported wrongly, or the images are normal; look at one mask";
            found.push(Finding::new(
                Severity::Look,
                "masks-empty",
                what,
                empty_types,
                advice,
            ));
        }
        let mut say = |files: Vec<String>, kind, what: &str, advice: &str| {
            if !files.is_empty() {
                let what = format!("{}: {what}", counted(files.len(), "defective image"));
                found.push(Finding::new(Severity::Look, kind, what, files, advice));
            }
        };
        say(
            of(&|marked| (marked.marks.marked == 0).then(String::new)),
            "mask-nothing",
            "the mask marks nothing",
            "they are left out of the metrics of pixels; draw the defect, or take the image for a normal one",
        );
        say(
            of(&|marked| {
                let share = 100.0 * marked.share();
                marked.marks.is_most().then(|| format!(" ({share:.0} % marked)"))
            }),
            "mask-most",
            "the mask marks more than half; is it inverted?",
            "white is the defect: invert the mask if black was meant",
        );
        let small = facts.lost.iter().zip(SIDES).enumerate();
        for (at, (lost, side)) in small {
            let kept = if at + 1 < SIDES.len() {
                "a larger profile or "
            } else {
                ""
            };
            let advice = format!(
                "use {kept}`evaluate --at-file-size`; a network at {side} px may not see such defects"
            );
            if lost.masks > 0 {
                let files = of(&|marked| (marked.marks.marked > 0 && marked.left[at] == 0).then(String::new));
                let what = format!("no pixel of the mask is left at {side}x{side}");
                say(files, "mask-vanishes", &what, &advice);
            }
            let files = of(&|marked| {
                let (all, left) = (marked.marks.regions, marked.left[at]);
                (left > 0 && left < all).then(|| format!(" ({} of {all} regions)", all - left))
            });
            let what = format!("some regions of the mask are lost at {side}x{side}");
            say(files, "regions-vanish", &what, &advice);
        }
    }

    fn looks(&self, facts: &FileFacts, found: &mut Vec<Finding>) {
        let constant = self.entries.iter();
        let constant = constant.filter(|entry| entry.glance.as_ref().is_some_and(|glance| glance.constant));
        let constant: Vec<String> = constant.map(|entry| self.below(entry.path)).collect();
        if !constant.is_empty() {
            let what = format!("{} of one color", counted(constant.len(), "image"));
            let advice = "a camera that saw nothing? Remove them";
            found.push(Finding::new(Severity::Look, "constant", what, constant, advice));
        }
        let unlike = self.unlike.iter();
        let unlike: Vec<String> = unlike
            .map(|(at, reason)| format!("{}: {reason}", self.below(self.entries[*at].path)))
            .collect();
        if !unlike.is_empty() {
            let what = format!("{} unlike the others", counted(unlike.len(), "normal image"));
            let advice = "what is trained on counts as normal: remove what is not";
            found.push(Finding::new(Severity::Look, "unusual", what, unlike, advice));
        }
        if let Some((least, most)) = facts
            .aspect
            .filter(|(least, most)| *most > LONG || *least < 1.0 / LONG)
        {
            let what = format!("width is {least:.2} to {most:.2} times the height; most methods see squares");
            let advice = "small defects are squeezed along the long side: `--view fit` keeps the shape, `--view tiles` sees pieces";
            found.push(Finding::new(Severity::Note, "long", what, [], advice));
        }
        if facts.orientations.len() > 1 {
            let what = "some images are turned by their EXIF orientation, others are not";
            let advice = "they are turned upright; look whether the parts then lie alike";
            let turned = self.entries.iter();
            let turned = turned.filter(|entry| entry.glance.as_ref().is_some_and(|g| g.orientation != 1));
            let turned: Vec<String> = turned.map(|entry| self.below(entry.path)).collect();
            found.push(Finding::new(Severity::Look, "orientations", what, turned, advice));
        }
    }

    /// What is doubtful or was assumed in single files.
    fn remarks(&self, found: &mut Vec<Finding>) {
        let mut notes = Vec::new();
        let readable = || {
            let entries = self.entries.iter();
            entries.filter_map(|entry| Some((entry, entry.glance.as_ref()?)))
        };
        let trained = || readable().filter(|(entry, _)| entry.is_train());
        let deep = trained().find(|(_, glance)| !glance.extent.bytes);
        let flat = trained().find(|(_, glance)| glance.extent.bytes);
        let path = |found: Option<(&Entry<'_>, _)>| found.map(|(entry, _)| entry.path.to_path_buf());
        let (deep, flat) = (path(deep.map(|(e, _)| (e, ()))), path(flat.map(|(e, _)| (e, ()))));
        notes.extend(of_the_set(
            &self.scale,
            &self.extent,
            deep.as_deref(),
            flat.as_deref(),
        ));
        for (entry, glance) in readable() {
            let mut remarks = glance.remarks.clone();
            let _is_told_as_a_fault = outside(&glance.extent, &self.scale, &mut remarks);
            notes.extend(remarks.into_iter().map(|remark| Note {
                path: entry.path.to_path_buf(),
                remark,
            }));
        }
        let masks = self.entries.iter().filter_map(|entry| entry.marked.as_ref());
        notes.extend(masks.flat_map(|marked| marked.notes.iter().cloned()));
        for group in alike(&notes) {
            let Some(first) = group.first() else { continue };
            let severity = match first.remark.is_doubt() {
                true => Severity::Look,
                false => Severity::Note,
            };
            let files: Vec<String> = group.iter().map(|note| self.below(&note.path)).collect();
            let what = format!("{}: {}", counted(files.len(), "file"), first.remark);
            let advice = advice(&first.remark);
            found.push(Finding::new(severity, "file-note", what, files, advice));
        }
    }

    /// Images that are not used.
    fn passed(&self, found: &mut Vec<Finding>) {
        let inventory = &self.files.inventory;
        let harmless = |why| matches!(why, Why::Validation | Why::MaskOfNormal | Why::OwnPicture);
        let passed = inventory.passed.iter();
        let passed = passed.filter(|one| one.images > 0 && !harmless(one.why) || one.why == Why::DeadLink);
        let files: Vec<String> = passed.map(|one| self.below(&one.path)).collect();
        if let (false, Some(line)) = (files.is_empty(), inventory.line()) {
            let advice = "what is meant to be used needs a folder of a known name (README, \"Folders\"); is one misspelt?";
            found.push(Finding::new(
                Severity::Look,
                "passed-over",
                format!("passed over: {line}"),
                files,
                advice,
            ));
        }
    }
}

fn advice(remark: &Remark) -> &'static str {
    match remark {
        Remark::ManyGreys { .. } | Remark::SeveralLevels { .. } => "write masks as PNG with 0 and 255",
        Remark::Colors { .. } => "look whether all of these colors are defects",
        Remark::Further { .. } => "split the file if the others count too",
        Remark::Transparent => "save without alpha",
        Remark::MixedDepths | Remark::Dark { .. } | Remark::Beyond { .. } => {
            "write all files with one depth and one range"
        }
        Remark::FewLevels { .. } => "stretch the values to the range of the files before",
        Remark::NotNumbers => "look at the program that wrote the file",
        Remark::Turned | Remark::OwnOrientation => "look whether mask and image lie upon each other",
        _ => "nothing to do if that is meant",
    }
}

/// Faults by what a person does about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Unreadable,
    MaskSize,
    MaskValues,
    Orphan,
    SameName,
    Scale,
    Other,
}

impl Fault {
    fn of(fault: &DatasetError) -> Self {
        match fault {
            DatasetError::Decode { .. }
            | DatasetError::TooLarge { .. }
            | DatasetError::FileTooLarge { .. }
            | DatasetError::Io { .. } => Self::Unreadable,
            DatasetError::MaskSize { .. } => Self::MaskSize,
            DatasetError::MaskValues { .. } => Self::MaskValues,
            DatasetError::OrphanMask { .. } | DatasetError::MissingMask { .. } => Self::Orphan,
            DatasetError::SameName { .. } => Self::SameName,
            DatasetError::NoScale { .. } => Self::Scale,
            _ => Self::Other,
        }
    }

    /// Short name, what is wrong, what to do.
    fn words(self, severity: Severity, count: usize) -> (&'static str, String, &'static str) {
        match self {
            Self::Unreadable => (
                "unreadable",
                format!("{} cannot be read", counted(count, "file")),
                match severity {
                    Severity::StopsTraining => "mend or remove them, or train with --skip-bad",
                    _ => "mend or remove them",
                },
            ),
            Self::MaskSize => (
                "mask-size",
                format!("{} of another size than the image", counted(count, "mask")),
                "bring the mask to the size of its image, without smoothing",
            ),
            Self::MaskValues => (
                "mask-values",
                format!("{} too faint to read", counted(count, "mask")),
                "write masks as PNG with 0 and 255",
            ),
            Self::Orphan => (
                "orphan-mask",
                format!("{} whose mask or image is not there", counted(count, "file")),
                "name a mask after its image: `000.png` and `000_mask.png`",
            ),
            Self::SameName => (
                "same-name",
                format!("{} that differ by their ending alone", counted(count, "pair")),
                "rename one of each",
            ),
            Self::Scale => (
                "no-scale",
                format!("{} with values of unknown range", counted(count, "file")),
                "train on images of the same kind",
            ),
            Self::Other => (
                "folder",
                format!("{} with the folder", counted(count, "fault")),
                "see README, \"Folders\"",
            ),
        }
    }
}
