//! A licence is shown before anything is fetched, and accepted by a person or by a flag.

use std::io::{BufRead, IsTerminal, Write};

use super::{DataSet, DownloadError};

/// Shows the licence, then asks on a terminal, or relies on the flag.
pub(super) fn accept(name: &str, set: &DataSet, accepted: bool) -> Result<(), DownloadError> {
    println!(
        "{}\n\nLicence of {name}:\n{}\nPage: {}\n",
        set.title,
        set.licence.trim(),
        set.page
    );
    if accepted {
        println!("Accepted with --accept-licence.\n");
        return Ok(());
    }
    let refused = |hint| DownloadError::Licence {
        name: name.to_owned(),
        hint,
    };
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(refused(
            ": nobody is there to ask; read it above and pass --accept-licence",
        ));
    }
    print!("Do you accept it? Type yes: ");
    // A prompt that cannot be shown cannot be answered; an unread answer is a refusal.
    let mut answer = String::new();
    let asked = std::io::stdout()
        .flush()
        .and_then(|()| stdin.lock().read_line(&mut answer));
    match asked.is_ok() && is_yes(&answer) {
        true => Ok(()),
        false => Err(refused("")),
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
