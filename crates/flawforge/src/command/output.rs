//! Standard output, and cells of tables that spreadsheets open.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};

use anyhow::{Result, anyhow};
use flawforge::fault::without_controls;
use flawforge::files;

/// Writes to standard output. Whoever has closed it wants no more, which is no fault; another one is told.
///
/// # Errors
/// `standard output: ...`
pub(crate) fn print(text: &str) -> Result<()> {
    still_open(text).map(drop)
}

/// As [`print`]; says whether anybody reads on.
///
/// # Errors
/// As [`print`].
pub(crate) fn still_open(text: &str) -> Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(fault) => Err(anyhow!("standard output: {}", files::reason(&fault))),
    }
}

/// A text as a cell of a table: spreadsheets take what begins with `=`, `+`, `-` or `@` for a formula, so an apostrophe goes before
/// it, which they do not show. Control characters, of which one would end the row, are written as `\xNN`.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    let text = match text.contains(char::is_control) {
        true => Cow::Owned(without_controls(text)),
        false => Cow::Borrowed(text),
    };
    match text.starts_with(['=', '+', '-', '@']) {
        true => Cow::Owned(format!("'{text}")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-cmd", "@SUM(A1)"] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        assert_eq!(cell("a=1"), "a=1");
        assert_eq!(cell("a\nb\r"), "a\\x0ab\\x0d");
        assert_eq!(cell("=a\n"), "'=a\\x0a");
        assert_eq!(cell(""), "");
    }
}
