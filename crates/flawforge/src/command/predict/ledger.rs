//! The rows of a folder of results: what is there already, and what is added.
//!
//! `scores.jsonl` has everything and is written first; `scores.csv` is made from it line by line. A row that was written in part,
//! by a process that was killed or a disk that was full, is taken away; rows that the table lacks are added to it.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use flawforge::datasets::counted;
use flawforge::files;

use super::row::{Row, hash, header};

pub(super) const TABLE: &str = "scores.csv";
pub(super) const LINES: &str = "scores.jsonl";

/// What is kept in memory of a row that is there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) name: Box<str>,
    pub(super) verdict: Box<str>,
    pub(super) score: Option<f32>,
    /// Of the reason why there is no score.
    pub(super) error: Option<u64>,
    /// Whether the run was trained on it.
    pub(super) trained_on: bool,
}

impl Known {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            name: row.name.as_str().into(),
            verdict: row.verdict.as_str().into(),
            score: row.score,
            error: (!row.error.is_empty()).then(|| hash(&row.error)),
            trained_on: row.trained_on,
        }
    }
}

/// To whom a name of pictures belongs: hashes of the image's path, and of its path, size and time of change together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) image: u64,
    pub(super) content: u64,
}

impl Owner {
    pub(super) fn of(row: &Row) -> Self {
        Self {
            image: hash(&row.image),
            content: hash(&(&row.image, row.bytes, row.modified)),
        }
    }
}

/// What was found in a folder of results.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rows by their [key](Row::key).
    pub(super) rows: HashMap<u64, Known>,
    /// To whom a name of pictures belongs, by a hash of the name in small letters.
    pub(super) names: HashMap<u64, Owner>,
    /// Rows of other runs or settings.
    pub(super) others: usize,
}

/// The two files, open for more rows.
#[derive(Debug)]
pub(super) struct Ledger {
    lines: Appended,
    table: Appended,
}

impl Ledger {
    /// Opens the rows in a folder, mends what was written in part, and says what is there. `settings` is that of this call.
    ///
    /// # Errors
    /// Files that cannot be read or written, a line that no version of this program wrote.
    pub(super) fn open(out: &Path, settings: &str) -> Result<(Self, Found)> {
        let (lines, table) = (out.join(LINES), out.join(TABLE));
        let mut found = Found::default();
        for path in [&lines, &table] {
            if path.is_dir() {
                bail!(
                    "{}: is a folder, and the rows are to be written there",
                    path.display()
                );
            }
        }
        let mut compared = Compared::begin(&table)?;
        let whole = each(&lines, &mut |row| {
            compared.next(&row.csv()?)?;
            // What could not be read has no pictures.
            if row.error.is_empty() {
                found.names.insert(hash(&row.name.to_lowercase()), Owner::of(row));
            }
            match row.settings == settings {
                true => drop(found.rows.insert(row.key(), Known::of(row))),
                false => found.others += 1,
            }
            Ok(())
        })?;
        if fs::metadata(&lines).is_ok_and(|data| data.len() > whole) {
            log::warn!(
                "{}: the last row was written in part; it is taken away",
                lines.display()
            );
        }
        let lines = Appended::open(lines, whole)?;
        let other_columns = compared.other_columns;
        let (whole, missing) = compared.finish()?;
        let mut table = match whole {
            Some(whole) => Appended::open(table, whole)?,
            None => {
                put_aside(&table, other_columns)?;
                Appended::open(table, 0)?
            }
        };
        if table.length == 0 {
            table.append(&header()?)?;
        }
        let mut index = 0;
        each(&lines.path, &mut |row| {
            if index >= missing {
                table.append(&row.csv()?)?;
            }
            index += 1;
            Ok(())
        })?;
        Ok((Self { lines, table }, found))
    }

    /// Adds a row, which is there for every reader when this returns.
    ///
    /// # Errors
    /// What the system says, for example that the disk is full; the rows before stay whole, and this one is in neither file.
    pub(super) fn add(&mut self, row: &Row) -> Result<()> {
        let before = self.lines.length;
        self.lines.append(row.json()?.as_bytes())?;
        let table = self.table.append(&row.csv()?);
        if table.is_err() && self.lines.file.set_len(before).is_ok() {
            self.lines.length = before;
        }
        table
    }

    /// Waits until the rows are on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn finish(self) -> Result<()> {
        for appended in [self.lines, self.table] {
            let path = appended.path;
            appended
                .file
                .sync_all()
                .map_err(|fault| anyhow!("{}: {}", path.display(), files::reason(&fault)))?;
        }
        Ok(())
    }
}

/// A file that grows by whole lines.
#[derive(Debug)]
struct Appended {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Appended {
    /// Opens a file for appending and cuts it to its first `whole` bytes.
    fn open(path: PathBuf, whole: u64) -> Result<Self> {
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            if file.metadata()?.len() > whole {
                file.set_len(whole)?;
            }
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self {
                path,
                file,
                length: whole,
            }),
            Err(fault) => bail!("{}: {}", path.display(), files::reason(&fault)),
        }
    }

    fn append(&mut self, line: &[u8]) -> Result<()> {
        if let Err(fault) = self.file.write_all(line) {
            // Best effort: what is left of the line is taken away by the next call.
            let _ = self.file.set_len(self.length);
            bail!("{}: {}", self.path.display(), files::reason(&fault));
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Gives every whole row of `scores.jsonl` to `take`; returns how many bytes they have. No file is no rows.
pub(super) fn each(path: &Path, take: &mut dyn FnMut(&Row) -> Result<()>) -> Result<u64> {
    let at = || path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(fault) => return Err(fault).with_context(at),
    };
    let mut reader = BufReader::new(file);
    let (mut line, mut whole, mut number) = (Vec::new(), 0, 0u64);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).with_context(at)?;
        number += 1;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(whole);
        }
        match serde_json::from_slice::<Row>(&line) {
            Ok(row) if !row.image.is_empty() => take(&row)?,
            _ => bail!(
                "{}: line {number} is no row that flawforge wrote; move the file away, or choose another place",
                path.display()
            ),
        }
        whole += read as u64;
    }
}

/// A table beside the lines that it should have.
struct Compared<'a> {
    path: &'a Path,
    reader: Option<BufReader<File>>,
    /// Bytes that are as they should be.
    same: u64,
    /// Rows that are there.
    rows: usize,
    /// Whether the table ended, as against going on in another way.
    ended: bool,
    differs: bool,
    /// Whether it has other columns.
    other_columns: bool,
}

impl<'a> Compared<'a> {
    fn begin(path: &'a Path) -> Result<Self> {
        let reader = match File::open(path) {
            Ok(file) => Some(BufReader::new(file)),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => None,
            Err(fault) => return Err(fault).with_context(|| path.display().to_string()),
        };
        let mut compared = Self {
            ended: reader.is_none(),
            path,
            reader,
            same: 0,
            rows: 0,
            differs: false,
            other_columns: false,
        };
        compared.line(&header()?)?;
        compared.other_columns = compared.differs;
        Ok(compared)
    }

    fn next(&mut self, expected: &[u8]) -> Result<()> {
        if self.line(expected)? {
            self.rows += 1;
        }
        Ok(())
    }

    /// Whether the next bytes are these.
    fn line(&mut self, expected: &[u8]) -> Result<bool> {
        if self.ended || self.differs {
            return Ok(false);
        }
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        let mut there = Vec::with_capacity(expected.len());
        reader
            .take(expected.len() as u64)
            .read_to_end(&mut there)
            .with_context(|| self.path.display().to_string())?;
        if there == expected {
            self.same += expected.len() as u64;
            return Ok(true);
        }
        match expected.starts_with(&there) {
            true => self.ended = true,
            false => self.differs = true,
        }
        Ok(false)
    }

    /// How many bytes of the table can stay, with the rows in them; no bytes where it is another table.
    fn finish(mut self) -> Result<(Option<u64>, usize)> {
        if let Some(reader) = self.reader.as_mut().filter(|_| !self.ended && !self.differs) {
            let rest = reader.fill_buf();
            self.differs = !rest.with_context(|| self.path.display().to_string())?.is_empty();
        }
        Ok(match self.differs {
            true => (None, 0),
            false => (Some(self.same), self.rows),
        })
    }
}

/// Moves a table that is not made from the lines beside it to a name that is free, and says so.
fn put_aside(table: &Path, other_columns: bool) -> Result<()> {
    let free = (1..)
        .map(|number| table.with_file_name(format!("scores-earlier-{number}.csv")))
        .find(|path| !path.exists());
    let Some(aside) = free else { return Ok(()) };
    fs::rename(table, &aside).map_err(|fault| anyhow!("{}: {}", table.display(), files::reason(&fault)))?;
    log::warn!(
        "{}: {}; it is kept as {}, and the table is made anew from {LINES}",
        table.display(),
        match other_columns {
            true => "has other columns, perhaps of an earlier version".to_owned(),
            false => format!("holds other rows than {LINES} beside it"),
        },
        aside.display()
    );
    Ok(())
}

impl Found {
    /// What is there in one phrase, if there is anything.
    pub(super) fn said(&self) -> Option<String> {
        let of_this =
            (!self.rows.is_empty()).then(|| format!("{} of this run", counted(self.rows.len(), "row")));
        let of_others =
            (self.others > 0).then(|| format!("{} of other runs or settings", counted(self.others, "row")));
        let parts: Vec<String> = of_this.into_iter().chain(of_others).collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: usize) -> Row {
        Row {
            image: format!("/parts/{index}.png"),
            score: Some(index as f32 / 8.0),
            name: format!("{index}"),
            bytes: Some(9),
            settings: "s".to_owned(),
            ..Row::default()
        }
    }

    fn filled(out: &Path, rows: usize) {
        let (mut ledger, _) = Ledger::open(out, "s").unwrap();
        (0..rows).for_each(|index| ledger.add(&row(index)).unwrap());
        ledger.finish().unwrap();
    }

    fn both(out: &Path) -> (String, String) {
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        (read(LINES), read(TABLE))
    }

    #[test]
    fn wherever_a_write_was_broken_off_the_rows_are_mended() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 3);
        let whole = both(dir.path());
        assert_eq!(whole.1.lines().count(), 4);
        for cut in 0..=whole.0.len() {
            let rows = whole.0[..cut].matches('\n').count();
            // The table is never ahead, and may be behind by any part.
            let ends: Vec<usize> = whole.1.match_indices('\n').map(|(at, _)| at + 1).collect();
            for behind in [0, 1, 7, 19] {
                let length = ends[rows].saturating_sub(behind);
                fs::write(dir.path().join(LINES), &whole.0[..cut]).unwrap();
                fs::write(dir.path().join(TABLE), &whole.1[..length]).unwrap();
                let (mut ledger, found) = Ledger::open(dir.path(), "s").unwrap();
                assert_eq!(found.rows.len(), rows);
                (0..3)
                    .map(row)
                    .filter(|row| !found.rows.contains_key(&row.key()))
                    .for_each(|row| ledger.add(&row).unwrap());
                drop(ledger);
                assert_eq!(both(dir.path()), whole, "cut at {cut}, table behind by {behind}");
            }
        }
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing was put aside"
        );
    }

    /// A row for which there is no room is in neither file, so that it can be tried again.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_row_without_room_is_in_neither_file() {
        let dir = tempfile::tempdir().unwrap();
        let lines = Appended::open(dir.path().join(LINES), 0).unwrap();
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let table = Appended {
            path: dir.path().join(TABLE),
            file: full,
            length: 0,
        };
        let mut ledger = Ledger { lines, table };
        let fault = ledger.add(&row(0)).unwrap_err().to_string();
        assert!(fault.contains("scores.csv: No space left"), "{fault}");
        assert_eq!(fs::read_to_string(dir.path().join(LINES)).unwrap(), "");
        assert_eq!(ledger.lines.length, 0);
    }

    #[test]
    fn another_table_is_kept_and_foreign_lines_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(TABLE), "image,score\n0.png,1\n").unwrap();
        filled(dir.path(), 2);
        let kept = fs::read_to_string(dir.path().join("scores-earlier-1.csv")).unwrap();
        assert_eq!(kept, "image,score\n0.png,1\n");
        let (lines, table) = both(dir.path());
        // Notes of a person in the table.
        fs::write(dir.path().join(TABLE), table.replace("0.png", "0.png!")).unwrap();
        let (_, found) = Ledger::open(dir.path(), "other").unwrap();
        assert_eq!((found.rows.len(), found.others), (0, 2));
        assert_eq!(found.said().unwrap(), "2 rows of other runs or settings");
        assert!(dir.path().join("scores-earlier-2.csv").is_file());
        assert_eq!(both(dir.path()), (lines.clone(), table));
        fs::write(dir.path().join(LINES), format!("hello\n{lines}")).unwrap();
        let fault = Ledger::open(dir.path(), "s").unwrap_err().to_string();
        assert!(fault.contains("scores.jsonl: line 1 is no row"), "{fault}");
    }
}
