//! Text and pictures inside one HTML file.

use std::io::Cursor;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageFormat, RgbImage};

/// Quality of photographs on the page, of 100.
const QUALITY: u8 = 90;

/// Text with the characters that HTML reads as its own made harmless, in attributes too.
pub(crate) fn escaped(text: &str) -> String {
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
pub(crate) fn photograph(image: &RgbImage, about: &str) -> Result<String> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(image)
        .context("a picture of the page")?;
    Ok(element("jpeg", &bytes, about))
}

/// An `img` element that holds a mask, without loss.
pub(crate) fn mask(mask: &GrayImage, about: &str) -> Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    mask.write_to(&mut bytes, ImageFormat::Png)
        .context("a mask of the page")?;
    Ok(element("png", bytes.get_ref(), about))
}

fn element(format: &str, bytes: &[u8], about: &str) -> String {
    let (data, about) = (STANDARD.encode(bytes), escaped(about));
    format!("<img alt=\"{about}\" src=\"data:image/{format};base64,{data}\">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        assert_eq!(escaped("<a> & \"b'"), "&lt;a&gt; &amp; &quot;b&#39;");
    }
}
