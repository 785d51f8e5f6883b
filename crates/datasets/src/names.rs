//! What a folder's name means, in any case: people write `good`, `OK`, `Normal`, `NG`, `ground_truth`.

use std::ffi::OsStr;
use std::path::Path;

/// What a folder holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Normal images.
    Normal,
    /// Normal images to test on.
    NormalTest,
    /// Defective images.
    Defective,
    /// The training part.
    Train,
    /// The test part.
    Test,
    /// Images whose labels are not published.
    Unlabelled,
    /// Normal images that are kept to choose settings on.
    Validation,
    /// Ground-truth masks.
    Truth,
}

/// Names without their separators, in lower case. `io` and `nio` are what German inspectors write (in Ordnung).
const NORMAL: [&str; 14] = [
    "good",
    "ok",
    "okay",
    "normal",
    "normals",
    "io",
    "pass",
    "passed",
    "anomalyfree",
    "defectfree",
    "faultfree",
    "nodefect",
    "nodefects",
    "nondefective",
];
const DEFECTIVE: [&str; 21] = [
    "bad",
    "ng",
    "ko",
    "nok",
    "nio",
    "notok",
    "notgood",
    "abnormal",
    "anomaly",
    "anomalies",
    "anomalous",
    "defect",
    "defects",
    "defective",
    "defectives",
    "fail",
    "failed",
    "fault",
    "faulty",
    "reject",
    "rejected",
];
const TRUTH: [&str; 6] = ["groundtruth", "groundtruths", "gt", "mask", "masks", "truth"];
const TRAIN: [&str; 2] = ["train", "training"];
const TEST: [&str; 3] = ["test", "testing", "testpublic"];
const VALIDATION: [&str; 3] = ["validation", "valid", "val"];

/// What a folder of this name holds; `None` for a name that says nothing.
pub(crate) fn meaning(name: &OsStr) -> Option<Meaning> {
    let word: String = name
        .to_str()?
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect();
    let is = |words: &[&str]| words.contains(&word.as_str());
    let tested = word.strip_suffix("test").or_else(|| word.strip_prefix("test"));
    Some(if is(&NORMAL) {
        Meaning::Normal
    } else if is(&DEFECTIVE) {
        Meaning::Defective
    } else if is(&TRUTH) {
        Meaning::Truth
    } else if is(&TRAIN) {
        Meaning::Train
    } else if is(&TEST) {
        Meaning::Test
    } else if is(&VALIDATION) {
        Meaning::Validation
    } else if word.starts_with("testprivate") {
        Meaning::Unlabelled
    } else if tested.is_some_and(|rest| NORMAL.contains(&rest)) {
        Meaning::NormalTest
    } else {
        return None;
    })
}

/// [`meaning`] of the last part of a path.
pub(crate) fn meaning_of(path: &Path) -> Option<Meaning> {
    meaning(path.file_name()?)
}

/// The folder of the product that a folder belongs to: above `train/` and `test/`, where it is one of them or one of good parts below
/// them; else itself. "bottle" for "bottle/train/good", "good" for "good".
///
/// ```
/// # use std::path::Path;
/// use flawforge_datasets::product_folder;
/// assert_eq!(product_folder(Path::new("bottle/train/good")), Path::new("bottle"));
/// assert_eq!(product_folder(Path::new("bottle/good")), Path::new("bottle/good"));
/// ```
pub fn product_folder(dir: &Path) -> &Path {
    let is_part = |dir: &Path| matches!(meaning_of(dir), Some(Meaning::Train | Meaning::Test));
    // A folder of good or defective parts, or itself.
    let part = match dir.parent() {
        Some(above) if meaning_of(dir).is_some() && is_part(above) => above,
        _ => dir,
    };
    match part.parent().filter(|_| is_part(part)) {
        Some(product) if product.file_name().is_some() => product,
        _ => dir,
    }
}

/// A name as text. Bytes that are no UTF-8, and control characters (a line break would split a row or a line of a log), are written
/// as `\xNN`; so is a backslash in front of what reads like that, so that two names never become one.
pub(crate) fn legible(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        let valid = chunk.valid();
        for (at, letter) in valid.char_indices() {
            // Where backslashes part folders, they stay.
            let escape = letter == '\\' && !cfg!(windows) && reads_as_byte(&valid.as_bytes()[at..]);
            if letter.is_control() || escape {
                let mut bytes = [0; 4];
                push_bytes(&mut text, letter.encode_utf8(&mut bytes).as_bytes());
            } else {
                text.push(letter);
            }
        }
        push_bytes(&mut text, chunk.invalid());
    }
    text
}

fn push_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

/// Whether text begins like `\x0a`.
fn reads_as_byte(text: &[u8]) -> bool {
    matches!(text, [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// A path as text: as [`legible`], with `/` between its parts.
pub(crate) fn legible_path(path: &Path) -> String {
    let parts: Vec<String> = path.iter().map(legible).collect();
    parts.join("/")
}

/// A path as text in one line that tells any two paths apart: what is no UTF-8, or a control character, is written as `\xNN`.
///
/// ```
/// assert_eq!(flawforge_datasets::path_text("new/a b.png".as_ref()), "new/a b.png");
/// ```
pub fn path_text(path: &Path) -> String {
    legible(path.as_os_str())
}

/// A number of things: `1 image`, `2 images`.
///
/// ```
/// use flawforge_datasets::counted;
/// assert_eq!((counted(1, "image"), counted(2, "image")), ("1 image".into(), "2 images".into()));
/// ```
pub fn counted(count: usize, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_known_in_any_case() {
        use Meaning::*;
        for (name, expected) in [
            ("good", Some(Normal)),
            ("OK", Some(Normal)),
            ("Normal", Some(Normal)),
            ("i.O.", Some(Normal)),
            ("defect-free", Some(Normal)),
            ("NG", Some(Defective)),
            ("ko", Some(Defective)),
            ("Abnormal", Some(Defective)),
            ("n.i.O.", Some(Defective)),
            ("normal_test", Some(NormalTest)),
            ("Test Good", Some(NormalTest)),
            ("Train", Some(Train)),
            ("test_public", Some(Test)),
            ("test_private_mixed", Some(Unlabelled)),
            ("validation", Some(Validation)),
            ("Ground_Truth", Some(Truth)),
            ("Masks", Some(Truth)),
            ("scratch", None),
            ("broken_large", None),
            ("2026-01", None),
        ] {
            assert_eq!(meaning(OsStr::new(name)), expected, "{name}");
        }
    }

    /// The defect types of MVTec AD that could be mistaken for a word of ours.
    #[test]
    fn defect_types_of_published_sets_are_no_normal_words() {
        for name in [
            "combined",
            "contamination",
            "faulty_imprint",
            "color",
            "flip",
            "defective",
        ] {
            assert_ne!(meaning(OsStr::new(name)), Some(Meaning::Normal), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_stay_apart() {
        use std::os::unix::ffi::OsStrExt;
        let names = [b"x\xff".as_slice(), b"x\xfe"].map(|bytes| legible(OsStr::from_bytes(bytes)));
        assert_eq!(names, ["x\\xff", "x\\xfe"]);
        assert_eq!(legible(OsStr::new("ä 部.png")), "ä 部.png");
        // A line break in a name is no end of a line, and a name that looks like one stays another.
        let names = ["a\nb\t\u{85}.png", "a\\x0ab.png", "a\\b.png"].map(|name| legible(OsStr::new(name)));
        assert_eq!(
            names,
            ["a\\x0ab\\x09\\xc2\\x85.png", "a\\x5cx0ab.png", "a\\b.png"]
        );
    }
}
