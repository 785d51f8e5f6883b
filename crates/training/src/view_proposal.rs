//! Which view the sizes of the files speak for, and what a small flaw becomes without it (proposal).

use std::fmt;

use crate::settings::View;

/// From how many file pixels for one that is seen windows are proposed.
const REDUCED: f64 = 4.0;
/// From which ratio of the longer side to the shorter one keeping the aspect ratio is proposed.
const LONG: f64 = 1.5;
/// Pixels that a flaw must have across where it is seen: less is not more than noise.
const SEEN: f64 = 3.0;

/// What the sizes of files say of a view in which every image becomes a square.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewProposal {
    /// The view to take.
    pub view: View,
    /// Width and height of the file in the middle of all, by its longer side.
    pub file: (u32, u32),
    /// Side of the square in pixels.
    pub side: u32,
}

impl ViewProposal {
    /// What images with files of these sizes need, of a method that sees squares of `side` pixels; `None` where the square is as
    /// good, or without sizes. Large images: windows at the scale of the files. Long ones: their aspect ratio.
    pub fn of(sizes: &[(u32, u32)], side: u32) -> Option<Self> {
        let mut sizes = sizes.to_vec();
        sizes.sort_by_key(|&(width, height)| width.max(height));
        let file = *sizes.get(sizes.len() / 2)?;
        let proposal = |view| Some(Self { view, file, side });
        let (long, short) = (
            f64::from(file.0.max(file.1)),
            f64::from(file.0.min(file.1).max(1)),
        );
        if long / f64::from(side.max(1)) >= REDUCED {
            return proposal(View::tiles(1.0));
        }
        match long / short >= LONG {
            true => proposal(View::fitting(&sizes)?),
            false => None,
        }
    }

    /// File pixels, across and down, for one that is seen in the square.
    pub fn reduction(&self) -> (f64, f64) {
        let of = |file: u32| f64::from(file) / f64::from(self.side.max(1));
        (of(self.file.0), of(self.file.1))
    }
}

impl fmt::Display for ViewProposal {
    /// What happens in the square, and which view does otherwise, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.file;
        let (across, down) = self.reduction();
        match self.view {
            View::Tiles { .. } => {
                let most = across.max(down);
                write!(
                    f,
                    "images of {width}x{height} are reduced {most:.0} times; flaws under {:.0} px vanish; `--view tiles` sees them",
                    (SEEN * most).ceil()
                )
            }
            _ => write!(
                f,
                "images of {width}x{height} are squeezed into a square; `--view fit` keeps their shape"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_seen_in_windows_and_long_ones_in_their_shape() {
        let large = ViewProposal::of(&[(4096, 512); 5], 256).unwrap();
        assert_eq!(large.view, View::tiles(1.0));
        assert_eq!(
            large.to_string(),
            "images of 4096x512 are reduced 16 times; flaws under 48 px vanish; `--view tiles` sees them"
        );
        let long = ViewProposal::of(&[(600, 200), (610, 200), (620, 200)], 256).unwrap();
        assert_eq!(long.view.to_string(), "fit 610:200");
        assert!(long.to_string().starts_with("images of 610x200 are squeezed"));
        assert_eq!(ViewProposal::of(&[(900, 900), (700, 900)], 256), None);
        assert_eq!(ViewProposal::of(&[], 256), None);
    }
}
