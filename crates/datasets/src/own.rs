//! The pictures that this program itself writes: sheets, maps, overlays, panels. They are never input.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a PNG file begins with: its signature and its header chunk.
const START: usize = 8 + 25;

/// A text chunk of PNG: length, type, `Software\0flawforge`, checksum.
const MARK: [u8; 30] = *b"\0\0\0\x12tEXtSoftware\0flawforge\x81\xd8\x15\xc5";

/// Marks an encoded PNG file as a picture of this program, by a text chunk that viewers pass over. Its pixels stay the same.
/// Pictures that are meant as input (a generated data set) are not marked.
pub fn mark_as_own(png: &mut Vec<u8>) {
    if png.len() > START {
        png.splice(START..START, MARK);
    }
}

/// Whether a file is a picture that this program wrote: it bears the mark, or it lies where an earlier version wrote one
/// (`panels/` of a run, `heatmaps.png` beside an evaluation, `_map`, `_heat` and `_overlay` of one image together).
pub fn is_own(path: &Path) -> bool {
    let is_png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    is_png && (is_marked(path) || is_in_its_place(path))
}

fn is_marked(path: &Path) -> bool {
    let mut start = [0; START + MARK.len()];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start[START..] == MARK)
}

fn is_in_its_place(path: &Path) -> bool {
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem().and_then(|s| s.to_str())) else {
        return false;
    };
    let in_panels = folder.file_name().is_some_and(|name| name == "panels")
        && folder.with_file_name("checkpoint.safetensors").is_file();
    let is_sheet = stem == "heatmaps" && folder.join("evaluation.json").is_file();
    const KINDS: [&str; 3] = ["_map", "_heat", "_overlay"];
    let base = KINDS.iter().find_map(|kind| stem.strip_suffix(kind));
    let is_one_of_three = base.is_some_and(|base| {
        KINDS
            .iter()
            .all(|kind| folder.join(format!("{base}{kind}.png")).is_file())
    });
    in_panels || is_sheet || is_one_of_three
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};
    use std::io::Cursor;

    fn encoded() -> Vec<u8> {
        let mut png = Cursor::new(Vec::new());
        RgbImage::from_pixel(3, 2, Rgb([7, 8, 9]))
            .write_to(&mut png, ImageFormat::Png)
            .expect("encoded");
        png.into_inner()
    }

    /// The checksum of PNG (its specification, annex D), bit by bit.
    fn checksum(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        })
    }

    #[test]
    fn the_mark_is_a_sound_chunk_that_changes_no_pixel() {
        let (content, sum) = MARK[4..].split_at(MARK.len() - 8);
        assert_eq!(sum, checksum(content).to_be_bytes());
        assert_eq!(MARK[..4], (content.len() as u32 - 4).to_be_bytes());
        let plain = encoded();
        let mut marked = plain.clone();
        mark_as_own(&mut marked);
        assert_eq!(marked.len(), plain.len() + MARK.len());
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("decoded").to_rgb8();
        assert_eq!(pixels(&marked), pixels(&plain));
    }

    #[test]
    fn own_pictures_are_known_by_mark_and_by_place() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        let mut marked = encoded();
        mark_as_own(&mut marked);
        std::fs::create_dir(at("panels")).expect("made");
        for (name, bytes) in [
            ("sheet.png", &marked),
            ("part.png", &encoded()),
            ("panels/step-1.png", &encoded()),
        ] {
            std::fs::write(at(name), bytes).expect("written");
        }
        assert!(is_own(&at("sheet.png")) && !is_own(&at("part.png")) && !is_own(&at("no.png")));
        assert!(!is_own(&at("panels/step-1.png")), "somebody's panels");
        std::fs::write(at("checkpoint.safetensors"), b"").expect("written");
        assert!(is_own(&at("panels/step-1.png")), "a run's panels");
        for kind in ["map", "heat", "overlay"] {
            assert!(!is_own(&at("a_map.png")), "a name alone says nothing");
            std::fs::write(at(&format!("a_{kind}.png")), encoded()).expect("written");
        }
        assert!(is_own(&at("a_map.png")) && is_own(&at("a_overlay.png")));
    }
}
