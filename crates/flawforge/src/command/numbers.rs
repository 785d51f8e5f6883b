//! Numbers in options, with faults in plain words.

/// A whole number from 0.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    let number = text.trim();
    number.parse().map_err(|_| {
        let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        match is_digits {
            true => format!("is too large: {} at most", u64::MAX),
            false => "is no whole number from 0 on".to_owned(),
        }
    })
}

/// A whole number from 1.
pub(crate) fn positive(text: &str) -> Result<u64, String> {
    match whole(text) {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) if text.trim().starts_with('-') => Err("must be at least 1".to_owned()),
        Err(fault) => Err(fault),
    }
}

/// A number that is finite.
pub(crate) fn finite(text: &str) -> Result<f32, String> {
    match text.trim().parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err("is no finite number".to_owned()),
        Err(_) => Err("is no number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_plain_words() {
        assert_eq!(
            (whole("7"), positive("1"), finite("-3e1")),
            (Ok(7), Ok(1), Ok(-30.0))
        );
        for (fault, expected) in [
            (whole("-1").unwrap_err(), "is no whole number from 0 on"),
            (whole("").unwrap_err(), "is no whole number from 0 on"),
            (positive("0").unwrap_err(), "must be at least 1"),
            (positive("-4").unwrap_err(), "must be at least 1"),
            (positive("x").unwrap_err(), "is no whole number from 0 on"),
            (finite("abc").unwrap_err(), "is no number"),
            (finite("nan").unwrap_err(), "is no finite number"),
            (finite("-inf").unwrap_err(), "is no finite number"),
        ] {
            assert_eq!(fault, expected);
        }
        assert!(
            whole("99999999999999999999")
                .unwrap_err()
                .starts_with("is too large")
        );
    }
}
