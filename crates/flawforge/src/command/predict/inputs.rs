//! What is to be scored: files, folders, lists of files, standard input.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use flawforge::datasets::{counted, images_to_score, is_own_picture, path_text};
use flawforge::files;
use flawforge::source::real_path;

use super::super::signals::Signals;
use super::list::{Ends, read_list};
use super::seen::Named;

/// One file to score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// The folder that was named, if one was: pictures are called after the path below it.
    pub(super) root: Option<Arc<Path>>,
    /// Whether it was found by watching a folder: it may be half-written.
    pub(super) watched: bool,
    /// Whether a list or standard input named it.
    pub(super) listed: bool,
}

/// Everything that is known to be scored when the command starts.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) known: Vec<Input>,
    /// More paths come from standard input.
    pub(super) stdin: bool,
}

/// What stands for standard input.
const STDIN: &str = "-";

impl Inputs {
    /// Reads folders and lists; says what is passed over. Nothing after a signal: a list that is a pipe may never come. `more` says
    /// that other inputs are to come from elsewhere.
    ///
    /// # Errors
    /// A folder or list that cannot be read; one single folder or list that holds no image.
    pub(super) fn gather(
        paths: &[PathBuf],
        lists: &[PathBuf],
        (ends, more): (Ends, bool),
        out: Option<&Path>,
        signals: &Signals,
    ) -> Result<Option<Self>> {
        let mut inputs = Self::default();
        let alone = !more && paths.len() + lists.len() == 1;
        for path in paths {
            if path.as_os_str() == STDIN {
                inputs.stdin = true;
            } else {
                inputs.add(path, alone, false, out)?;
            }
        }
        for list in lists {
            let Some(paths) = read_list(list, ends, signals)? else {
                return Ok(None);
            };
            for path in &paths {
                inputs.add(path, false, true, out)?;
            }
            if paths.is_empty() {
                none_in(list, "", alone)?;
            }
        }
        Ok(Some(inputs))
    }

    /// What a line of standard input names. A folder is read as those on the command line are.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn of_line(path: &Path, out: Option<&Path>) -> Result<Self> {
        let mut inputs = Self::default();
        inputs.add(path, false, true, out)?;
        Ok(inputs)
    }

    /// Adds a file or the images of a folder.
    fn add(&mut self, path: &Path, alone: bool, listed: bool, out: Option<&Path>) -> Result<()> {
        if !path.is_dir() {
            // One that is not there, or no file, gets a row that says so.
            if path.is_file() && is_own_picture(path) {
                log::info!("{}: passed over, a picture that flawforge wrote", path.display());
                return Ok(());
            }
            self.known.push(Input {
                path: path.to_path_buf(),
                root: None,
                watched: false,
                listed,
            });
            return Ok(());
        }
        let (images, inventory) = images_to_score(path)?;
        let passed = inventory.line();
        match (images.is_empty(), &passed) {
            (false, None) => {}
            (false, Some(passed)) => log::info!(
                "{}: {}; passed over: {passed}",
                path_text(path),
                counted(images.len(), "image")
            ),
            (true, _) => {
                let passed = passed
                    .map(|passed| format!("; passed over: {passed}"))
                    .unwrap_or_default();
                none_in(path, &passed, alone)?;
            }
        }
        if let Some(out) = out {
            refuse_output(path, &images, out)?;
        }
        let root: Arc<Path> = path.into();
        self.known.extend(images.into_iter().map(|image| Input {
            path: image,
            root: Some(Arc::clone(&root)),
            watched: false,
            listed,
        }));
        Ok(())
    }
}

/// A folder or list that holds no image: an error if it is all there is.
fn none_in(path: &Path, passed: &str, alone: bool) -> Result<()> {
    let said = format!("{}: holds no image{passed}", path.display());
    match alone {
        true => bail!("{said}"),
        false => log::warn!("{said}"),
    }
    Ok(())
}

/// Refuses a folder of results that is one of images.
pub(super) fn refuse_output(input: &Path, images: &[PathBuf], out: &Path) -> Result<()> {
    let out_real = real_path(out);
    let mut places = Places::default();
    let is_below = |image: &PathBuf| {
        places
            .folder_of(image)
            .is_some_and(|folder| folder.starts_with(&out_real))
    };
    if out_real == real_path(input) || images.iter().any(is_below) {
        bail!(
            "{}: images are read from there; choose another place for the results",
            out.display()
        );
    }
    Ok(())
}

/// Paths in the one spelling that rows have: the real folder, and the file's own name in it, also where that is a link.
#[derive(Debug, Default)]
pub(super) struct Places {
    folders: HashMap<PathBuf, Option<PathBuf>>,
}

/// Folders that are remembered.
const REMEMBERED: usize = 10_000;

impl Places {
    /// The path of a file as rows write it.
    pub(super) fn stable(&mut self, path: &Path) -> String {
        let name = path.file_name();
        let stable = self
            .folder_of(path)
            .zip(name)
            .map(|(folder, name)| folder.join(name));
        path_text(&stable.unwrap_or_else(|| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())))
    }

    /// The real folder of a file, if it is there.
    fn folder_of(&mut self, path: &Path) -> Option<PathBuf> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if let Some(known) = self.folders.get(parent) {
            return known.clone();
        }
        if self.folders.len() >= REMEMBERED {
            self.folders.clear();
        }
        let real = parent.canonicalize().ok();
        self.folders.insert(parent.to_path_buf(), real.clone());
        real
    }
}

/// The longest name of a picture, in bytes: `_overlay.png` and a number find room behind it in 255.
const LONGEST: usize = 200;

/// What the pictures of an image are called: its path below the folder that was named, without its ending. `named` says whose a name
/// is; where it is another file's, the ending is added; where that is taken too, or the name is of this very file before it changed, a
/// number made from `content`.
pub(super) fn picture_name(input: &Input, content: u64, mut named: impl FnMut(&str) -> Named) -> String {
    let below = match &input.root {
        Some(root) => input.path.strip_prefix(root).unwrap_or(&input.path),
        None => Path::new(input.path.file_name().unwrap_or(OsStr::new("image"))),
    };
    let digest = format!("{content:016x}");
    let plain = path_text(&below.with_extension(""));
    let plain = match plain.split('/').all(|part| part.len() <= LONGEST) {
        true => plain,
        false => {
            let short = plain.split('/').map(|part| shortened(part, &digest));
            short.collect::<Vec<_>>().join("/")
        }
    };
    let ending = below.extension().unwrap_or_default().to_string_lossy();
    let with_ending = format!("{plain}_{ending}");
    for name in [&plain, &with_ending] {
        match named(name) {
            Named::Free => return name.clone(),
            Named::Other => {}
            Named::Earlier => break,
        }
    }
    format!("{plain}_{}", &digest[..8])
}

/// A part of a path that fits into a file's name.
fn shortened(part: &str, digest: &str) -> String {
    if part.len() <= LONGEST {
        return part.to_owned();
    }
    let mut end = LONGEST - 20;
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{}", &part[..end], &digest[..8])
}

/// Why a file cannot be read as an image, if its kind says so: only a regular file is opened, because a pipe is waited for and a
/// device may never end.
pub(super) fn kind_fault(data: &fs::Metadata) -> Option<&'static str> {
    if data.is_file() {
        return None;
    }
    if data.is_dir() {
        return Some("is a folder");
    }
    Some(special(data))
}

#[cfg(unix)]
fn special(data: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = data.file_type();
    if kind.is_fifo() {
        "is a pipe, not a file"
    } else if kind.is_socket() {
        "is a socket, not a file"
    } else {
        "is a device, not a file"
    }
}

#[cfg(not(unix))]
fn special(_: &fs::Metadata) -> &'static str {
    "is no regular file"
}

const NO_FILE: &str = "no such file";

/// What a fault of a system call means for one input.
pub(super) fn why(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => NO_FILE.to_owned(),
        _ => files::reason(fault),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_stay_below_the_input_are_short_and_do_not_collide() {
        let mut names = BTreeSet::new();
        let mut name = |root: Option<&str>, path: &str| {
            let input = Input {
                path: path.into(),
                root: root.map(|root| Path::new(root).into()),
                watched: false,
                listed: false,
            };
            let content = super::super::row::hash(&path);
            let name = picture_name(&input, content, |name| match names.contains(name) {
                true => Named::Other,
                false => Named::Free,
            });
            names.insert(name.clone());
            name
        };
        assert_eq!(name(Some("in"), "in/good/000.png"), "good/000");
        assert_eq!(name(Some("in"), "in/good/000.jpg"), "good/000_jpg");
        assert_eq!(name(None, "in/x.y.png"), "x.y");
        assert_eq!(name(None, "other/x.y.png"), "x.y_png");
        let third = name(None, "third/x.y.png");
        assert!(third.starts_with("x.y_") && third.len() == 4 + 8, "{third}");
        let long = name(None, &format!("{}.png", "ä".repeat(120)));
        assert!(long.len() <= LONGEST, "{long}");
    }

    #[cfg(unix)]
    #[test]
    fn rows_name_the_real_folder_and_the_links_own_name() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir(dir.path().join("day")).unwrap();
        fs::write(dir.path().join("store.png"), b"").unwrap();
        symlink("../store.png", dir.path().join("day/0.png")).unwrap();
        symlink("day", dir.path().join("today")).unwrap();
        let mut places = Places::default();
        let expected = real.join("day/0.png").display().to_string();
        for path in ["day/0.png", "today/0.png", "today/../day/./0.png"] {
            assert_eq!(places.stable(&dir.path().join(path)), expected, "{path}");
        }
        let absent = places.stable(Path::new("nowhere/0.png"));
        assert!(
            Path::new(&absent).is_absolute() && absent.ends_with("nowhere/0.png"),
            "{absent}"
        );
    }
}
