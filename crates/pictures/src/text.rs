//! Text in a bitmap font of 8×8 pixels.

use font8x8::{BASIC_FONTS, BOX_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};
use image::{Rgb, RgbImage};

/// Side of a glyph at scale 1, in pixels.
pub(crate) const GLYPH: u32 = 8;
/// Distance between the tops of two lines at scale 1, in pixels.
const LINE: u32 = 10;

/// Width and height in pixels that `text` takes at a scale; `\n` starts a new line.
pub fn text_size(text: &str, scale: u32) -> (u32, u32) {
    let longest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as u32;
    let lines = text.lines().count() as u32;
    let height = if lines == 0 { 0 } else { (lines - 1) * LINE + GLYPH };
    (longest * GLYPH * scale, height * scale)
}

/// Draws text with its top left corner at `(x, y)`, every dot of the font `scale` pixels wide. What lies
/// outside the image is cut off; characters that the font lacks become question marks.
pub fn draw_text(image: &mut RgbImage, x: u32, y: u32, text: &str, scale: u32, color: Rgb<u8>) {
    for (row, line) in (0u32..).zip(text.lines()) {
        for (column, character) in (0u32..).zip(line.chars()) {
            let (left, top) = (x + column * GLYPH * scale, y + row * LINE * scale);
            for (dy, bits) in (0u32..).zip(glyph(character)) {
                for dx in (0..GLYPH).filter(|dx| bits >> dx & 1 == 1) {
                    fill(image, left + dx * scale, top + dy * scale, scale, color);
                }
            }
        }
    }
}

/// Breaks text into lines of at most `characters`, at spaces, slashes, hyphens and underscores where it can.
/// Line breaks in the text are kept.
pub fn wrap(text: &str, characters: usize) -> String {
    let limit = characters.max(1);
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_inclusive([' ', '/', '-', '_']) {
            if line.chars().count() + word.trim_end().chars().count() > limit && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                if line.chars().count() == limit {
                    if character == ' ' {
                        continue;
                    }
                    lines.push(std::mem::take(&mut line));
                }
                line.push(character);
            }
        }
        lines.push(line);
    }
    lines
        .iter()
        .map(|line| line.trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

fn glyph(character: char) -> [u8; 8] {
    BASIC_FONTS
        .get(character)
        .or_else(|| LATIN_FONTS.get(character))
        .or_else(|| GREEK_FONTS.get(character))
        .or_else(|| BOX_FONTS.get(character))
        .or_else(|| BASIC_FONTS.get('?'))
        .unwrap_or([0; 8])
}

fn fill(image: &mut RgbImage, left: u32, top: u32, side: u32, color: Rgb<u8>) {
    for y in top..(top + side).min(image.height()) {
        for x in left..(left + side).min(image.width()) {
            image.put_pixel(x, y, color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: Rgb<u8> = Rgb([255, 0, 9]);

    /// One character a pixel (or block of `step` pixels).
    fn picture(image: &RgbImage, step: u32) -> Vec<String> {
        let dot = |x, y| if *image.get_pixel(x, y) == INK { '#' } else { '.' };
        let rows = (0..image.height()).step_by(step as usize);
        rows.map(|y| {
            (0..image.width())
                .step_by(step as usize)
                .map(|x| dot(x, y))
                .collect()
        })
        .collect()
    }

    const L: [&str; 8] = [
        "####....", ".##.....", ".##.....", ".##.....", ".##...#.", ".##..##.", "#######.", "........",
    ];

    #[test]
    fn a_letter_dot_by_dot() {
        let mut image = RgbImage::new(8, 8);
        draw_text(&mut image, 0, 0, "L", 1, INK);
        assert_eq!(picture(&image, 1), L);
    }

    #[test]
    fn a_scaled_letter_has_the_same_dots() {
        let mut image = RgbImage::new(24, 24);
        draw_text(&mut image, 0, 0, "L", 3, INK);
        assert_eq!(picture(&image, 3), L);
        let dots = L.concat().matches('#').count();
        assert_eq!(image.pixels().filter(|pixel| **pixel == INK).count(), 9 * dots);
    }

    #[test]
    fn what_is_outside_is_cut_off() {
        let mut image = RgbImage::new(4, 3);
        draw_text(&mut image, 1, 1, "L\nL", 1, INK);
        assert_eq!(picture(&image, 1), ["....", ".###", "..##"]);
        draw_text(&mut image, 100, 100, "far away", 2, INK);
    }

    #[test]
    fn sizes_count_characters_and_lines() {
        assert_eq!(text_size("", 2), (0, 0));
        assert_eq!(text_size("abc", 1), (24, 8));
        assert_eq!(text_size("abc\nde", 2), (48, 36));
        assert_eq!(text_size("±é", 1), (16, 8));
    }

    #[test]
    fn lines_break_where_they_may() {
        assert_eq!(wrap("broken large/000", 8), "broken\nlarge/\n000");
        assert_eq!(wrap("abcdefghij", 4), "abcd\nefgh\nij");
        assert_eq!(wrap("one two\nthree", 20), "one two\nthree");
        assert_eq!(wrap("abcd efgh", 4), "abcd\nefgh");
        assert_eq!(wrap("", 5), "");
        assert_eq!(wrap("ab", 0), "a\nb");
    }
}
