//! What is to be scored: files, folders, lists of files, standard input.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use flawforge::datasets::{counted, images_to_score, is_own_picture, path_text};
use flawforge::files;
use flawforge::source::real_path;

use super::seen::Named;

/// One file to score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    /// The folder that was named, if one was: pictures are called after the path below it.
    pub(super) root: Option<Arc<Path>>,
    /// Whether it was found by watching a folder: it may be half-written.
    pub(super) watched: bool,
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
    /// Reads folders and lists; says what is passed over.
    ///
    /// # Errors
    /// A folder or list that cannot be read; one single input that is not there, or holds no image.
    pub(super) fn gather(paths: &[PathBuf], lists: &[PathBuf], out: Option<&Path>) -> Result<Self> {
        let mut inputs = Self::default();
        let alone = paths.len() + lists.len() == 1;
        for path in paths {
            if path.as_os_str() == STDIN {
                inputs.stdin = true;
            } else {
                inputs.add(path, alone, out)?;
            }
        }
        for list in lists {
            let at = || list.display().to_string();
            let file = fs::File::open(list).with_context(at)?;
            for line in io::BufReader::new(file).split(b'\n') {
                if let Some(path) = listed(&line.with_context(at)?) {
                    inputs.add(&path, false, out)?;
                }
            }
        }
        Ok(inputs)
    }

    /// One file.
    pub(super) fn of(path: PathBuf) -> Self {
        let input = Input {
            path,
            root: None,
            watched: false,
        };
        Self {
            known: vec![input],
            stdin: false,
        }
    }

    /// Adds a file or the images of a folder.
    fn add(&mut self, path: &Path, alone: bool, out: Option<&Path>) -> Result<()> {
        if !path.is_dir() {
            if alone && !path.try_exists().unwrap_or(true) {
                bail!("{}: no such image or folder", path.display());
            }
            // In a list, one that is not there gets a row that says so.
            if is_own_picture(path) {
                log::info!("{}: passed over, a picture that flawforge wrote", path.display());
                return Ok(());
            }
            self.known.push(Input {
                path: path.to_path_buf(),
                root: None,
                watched: false,
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
                let said = format!("{}: holds no image{passed}", path.display());
                match alone {
                    true => bail!("{said}"),
                    false => log::warn!("{said}"),
                }
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
        }));
        Ok(())
    }
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

/// A path in a line of a list; nothing for an empty line.
pub(super) fn listed(line: &[u8]) -> Option<PathBuf> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.is_empty()).then(|| path_of(line))
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(bytes).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    OsStr::new(String::from_utf8_lossy(bytes).as_ref()).into()
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

/// Paths that come line by line, as they come.
pub(super) fn from_stdin() -> impl Iterator<Item = io::Result<PathBuf>> {
    io::stdin()
        .lock()
        .split(b'\n')
        .filter_map(|line| line.map(|line| listed(&line)).transpose())
}

/// What a fault of a system call means for one input.
pub(super) fn why(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
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

    #[test]
    fn lists_may_come_from_any_system() {
        assert_eq!(listed(b"\xef\xbb\xbfa b.png\r"), Some("a b.png".into()));
        assert_eq!(listed(b"\r"), None);
        assert_eq!(listed(b""), None);
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
