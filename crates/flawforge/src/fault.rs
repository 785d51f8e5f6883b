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

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

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
