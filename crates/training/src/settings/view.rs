//! How an image is seen: squeezed to a square, at its aspect ratio, or in windows at a stated scale.

use std::fmt;

use flawforge_resample::{Sizing, frame};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::settings::ranges::between;

/// How an image is seen. Of the views other than [`Stretch`](Self::Stretch) all constants are proposals.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[serde(
    expecting = "a table: kind = \"stretch\", kind = \"fit\" with an aspect = [WIDTH, HEIGHT], or kind = \"tiles\" (`--view` says the same in a word)"
)]
#[non_exhaustive]
pub enum View {
    /// The square of the papers: every image as a whole, its aspect ratio ignored.
    #[default]
    Stretch,
    /// Every image as a whole where it has about this aspect ratio, which is kept; another one in windows of that shape.
    Fit {
        /// Width and height that the aspect ratio is taken from, in any unit: those of most normal images.
        aspect: (u32, u32),
        /// The least share of a window's side that it has in common with the next one.
        #[serde(default = "overlap")]
        overlap: f64,
    },
    /// Windows of the method's own size, on images at a scale.
    Tiles {
        /// Pixels of an image for one of its file.
        #[serde(default = "native")]
        scale: f64,
        /// The least share of a window's side that it has in common with the next one.
        #[serde(default = "overlap")]
        overlap: f64,
        /// Whether the image is seen as a whole too, in the papers' square: a product may need both.
        #[serde(default, skip_serializing_if = "is_false")]
        whole: bool,
    },
}

/// From which ratio of the longer side to the shorter one an image is long: a square squeezes it (proposal).
const LONG: f64 = 1.5;

/// Whether an image of this width and height is.
pub(crate) fn is_long((width, height): (u32, u32)) -> bool {
    f64::from(width.max(height)) >= LONG * f64::from(width.min(height))
}

/// Share of the images that must have the shape of most of them (proposal).
const ALIKE: f64 = 0.9;

/// Three eighths: an eighth of a window at each of its ends counts for nothing, where a network sees what is beyond as nothing.
fn overlap() -> f64 {
    0.375
}

fn is_false(whole: &bool) -> bool {
    !whole
}

fn native() -> f64 {
    1.0
}

impl View {
    /// Images at the aspect ratio of most of those with these file sizes; `None` without any.
    pub fn fitting(sizes: &[(u32, u32)]) -> Option<Self> {
        let mut sizes = sizes.to_vec();
        let share = |&(width, height): &(u32, u32)| f64::from(width) / f64::from(height.max(1));
        sizes.sort_by(|a, b| share(a).total_cmp(&share(b)));
        Some(Self::Fit {
            aspect: *sizes.get(sizes.len() / 2)?,
            overlap: overlap(),
        })
    }

    /// The aspect ratio of images of these file sizes, where they are long and of one shape: the longer side of most has at least
    /// one and a half times the shorter one, and nine in ten fit the frame of a square of `side` pixels as a whole. `None` for others:
    /// a square does them no harm, or no frame would be that of all.
    pub fn of_one_long_shape(sizes: &[(u32, u32)], side: u32) -> Option<Self> {
        let view = Self::fitting(sizes)?;
        view.check().ok()?;
        let Self::Fit {
            aspect: (width, height),
            ..
        } = view
        else {
            return None;
        };
        let (frame, sizing) = (view.frame(side, true), view.sizing(side));
        let whole = |&&file: &&(u32, u32)| {
            let (width, height) = sizing.of(file);
            width <= frame.0 && height <= frame.1
        };
        let alike = sizes.iter().filter(whole).count();
        (is_long((width, height)) && alike as f64 >= ALIKE * sizes.len() as f64).then_some(view)
    }

    /// Windows at this scale.
    pub fn tiles(scale: f64) -> Self {
        Self::Tiles {
            scale,
            overlap: overlap(),
            whole: false,
        }
    }

    /// Windows at this scale, and the image as a whole.
    pub fn two_scales(scale: f64) -> Self {
        Self::Tiles {
            scale,
            overlap: overlap(),
            whole: true,
        }
    }

    /// Whether images are seen in windows and as a whole.
    pub(crate) fn is_two_scales(&self) -> bool {
        matches!(self, Self::Tiles { whole: true, .. })
    }

    /// Whether it is the papers' square.
    pub fn is_stretch(&self) -> bool {
        *self == Self::Stretch
    }

    /// Checks the ranges.
    pub(crate) fn check(&self) -> Result<()> {
        let overlaps = match *self {
            Self::Stretch => return Ok(()),
            Self::Fit { aspect, overlap } => {
                between("view.aspect", aspect.0.into(), 1.0, 1e6)?;
                between("view.aspect", aspect.1.into(), 1.0, 1e6)?;
                let (width, height) = (f64::from(aspect.0), f64::from(aspect.1));
                between(
                    "view.aspect (as a ratio)",
                    (width / height).max(height / width),
                    1.0,
                    64.0,
                )?;
                overlap
            }
            Self::Tiles { scale, overlap, .. } => {
                between("view.scale", scale, 1e-3, 8.0)?;
                overlap
            }
        };
        between("view.overlap", overlaps, 0.0, 0.75)
    }

    /// Width and height of what a method sees at once, which takes squares of `side` pixels, or `rectangles` of that area too.
    pub(crate) fn frame(&self, side: u32, rectangles: bool) -> (u32, u32) {
        match *self {
            Self::Fit { aspect, .. } if rectangles => frame(side, aspect),
            _ => (side, side),
        }
    }

    /// The size that images are held at for a method whose squares have `side` pixels.
    pub(crate) fn sizing(&self, side: u32) -> Sizing {
        match *self {
            Self::Stretch => Sizing::Exactly((side, side)),
            Self::Fit { aspect, .. } => Sizing::Within(frame(side, aspect)),
            Self::Tiles { scale, .. } => Sizing::Scaled(scale),
        }
    }

    /// The least overlap of windows; `None` where there are none.
    pub(crate) fn overlap(&self) -> Option<f64> {
        match *self {
            Self::Stretch => None,
            Self::Fit { overlap, .. } | Self::Tiles { overlap, .. } => Some(overlap),
        }
    }
}

impl fmt::Display for View {
    /// `stretch`, `fit 1000:200`, `tiles`, `tiles at 0.5`, `tiles and whole`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Stretch => f.write_str("stretch"),
            Self::Fit { aspect, .. } => write!(f, "fit {}:{}", aspect.0, aspect.1),
            Self::Tiles { scale, whole, .. } => {
                f.write_str("tiles")?;
                if scale != 1.0 {
                    write!(f, " at {scale}")?;
                }
                f.write_str(if whole { " and whole" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_aspect_is_that_of_the_image_in_the_middle() {
        let sizes = [(100, 400), (300, 200), (310, 200), (305, 200), (900, 100)];
        let view = View::fitting(&sizes).unwrap();
        assert_eq!(view.to_string(), "fit 305:200");
        assert_eq!(view.frame(256, true), (288, 192));
        assert_eq!(view.frame(256, false), (256, 256));
        assert!(View::fitting(&[]).is_none());
    }

    #[test]
    fn long_images_of_one_shape_keep_it() {
        let plates = [(500, 1260), (500, 1266), (501, 1240), (500, 1259)];
        let view = View::of_one_long_shape(&plates, 256).unwrap();
        assert_eq!(view.to_string(), "fit 500:1259");
        // One in twenty may have another shape, one in five not; square images and such of all shapes have no long one.
        let with = |others: usize| [vec![(500, 1260); 20 - others], vec![(900, 900); others]].concat();
        assert!(View::of_one_long_shape(&with(1), 256).is_some());
        assert_eq!(View::of_one_long_shape(&with(4), 256), None);
        assert_eq!(View::of_one_long_shape(&[(900, 700); 5], 256), None);
        let mixed = [(523, 333), (215, 400), (400, 160), (300, 300), (500, 250)];
        assert_eq!(View::of_one_long_shape(&mixed, 256), None);
        assert_eq!(View::of_one_long_shape(&[], 256), None);
        assert_eq!(
            View::of_one_long_shape(&[(10_000, 20); 5], 256),
            None,
            "no frame has that shape"
        );
    }

    #[test]
    fn a_view_is_its_text() {
        for (view, text) in [
            (View::Stretch, "kind = \"stretch\"\n"),
            (
                View::tiles(0.5),
                "kind = \"tiles\"\nscale = 0.5\noverlap = 0.375\n",
            ),
            (
                View::two_scales(0.5),
                "kind = \"tiles\"\nscale = 0.5\noverlap = 0.375\nwhole = true\n",
            ),
            (
                View::fitting(&[(1000, 200)]).unwrap(),
                "kind = \"fit\"\naspect = [1000, 200]\noverlap = 0.375\n",
            ),
        ] {
            assert_eq!(toml::to_string(&view).unwrap(), text);
            assert_eq!(toml::from_str::<View>(text).unwrap(), view);
        }
        assert_eq!(
            toml::from_str::<View>("kind = \"tiles\"").unwrap(),
            View::tiles(1.0)
        );
        assert!(toml::from_str::<View>("kind = \"tiles\"\nsize = 3").is_err());
    }

    #[test]
    fn ranges_are_checked() {
        assert!(View::tiles(1.0).check().is_ok() && View::Stretch.check().is_ok());
        for wrong in [
            View::tiles(0.0),
            View::tiles(f64::NAN),
            View::Tiles {
                scale: 1.0,
                overlap: 0.9,
                whole: false,
            },
            View::Fit {
                aspect: (1, 0),
                overlap: 0.25,
            },
            View::Fit {
                aspect: (1000, 1),
                overlap: 0.25,
            },
        ] {
            let message = wrong.check().unwrap_err().to_string();
            assert!(message.contains("view."), "{message}");
        }
    }
}
