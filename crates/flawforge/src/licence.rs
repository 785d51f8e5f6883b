//! A licence is shown before anything is fetched, and accepted by a person or by a flag.

use std::io::{self, BufRead, IsTerminal, Write};

use thiserror::Error;

/// The licence of something that can be fetched.
#[derive(Clone, Copy, Debug)]
pub struct Licence<'a> {
    /// What is fetched, by its name in commands.
    pub name: &'a str,
    /// The same in one line for people.
    pub title: &'a str,
    /// The licence in short, several lines.
    pub text: &'a str,
    /// The page to read about it.
    pub page: &'a str,
}

/// A licence that was shown but not accepted.
#[derive(Debug, Error)]
#[error("the licence of {name} was not accepted{hint}")]
pub struct NotAccepted {
    name: String,
    hint: String,
}

impl Licence<'_> {
    /// Shows the licence on standard output, then asks on a terminal, or relies on the flag, whose name `flag` is.
    ///
    /// # Errors
    /// Any answer but yes; nobody there to ask.
    pub fn accept(&self, accepted: bool, flag: &str) -> Result<(), NotAccepted> {
        let Self {
            name,
            title,
            text,
            page,
        } = self;
        let text = text.trim();
        // What cannot be shown cannot be accepted, but by the flag.
        let shown = writeln!(
            io::stdout(),
            "{title}\n\nLicence of {name}:\n{text}\nPage: {page}\n"
        );
        if accepted {
            let _ = writeln!(io::stdout(), "Accepted with {flag}.\n");
            return Ok(());
        }
        let refused = |hint: String| NotAccepted {
            name: (*name).to_owned(),
            hint,
        };
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            let hint = format!(": nobody is there to ask; read it above and pass {flag}");
            return Err(refused(hint));
        }
        let mut answer = String::new();
        let asked = shown
            .and_then(|()| write!(io::stdout(), "Do you accept it? Type yes: "))
            .and_then(|()| io::stdout().flush())
            .and_then(|()| stdin.lock().read_line(&mut answer));
        match asked.is_ok() && is_yes(&answer) {
            true => Ok(()),
            false => Err(refused(String::new())),
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "yes" | "y")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("yes\n") && is_yes(" Y\r\n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("yes but") && !is_yes("no"));
    }
}
