//! Lists of paths: files, pipes, standard input.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use flawforge::files;

use super::super::signals::Signals;
use super::inputs::why;

/// What ends a path in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// The end of a line.
    Line,
    /// A byte of zero, as `find -print0` writes it.
    Null,
}

impl Ends {
    /// The paths that a reader gives, as they come.
    fn paths(self, reader: impl BufRead) -> impl Iterator<Item = Result<PathBuf>> {
        let byte = match self {
            Self::Line => b'\n',
            Self::Null => 0,
        };
        let parts = reader.split(byte);
        parts.filter_map(move |part| {
            part.map_err(|fault| anyhow!(files::reason(&fault)))
                .and_then(|part| self.path(&part))
                .transpose()
        })
    }

    /// The path in a part of a list; nothing where it is empty.
    fn path(self, part: &[u8]) -> Result<Option<PathBuf>> {
        if self == Self::Null {
            return Ok((!part.is_empty()).then(|| path_of(part)));
        }
        let line = part.strip_prefix(b"\xef\xbb\xbf").unwrap_or(part);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.contains(&0) {
            bail!("holds bytes of zero; --null reads paths that end with them");
        }
        Ok((!line.trim_ascii().is_empty()).then(|| path_of(line)))
    }
}

/// Time between two looks whether a signal came.
const PAUSE: Duration = Duration::from_millis(50);

/// The paths in a list; nothing after a signal. They are read by a thread of its own, because a pipe without a writer is waited for.
///
/// # Errors
/// A list that cannot be read.
pub(super) fn read_list(list: &Path, ends: Ends, signals: &Signals) -> Result<Option<Vec<PathBuf>>> {
    let (sender, receiver) = sync_channel(1);
    let path = list.to_path_buf();
    let read = move || {
        let paths = || -> Result<Vec<PathBuf>> {
            if path.is_dir() {
                bail!("is a folder; name it without --list");
            }
            let file = fs::File::open(&path).map_err(|fault| anyhow!(why(&fault)))?;
            ends.paths(io::BufReader::new(file)).collect()
        };
        // Nobody waits for it after a signal.
        let _ = sender.send(paths());
    };
    thread::Builder::new()
        .name("list".to_owned())
        .spawn(read)
        .context("a thread that reads a list")?;
    loop {
        match receiver.recv_timeout(PAUSE) {
            Ok(paths) => return paths.map(Some).with_context(|| list.display().to_string()),
            Err(RecvTimeoutError::Timeout) if signals.heard() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => bail!("{}: cannot be read", list.display()),
        }
    }
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

/// Paths of standard input, as they come.
pub(super) fn from_stdin(ends: Ends) -> impl Iterator<Item = Result<PathBuf>> {
    ends.paths(io::stdin().lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_come_from_any_system() {
        let read = |ends: Ends, text: &[u8]| -> Result<Vec<PathBuf>> { ends.paths(text).collect() };
        assert_eq!(
            read(Ends::Line, b"\xef\xbb\xbfa b.png\r\n\r\n \t\n\n#c.png").unwrap(),
            [PathBuf::from("a b.png"), PathBuf::from("#c.png")]
        );
        let nulls = b"a\nb.png\0\0c.png\0";
        assert_eq!(
            read(Ends::Null, nulls).unwrap(),
            [PathBuf::from("a\nb.png"), PathBuf::from("c.png")]
        );
        let fault = read(Ends::Line, nulls).unwrap_err().to_string();
        assert!(fault.contains("--null"), "{fault}");
    }
}
