//! What is doubtful, assumed or passed over in a file that could be read: said, not printed.

use std::fmt;
use std::path::PathBuf;

/// Something to know about a file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The file.
    pub path: PathBuf,
    /// What there is to know.
    pub remark: Remark,
}

/// What there is to know about a file. `Display` is a phrase that goes behind the file's name and a colon.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Remark {
    /// More pages, frames or pictures are in the file; the first is read.
    Further {
        /// What they are: pages, frames, pictures.
        what: &'static str,
    },
    /// A JPEG has no end marker, but all its rows.
    NoEnd,
    /// Some pixels are transparent.
    Transparent,
    /// The scale of 16-bit files, found from the training images.
    Words {
        /// Bits that the values fill.
        bits: u32,
    },
    /// The scale of files of floating-point or signed numbers, found from the training images.
    Reals {
        /// What is shown black.
        black: f32,
        /// What is shown white.
        white: f32,
    },
    /// The training images use little of their scale.
    FewLevels {
        /// Of 256 levels, those that are used at most.
        levels: u32,
    },
    /// 8-bit files are among the training images beside deeper ones.
    MixedDepths,
    /// A 16-bit file fills few bits of the scale.
    Dark {
        /// Bits that its values fill.
        bits: u32,
        /// Bits of the run's scale; `None` where no 16-bit image was trained on.
        of: Option<u32>,
    },
    /// Values lie beyond the scale, and are shown black or white.
    Beyond {
        /// The value farthest from it.
        value: f32,
        /// What is shown black.
        black: f32,
        /// What is shown white.
        white: f32,
    },
    /// Some pixels are no numbers.
    NotNumbers,
    /// A mask has many values between none and full.
    ManyGreys {
        /// The least value that counts as marked.
        from: u16,
        /// The full value.
        full: u16,
    },
    /// A mask has several levels, some of which are not counted as marked.
    SeveralLevels {
        /// The levels, the first few.
        levels: Vec<u16>,
        /// The least that counts as marked.
        from: u16,
    },
    /// A mask has labels from 0 on.
    Labels {
        /// The largest.
        largest: u16,
    },
    /// A mask has several colors.
    Colors {
        /// Colors beside black.
        count: usize,
    },
    /// A mask is in the alpha channel.
    Alpha,
    /// A mask was reduced before: its borders are grey, one pixel wide.
    Reduced,
    /// A mask without an orientation of its own was turned as its image is.
    Turned,
    /// A mask without an orientation of its own fits the turned image as it is.
    Upright,
    /// Mask and image were turned by different orientations.
    OwnOrientation,
    /// A mask marks nothing in a defective image.
    MarksNothing,
    /// A mask marks more than half of its image.
    MarksMost {
        /// Share that is marked, in percent.
        percent: f64,
    },
    /// No marked pixel of a mask is left at the size of scoring.
    Vanishes {
        /// Width and height of scoring in pixels.
        size: (u32, u32),
    },
    /// Some regions of a mask have no pixel left at the size of scoring.
    RegionsVanish {
        /// Regions without a pixel.
        gone: usize,
        /// Regions of the mask.
        of: usize,
        /// Width and height of scoring in pixels.
        size: (u32, u32),
    },
}

impl Remark {
    /// Whether a result may be wrong because of it; otherwise it is for information.
    pub fn is_doubt(&self) -> bool {
        !matches!(
            self,
            Self::NoEnd
                | Self::Words { .. }
                | Self::Reals { .. }
                | Self::Labels { .. }
                | Self::Colors { count: 1 }
                | Self::Alpha
                | Self::Reduced
                | Self::Upright
        )
    }

    /// Whether it is about marks that are lost at the size of scoring.
    pub fn is_about_size(&self) -> bool {
        matches!(self, Self::Vanishes { .. } | Self::RegionsVanish { .. })
    }

    /// Whether files of the same remark are each named: it is about the single file.
    fn is_single(&self) -> bool {
        matches!(
            self,
            Self::MarksNothing | Self::MarksMost { .. } | Self::SeveralLevels { .. } | Self::OwnOrientation
        )
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Further { what } => write!(f, "holds further {what}; the first is read"),
            Self::NoEnd => f.write_str("the end marker is missing, but all rows are there"),
            Self::Transparent => f.write_str("transparent pixels are shown on black"),
            Self::Words { bits } => write!(
                f,
                "16-bit file; over all training images its kind fills {bits} bits: 0 is black and {} is white in this run",
                (1u64 << bits) - 1
            ),
            Self::Reals { black, white } => write!(
                f,
                "floating-point or signed values; over all training images: {black} is black and {white} is white in this run"
            ),
            Self::FewLevels { levels } => write!(
                f,
                "the values of all training images lie close together: {levels} of 256 grey levels are left of them"
            ),
            Self::MixedDepths => {
                f.write_str("8 bits, while other training images have more; 8-bit files are taken as they are")
            }
            Self::Dark { bits, of: Some(of) } => write!(
                f,
                "16-bit file that fills only {bits} of the {of} bits that the run's scale has: it is dark"
            ),
            Self::Dark { bits, of: None } => write!(
                f,
                "16-bit file that fills only {bits} bits, but no 16-bit image was trained on: read at full range, it is dark"
            ),
            Self::Beyond { value, black, white } => write!(
                f,
                "values as far as {value} lie beyond the run's scale, where {black} is black and {white} is white"
            ),
            Self::NotNumbers => f.write_str("some pixels are no numbers (NaN); they are shown black"),
            Self::ManyGreys { from, full } => {
                write!(f, "mask with many grey values: {from} and more of {full} count as marked")
            }
            Self::SeveralLevels { levels, from } => {
                let shown: Vec<String> = levels.iter().map(u16::to_string).collect();
                write!(
                    f,
                    "mask with several levels ({}): {from} and more count as marked, the others do not",
                    shown.join(", ")
                )
            }
            Self::Labels { largest } => write!(
                f,
                "mask with labels up to {largest} instead of 0 and 255: all but 0 count as marked"
            ),
            Self::Colors { count: 1 } => {
                f.write_str("mask in a color instead of white: all but black counts as marked")
            }
            Self::Colors { count } => {
                write!(f, "mask with {count} colors beside black: all of them count as marked")
            }
            Self::Alpha => f.write_str("the mask is taken from the alpha channel, its colors are constant"),
            Self::Reduced => f.write_str(
                "mask that was reduced before (grey borders one pixel wide): by DRAEM's rule its whole pixels count, 255",
            ),
            Self::Turned => f.write_str(
                "the image is turned by its EXIF orientation, the mask has none; it was turned as the image is",
            ),
            Self::Upright => {
                f.write_str("the image is turned by its EXIF orientation; the mask fits it as it is, and was not turned")
            }
            Self::OwnOrientation => {
                f.write_str("mask and image have different EXIF orientations; each was turned by its own")
            }
            Self::MarksNothing => f.write_str(
                "the mask of a defective image marks nothing; the image is left out of the pixel metrics",
            ),
            Self::MarksMost { percent } => {
                write!(f, "the mask marks {percent:.0} % of its image; is it inverted?")
            }
            Self::Vanishes { size } => write!(
                f,
                "no pixel of the mask is left at {}x{}, so the defect counts as normal in the pixel metrics",
                size.0, size.1
            ),
            Self::RegionsVanish { gone, of, size } => write!(
                f,
                "{gone} of the {of} regions of the mask have no pixel left at {}x{}",
                size.0, size.1
            ),
        }
    }
}

/// Files named in one line, and lines of one remark, at most.
const FILES_NAMED: usize = 3;
const LINES: usize = 20;

/// The notes by remark, in the order in which each remark came first.
pub(crate) fn alike(notes: &[Note]) -> Vec<Vec<&Note>> {
    let mut groups: Vec<Vec<&Note>> = Vec::new();
    for note in notes {
        let alike = |group: &&mut Vec<&Note>| {
            group.first().is_some_and(|first| {
                std::mem::discriminant(&first.remark) == std::mem::discriminant(&note.remark)
            })
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.push(note),
            None => groups.push(vec![note]),
        }
    }
    groups
}

/// The notes as lines to print, each with whether it is a [doubt](Remark::is_doubt). What is said of many files alike is said
/// once, with the first of them and their number.
pub fn lines(notes: &[Note]) -> Vec<(bool, String)> {
    let groups = alike(notes);
    let mut said = Vec::new();
    for group in groups {
        let Some(first) = group.first() else { continue };
        let doubt = first.remark.is_doubt();
        if first.remark.is_single() {
            for note in group.iter().take(LINES) {
                said.push((doubt, format!("{}: {}", note.path.display(), note.remark)));
            }
            if group.len() > LINES {
                said.push((
                    doubt,
                    format!("... and {} more masks like these", group.len() - LINES),
                ));
            }
            continue;
        }
        let named: Vec<String> = group
            .iter()
            .take(FILES_NAMED)
            .map(|note| note.path.display().to_string())
            .collect();
        let more = match group.len() - named.len() {
            0 => String::new(),
            1 => " and 1 more file".to_owned(),
            more => format!(" and {more} more files"),
        };
        said.push((doubt, format!("{}{more}: {}", named.join(", "), first.remark)));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(index: usize, remark: Remark) -> Note {
        Note {
            path: format!("{index}.png").into(),
            remark,
        }
    }

    #[test]
    fn what_is_alike_is_said_once_and_what_is_about_one_file_by_file() {
        let mut notes: Vec<Note> = (0..30).map(|i| note(i, Remark::Labels { largest: 2 })).collect();
        notes.push(note(30, Remark::MarksMost { percent: 97.0 }));
        notes.push(note(31, Remark::MarksMost { percent: 80.4 }));
        let said = lines(&notes);
        assert_eq!(said.len(), 3);
        assert_eq!(
            said[0].1,
            "0.png, 1.png, 2.png and 27 more files: mask with labels up to 2 instead of 0 and 255: all but 0 count as marked"
        );
        assert!(!said[0].0 && said[1].0);
        assert_eq!(
            said[2].1,
            "31.png: the mask marks 80 % of its image; is it inverted?"
        );
        let many: Vec<Note> = (0..50).map(|i| note(i, Remark::MarksNothing)).collect();
        let said = lines(&many);
        assert_eq!(said.len(), LINES + 1);
        assert!(said[LINES].1.contains("30 more"));
    }
}
