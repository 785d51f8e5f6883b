//! The secret that requests must show.

use std::fmt;
use std::hint::black_box;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// A secret, kept as its digest.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// The token of a text without the space around it; `None` if nothing is left, or characters that a header cannot hold.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether a request shows it, as `Authorization: Bearer TOKEN`.
    pub(crate) fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or("", |(_, token)| token.trim());
        let shown: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // All bytes are compared, whatever the first ones say: the time tells nothing. Digests hide the length too.
        let different = shown.iter().zip(&self.0).fold(0, |sum, (a, b)| sum | (a ^ b));
        black_box(different) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_itself_is_the_token() {
        let token = Token::new(" s3cret\n").unwrap();
        let shows = |value: &'static str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            token.is_shown(&headers)
        };
        assert!(shows("Bearer s3cret") && shows("bearer  s3cret"));
        for other in [
            "s3cret",
            "Basic s3cret",
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer ",
            "",
        ] {
            assert!(!shows(other), "{other}");
        }
        assert!(!token.is_shown(&HeaderMap::new()));
        assert!(Token::new(" \n").is_none() && Token::new("two words").is_none());
        assert_eq!(format!("{token:?}"), "Token");
    }
}
