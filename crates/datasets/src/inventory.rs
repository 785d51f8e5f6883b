//! What lies in a folder and was not used, with the reason, file by file and in one line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::names::{counted, legible_path};

/// Why something was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// A folder whose name says nothing, beside folders whose names do.
    UnknownFolder,
    /// Images that lie where no label can be known.
    Unlabeled,
    /// Normal images of a validation part: neither trained on nor tested with.
    Validation,
    /// Defective images in the training part, or below a folder of normal images.
    DefectiveInTraining,
    /// A mask of a normal image: its label says enough.
    MaskOfNormal,
    /// A mask that lies in no folder of a defect type, or belongs to no image.
    StrayMask,
    /// A ground-truth mask, where images alone are wanted.
    Mask,
    /// An image that the data set's own split does not name.
    NotInSplit,
    /// A picture that this program wrote.
    OwnPicture,
    /// A file of another kind than the images that are read.
    OtherKind,
    /// A link to nothing.
    DeadLink,
    /// A link to a folder that was read already, or that leads back to where it lies.
    SeenFolder,
    /// A pipe, a socket or a device.
    Special,
    /// Hidden, by a name that begins with a dot.
    Hidden,
}

/// A file or folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
    /// How many images or pictures are concerned: those in a folder, 1 for an image, 0 for something else.
    pub images: usize,
}

/// What was passed over in a folder, and what was assumed about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The folder that was looked through.
    pub root: PathBuf,
    /// What was passed over, in the order in which it was found.
    pub passed: Vec<Passed>,
    /// What was assumed where the folder leaves it open, a sentence each.
    pub assumed: Vec<String>,
}

impl Inventory {
    /// What was passed over in one phrase, `1 folder with 5 images (old), 3 files of other kinds (gif, pgm), 1 dead link`;
    /// `None` if nothing was.
    pub fn line(&self) -> Option<String> {
        let reasons: BTreeSet<Why> = self.passed.iter().map(|passed| passed.why).collect();
        let phrases: Vec<String> = reasons.into_iter().map(|why| self.phrase(why)).collect();
        (!phrases.is_empty()).then(|| phrases.join(", "))
    }

    /// How many files and folders were passed over for this reason.
    pub fn count(&self, why: Why) -> usize {
        self.of(why).count()
    }

    fn of(&self, why: Why) -> impl Iterator<Item = &Passed> {
        self.passed.iter().filter(move |passed| passed.why == why)
    }

    fn phrase(&self, why: Why) -> String {
        let count = self.count(why);
        let images = self.of(why).map(|passed| passed.images).sum();
        let places = self.places(why);
        match why {
            Why::UnknownFolder => {
                let of = counted(images, "image");
                format!(
                    "{} of unknown meaning with {of} ({places})",
                    counted(count, "folder")
                )
            }
            Why::Unlabeled => format!("{} without a label ({places})", counted(images, "image")),
            Why::Validation => format!("{} for validation ({places})", counted(images, "image")),
            Why::DefectiveInTraining => {
                format!(
                    "{} among those to train on ({places})",
                    counted(images, "defective image")
                )
            }
            Why::MaskOfNormal => format!("{} of normal images ({places})", counted(images, "mask")),
            Why::Mask => format!("{} ({places})", counted(images, "ground-truth mask")),
            Why::StrayMask => format!("{} of no image ({places})", counted(images, "mask")),
            Why::NotInSplit => format!(
                "{} that the split does not name ({places})",
                counted(images, "image")
            ),
            Why::OwnPicture => format!("{} that flawforge wrote ({places})", counted(images, "picture")),
            Why::OtherKind => format!("{} ({})", other_kinds(count), self.endings()),
            Why::DeadLink => format!("{} ({places})", counted(count, "dead link")),
            Why::SeenFolder => {
                let to = if count == 1 {
                    "a folder that was"
                } else {
                    "folders that were"
                };
                format!("{} to {to} read already ({places})", counted(count, "link"))
            }
            Why::Special => format!("{} ({places})", counted(count, "special file")),
            Why::Hidden => counted(count, "hidden file"),
        }
    }

    /// The first places, by their paths below the root.
    fn places(&self, why: Why) -> String {
        let below = |passed: &Passed| {
            let path = passed.path.strip_prefix(&self.root).unwrap_or(&passed.path);
            legible_path(path)
        };
        shortened(self.of(why).map(below))
    }

    fn endings(&self) -> String {
        let ending = |path: &Path| {
            path.extension()
                .map_or_else(|| "no ending".to_owned(), |e| e.to_string_lossy().to_lowercase())
        };
        let endings: BTreeSet<String> = self.of(Why::OtherKind).map(|p| ending(&p.path)).collect();
        shortened(endings.into_iter())
    }
}

fn other_kinds(count: usize) -> String {
    let kinds = if count == 1 { "another kind" } else { "other kinds" };
    format!("{} of {kinds}", counted(count, "file"))
}

/// A list that ends after three.
fn shortened(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<String> = items.collect();
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        format!("{shown}, ...")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(passed: &[(&str, Why, usize)]) -> Inventory {
        let passed = passed.iter().map(|&(path, why, images)| Passed {
            path: Path::new("part").join(path),
            why,
            images,
        });
        Inventory {
            root: "part".into(),
            passed: passed.collect(),
            assumed: Vec::new(),
        }
    }

    #[test]
    fn all_reasons_fit_in_one_line() {
        let found = inventory(&[
            ("normal/x.jfif", Why::OtherKind, 0),
            ("old", Why::UnknownFolder, 5),
            ("normal/y.PGM", Why::OtherKind, 0),
            ("normal/l.png", Why::DeadLink, 0),
            ("normal/LICENSE", Why::OtherKind, 0),
        ]);
        assert_eq!(
            found.line().expect("a line"),
            "1 folder of unknown meaning with 5 images (old), 3 files of other kinds (jfif, no ending, pgm), \
             1 dead link (normal/l.png)"
        );
        assert_eq!((found.count(Why::OtherKind), found.count(Why::Hidden)), (3, 0));
        assert_eq!(inventory(&[]).line(), None);
    }

    #[test]
    fn many_places_are_shortened_and_one_is_singular() {
        let many: Vec<String> = (0..9).map(|i| format!("{i}.png")).collect();
        let many: Vec<_> = many.iter().map(|p| (p.as_str(), Why::Unlabeled, 1)).collect();
        assert_eq!(
            inventory(&many).line().expect("a line"),
            "9 images without a label (0.png, 1.png, 2.png, ...)"
        );
        let one = inventory(&[("a.txt", Why::OtherKind, 0)]).line();
        assert_eq!(one.expect("a line"), "1 file of another kind (txt)");
    }
}
