//! Reading a folder with its subfolders: every entry becomes an image or is passed over with a reason.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::inventory::{Inventory, Passed, Why};
use crate::names::{Meaning, legible_path, meaning_of};
use crate::pairing::beside;
use crate::{DatasetError, files, own};

/// An image file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// Its path below the folder that was read, without its ending, as text: "000", "2026-01/000".
    pub name: String,
}

impl ImageFile {
    /// The image at `path` below `root`.
    pub(crate) fn below(root: &Path, path: PathBuf) -> Self {
        let name = legible_path(&key(root, &path));
        Self { path, name }
    }
}

/// A path below `root` without its ending: what image and mask have in common.
pub(crate) fn key(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).with_extension("")
}

/// One entry of a folder.
pub(crate) enum Entry {
    Image(PathBuf),
    Folder(PathBuf),
    Other(Passed),
}

/// The entries of a folder, sorted by name; links are followed. `needed` says what the folder is for, should it be missing.
pub(crate) fn entries(dir: &Path, needed: &'static str) -> Result<Vec<Entry>, DatasetError> {
    let listed = fs::read_dir(dir).map_err(|error| missing_or(dir, needed, error))?;
    let mut paths = Vec::new();
    for entry in listed {
        paths.push(entry.map_err(|e| DatasetError::io(dir, e))?.path());
    }
    // Paths of one folder compare by their last part; by bytes, like Python's sorted(glob(...)) on ASCII names.
    paths.sort();
    paths.into_iter().map(entry).collect()
}

fn entry(path: PathBuf) -> Result<Entry, DatasetError> {
    let other = |path: PathBuf, why| Entry::Other(Passed { path, why, images: 0 });
    if files::is_hidden(&path) {
        return Ok(other(path, Why::Hidden));
    }
    Ok(match fs::metadata(&path) {
        Ok(data) if data.is_dir() => Entry::Folder(path),
        Ok(data) if data.is_file() => match files::is_image(&path) {
            true => Entry::Image(path),
            false => other(path, Why::OtherKind),
        },
        Ok(_) => other(path, Why::Special),
        Err(_)
            if fs::symlink_metadata(&path)
                .as_ref()
                .is_ok_and(Metadata::is_symlink) =>
        {
            other(path, Why::DeadLink)
        }
        Err(error) => return Err(DatasetError::io(&path, error)),
    })
}

/// An error on opening a folder: one that is not there is told apart from one that may not be read.
pub(crate) fn missing_or(dir: &Path, needed: &'static str, error: io::Error) -> DatasetError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DatasetError::MissingFolder {
            path: dir.to_path_buf(),
            needed,
        },
        _ => DatasetError::io(dir, error),
    }
}

/// How a folder is read.
pub(crate) struct Walk<'a> {
    /// What the folder holds, for errors.
    pub(crate) needed: &'static str,
    /// Whether files are opened to see if this program wrote them.
    pub(crate) look_inside: bool,
    /// What to do with a subfolder.
    pub(crate) step: &'a dyn Fn(&Path) -> Step,
}

/// What to do with a subfolder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Read it too.
    Enter,
    /// Leave it to somebody else.
    Leave,
    /// Pass it over for this reason.
    Pass(Why),
}

impl Walk<'_> {
    /// The images of a folder and of its subfolders, sorted by path; what is passed over is added to `passed`. Links to
    /// folders are followed once, those that lead back are not.
    pub(crate) fn images(&self, root: &Path, passed: &mut Vec<Passed>) -> Result<Vec<PathBuf>, DatasetError> {
        let mut images = Vec::new();
        self.read(root, &mut Folders::default(), &mut images, passed)?;
        images.sort();
        Ok(images)
    }

    fn read(
        &self,
        dir: &Path,
        folders: &mut Folders,
        images: &mut Vec<PathBuf>,
        passed: &mut Vec<Passed>,
    ) -> Result<(), DatasetError> {
        let real = dir.canonicalize().map_err(|e| missing_or(dir, self.needed, e))?;
        if !folders.open(real) {
            passed.push(Passed {
                path: dir.to_path_buf(),
                why: Why::SeenFolder,
                images: 0,
            });
            return Ok(());
        }
        let mut below = Vec::new();
        for entry in entries(dir, self.needed)? {
            match entry {
                Entry::Image(path) if self.look_inside && own::is_own(&path) => passed.push(Passed {
                    path,
                    why: Why::OwnPicture,
                    images: 1,
                }),
                Entry::Image(path) => images.push(path),
                Entry::Folder(path) => below.push(path),
                Entry::Other(other) => passed.push(other),
            }
        }
        // Folders before links to them, so that an image keeps its own path.
        below.sort_by_key(|path| (path.is_symlink(), path.clone()));
        for folder in below {
            match (self.step)(&folder) {
                Step::Enter => self.read(&folder, folders, images, passed)?,
                Step::Leave => {}
                Step::Pass(why) => passed.extend(whole(&folder, why)),
            }
        }
        folders.close();
        Ok(())
    }
}

/// A folder that is passed over with all its images; pictures of this program are told apart. Nothing for an empty folder.
pub(crate) fn whole(folder: &Path, why: Why) -> Vec<Passed> {
    let (mut images, mut own) = (0, 0);
    count_images(folder, &mut images, &mut own);
    let path = folder.to_path_buf();
    let other_files =
        own == 0 && why == Why::UnknownFolder && !entries(folder, "").unwrap_or_default().is_empty();
    let found = [(why, images, other_files), (Why::OwnPicture, own, false)];
    let found = found
        .into_iter()
        .filter(|(_, images, other_files)| *images > 0 || *other_files);
    found
        .map(|(why, images, _)| Passed {
            path: path.clone(),
            why,
            images,
        })
        .collect()
}

/// How many images a folder and its subfolders hold, and how many pictures of this program; links to folders are not followed.
fn count_images(dir: &Path, images: &mut usize, own: &mut usize) {
    for entry in entries(dir, "").unwrap_or_default() {
        match entry {
            Entry::Image(path) if own::is_own(&path) => *own += 1,
            Entry::Image(_) => *images += 1,
            Entry::Folder(path) if !path.is_symlink() => count_images(&path, images, own),
            Entry::Folder(_) | Entry::Other(_) => {}
        }
    }
}

/// The real folders of a walk.
#[derive(Default)]
struct Folders {
    seen: BTreeSet<PathBuf>,
    /// Those from the root to where the walk is.
    open: Vec<PathBuf>,
}

impl Folders {
    /// Enters a folder; `false` for one that was read already, or that holds a folder in which the walk is.
    fn open(&mut self, real: PathBuf) -> bool {
        let leads_back = self.open.iter().any(|open| open.starts_with(&real));
        if leads_back || !self.seen.insert(real.clone()) {
            return false;
        }
        self.open.push(real);
        true
    }

    fn close(&mut self) {
        self.open.pop();
    }
}

/// The image files of a folder and its subfolders, sorted by path, and what was passed over. A file is taken as it is. Pictures
/// that this program wrote are passed over.
///
/// # Errors
/// A folder that is missing or cannot be read.
pub fn image_files(input: &Path) -> Result<(Vec<PathBuf>, Inventory), DatasetError> {
    found(input, &|_| Step::Enter)
}

/// As [`image_files`], for images that are to be scored: subfolders of ground-truth masks (`ground_truth`, `masks`), and masks that
/// lie beside their images (`a_mask.png` beside `a.png`), are passed over too. Dead links, pipes and devices with the name of an image
/// are among the images: whoever scores them says of each what is wrong.
///
/// # Errors
/// As [`image_files`].
pub fn images_to_score(input: &Path) -> Result<(Vec<PathBuf>, Inventory), DatasetError> {
    let (mut images, mut inventory) = found(input, &|folder| match meaning_of(folder) {
        Some(Meaning::Truth) => Step::Pass(Why::Mask),
        _ => Step::Enter,
    })?;
    let unreadable =
        |one: &mut Passed| matches!(one.why, Why::DeadLink | Why::Special) && files::is_image(&one.path);
    images.extend(inventory.passed.extract_if(.., unreadable).map(|one| one.path));
    images.sort();
    let masks: BTreeSet<PathBuf> = beside(images.clone())
        .into_iter()
        .filter_map(|(_, mask)| mask)
        .collect();
    inventory.passed.extend(masks.iter().map(|mask| Passed {
        path: mask.clone(),
        why: Why::Mask,
        images: 1,
    }));
    let images = images.into_iter().filter(|image| !masks.contains(image));
    Ok((images.collect(), inventory))
}

fn found(input: &Path, step: &dyn Fn(&Path) -> Step) -> Result<(Vec<PathBuf>, Inventory), DatasetError> {
    let mut inventory = Inventory {
        root: input.to_path_buf(),
        ..Inventory::default()
    };
    if input.is_file() {
        return Ok((vec![input.to_path_buf()], inventory));
    }
    let walk = Walk {
        needed: "images",
        look_inside: true,
        step,
    };
    let images = walk.images(input, &mut inventory.passed)?;
    Ok((images, inventory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, b"").expect("written");
    }

    fn found(root: &Path) -> (Vec<String>, Vec<(String, Why)>) {
        let (images, inventory) = image_files(root).expect("read");
        let below = |path: &Path| legible_path(path.strip_prefix(root).expect("below"));
        let passed = inventory.passed.iter();
        (
            images.iter().map(|path| below(path)).collect(),
            passed.map(|p| (below(&p.path), p.why)).collect(),
        )
    }

    #[test]
    fn every_entry_is_an_image_or_has_a_reason() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in [
            "b.PNG",
            "a.jpeg",
            "deeper/still/c.TiF",
            "readme.txt",
            "._a.jpeg",
            "y.heic",
        ] {
            touch(&dir.path().join(file));
        }
        fs::create_dir(dir.path().join("folder.png")).expect("made");
        let (images, passed) = found(dir.path());
        assert_eq!(images, ["a.jpeg", "b.PNG", "deeper/still/c.TiF"]);
        let expected = [
            ("._a.jpeg", Why::Hidden),
            ("readme.txt", Why::OtherKind),
            ("y.heic", Why::OtherKind),
        ];
        assert_eq!(passed, expected.map(|(path, why)| (path.to_owned(), why)));
        let missing = image_files(&dir.path().join("none")).expect_err("missing");
        assert!(matches!(missing, DatasetError::MissingFolder { .. }), "{missing}");
    }

    #[test]
    fn masks_are_not_scored() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for file in [
            "train/good/0.png",
            "test/bad/0.png",
            "ground_truth/bad/0_mask.png",
            "ground_truth/bad/1_mask.png",
            "beside/part0.jpg",
            "beside/part0_label.bmp",
            "beside/lone_mask.png",
        ] {
            touch(&dir.path().join(file));
        }
        let (images, inventory) = images_to_score(dir.path()).expect("read");
        let below = |path: &PathBuf| legible_path(path.strip_prefix(dir.path()).expect("below"));
        let images: Vec<String> = images.iter().map(below).collect();
        // A mask without an image may be an image of that name.
        let expected = [
            "beside/lone_mask.png",
            "beside/part0.jpg",
            "test/bad/0.png",
            "train/good/0.png",
        ];
        assert_eq!(images, expected);
        assert_eq!(
            inventory.line().expect("a line"),
            "3 ground-truth masks (ground_truth, beside/part0_label.bmp)"
        );
        // A folder that is named itself is what is wanted.
        let (masks, _) = images_to_score(&dir.path().join("ground_truth")).expect("read");
        assert_eq!(masks.len(), 2);
        assert_eq!(image_files(dir.path()).expect("read").0.len(), 7);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once_and_never_back() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |path: &str| dir.path().join(path);
        touch(&at("store/images/0.png"));
        touch(&at("store/other.png"));
        symlink("..", at("store/images/up")).expect("linked");
        fs::create_dir(at("new")).expect("made");
        symlink("../store/images", at("new/batch")).expect("linked");
        symlink("../store/images", at("new/again")).expect("linked");
        symlink("nowhere.png", at("new/dead.png")).expect("linked");
        symlink("loop.png", at("new/loop.png")).expect("linked");
        symlink("../store/other.png", at("new/file.png")).expect("linked");
        let (images, passed) = found(&at("new"));
        assert_eq!(images, ["again/0.png", "file.png"]);
        let expected = [
            ("dead.png", Why::DeadLink),
            ("loop.png", Why::DeadLink),
            ("again/up", Why::SeenFolder),
            ("batch", Why::SeenFolder),
        ];
        assert_eq!(passed, expected.map(|(path, why)| (path.to_owned(), why)));
        // Whoever scores them says so of each.
        let (images, inventory) = images_to_score(&at("new")).expect("read");
        let expected = ["again/0.png", "dead.png", "file.png", "loop.png"];
        assert_eq!(images, expected.map(|name| at("new").join(name)));
        assert_eq!(inventory.count(Why::DeadLink), 0);
    }
}
