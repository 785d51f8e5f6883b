//! Text and pictures inside one HTML file.

use std::io::Cursor;

use anyhow::{Context, Result};
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageFormat, RgbImage};

/// Quality of photographs on the page, of 100.
const QUALITY: u8 = 90;

/// Text with the characters that HTML reads as its own made harmless, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// An `img` element that holds a photograph.
pub(super) fn photograph(image: &RgbImage, about: &str) -> Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(image)
        .context("a picture of the page")?;
    Ok(element("jpeg", &bytes, about))
}

/// An `img` element that holds a mask, without loss.
pub(super) fn mask(mask: &GrayImage, about: &str) -> Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    mask.write_to(&mut bytes, ImageFormat::Png)
        .context("a mask of the page")?;
    Ok(element("png", bytes.get_ref(), about))
}

fn element(format: &str, bytes: &[u8], about: &str) -> String {
    let (data, about) = (base64(bytes), escaped(about));
    format!("<img alt=\"{about}\" src=\"data:image/{format};base64,{data}\">")
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            text.push(if letter <= three.len() {
                char::from(LETTERS[(bits >> (18 - 6 * letter)) as usize & 63])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escaped("<a> & \"b'"), "&lt;a&gt; &amp; &quot;b&#39;");
    }
}
