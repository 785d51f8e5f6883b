//! Errors in one line, as commands print them.

use std::error::Error;

/// An error and its causes, joined by colons. A cause that the text already ends with is not repeated.
///
/// ```
/// let cause = std::io::Error::other("disk full");
/// assert_eq!(flawforge::fault::in_one_line(&cause), "disk full");
/// ```
pub fn in_one_line(fault: &(dyn Error + 'static)) -> String {
    let mut line = fault.to_string();
    let mut cause = fault.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = next.source();
    }
    line
}

/// What parts the lines of a list of faults.
const LISTED: &str = "\n  ";

/// A text for a terminal or a log: control characters, which names of files may hold, are written as `\xNN`. The lines of a list of
/// faults stay lines.
///
/// ```
/// assert_eq!(flawforge::fault::printable("a\nb.png: odd"), "a\\x0ab.png: odd");
/// ```
pub fn printable(text: &str) -> String {
    let lines: Vec<String> = text.split(LISTED).map(without_controls).collect();
    lines.join(LISTED)
}

/// As [`printable`], in one line.
pub fn printable_line(text: &str) -> String {
    let lines: Vec<String> = text.split(LISTED).map(without_controls).collect();
    lines.join("; ")
}

/// Every control character as `\xNN`, one for each of its bytes.
pub fn without_controls(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                plain.push_str(&format!("\\x{byte:02x}"));
            }
        } else {
            plain.push(letter);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn no_name_splits_a_line() {
        let text = "two faults:\n  a\u{1b}[31m.png: odd\n  b\n.png: odd";
        assert_eq!(
            printable(text),
            "two faults:\n  a\\x1b[31m.png: odd\n  b\\x0a.png: odd"
        );
        assert_eq!(
            printable_line(text),
            "two faults:; a\\x1b[31m.png: odd; b\\x0a.png: odd"
        );
    }

    #[test]
    fn causes_are_said_once() {
        let missing = std::fs::read("/no/such/file").unwrap_err();
        let text = missing.to_string();
        let said = anyhow::Error::new(missing).context(format!("file: {text}"));
        assert_eq!(in_one_line(said.as_ref()), format!("file: {text}"));
        let chain = Err::<(), _>(said).context("reading the settings").unwrap_err();
        assert_eq!(
            in_one_line(chain.as_ref()),
            format!("reading the settings: file: {text}")
        );
    }
}
