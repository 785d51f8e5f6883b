//! Which view the sizes of the files and their detail speak for, and what a small flaw becomes without it (proposal).

use std::fmt;

use flawforge_augment::evidence::Detail;

use crate::settings::{View, is_long};

/// From how many file pixels for one that is seen windows are proposed.
const REDUCED: f64 = 4.0;
/// Pixels that a flaw must have across where it is seen: less is not more than noise.
const SEEN: f64 = 3.0;

/// What the sizes of files say of a view in which every image is seen as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewProposal {
    /// The view to take.
    pub view: View,
    /// The view that is taken without it: [`View::Stretch`] or [`View::Fit`].
    pub instead_of: View,
    /// Width and height of the file in the middle of all, by its longer side.
    pub file: (u32, u32),
    /// Width and height in pixels of what is seen of an image.
    pub frame: (u32, u32),
    /// What the images themselves say; `None` where only their sizes were looked at.
    pub seen: Option<Seen>,
    /// The view to take where no windows are needed.
    whole: View,
}

/// What images lose where they are seen as a whole, in levels of 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Spread of the [detail](Detail::lost) that cannot be shown there.
    pub lost: f64,
    /// Spread of the noise of the files.
    pub noise: f64,
}

impl ViewProposal {
    /// What images with files of these sizes need, of a method that sees squares of `side` pixels, or under [`View::Fit`] frames of
    /// that area; `None` where this `view` of the whole image is as good, or without sizes. Large images: windows at the scale of
    /// the files. Long ones: their aspect ratio.
    pub fn of(sizes: &[(u32, u32)], view: View, side: u32) -> Option<Self> {
        let mut sizes = sizes.to_vec();
        sizes.sort_by_key(|&(width, height)| width.max(height));
        let file = *sizes.get(sizes.len() / 2)?;
        let whole = match view.is_stretch() && is_long(file) {
            // Images of more than 64 to 1 have no frame: windows see them.
            true => View::fitting(&sizes)
                .filter(|fit| fit.check().is_ok())
                .unwrap_or(View::tiles(1.0)),
            false => view,
        };
        let mut proposal = Self {
            view: whole,
            instead_of: view,
            file,
            frame: view.frame(side.max(1), true),
            seen: None,
            whole,
        };
        let (across, down) = proposal.reduction();
        if across.max(down) >= REDUCED {
            proposal.view = View::tiles(1.0);
        }
        proposal.is_another().then_some(proposal)
    }

    /// The same of images that were looked at: large ones need no windows if none of their detail is lost as it is; those of
    /// parts are seen as a whole too, those of a surface in windows alone. Windows are at the scale of the files: flaws may be sharper than
    /// anything normal.
    pub fn looked_at(self, detail: &Detail, shows_parts: bool) -> Self {
        if !matches!(self.view, View::Tiles { .. }) {
            return self;
        }
        let reduction = self.reduction();
        let view = match (detail.is_lost(reduction), shows_parts) {
            (true, true) => View::two_scales(1.0),
            (true, false) => View::tiles(1.0),
            (false, _) => self.whole,
        };
        Self {
            view,
            seen: Some(Seen {
                lost: detail.lost(reduction),
                noise: detail.noise(),
            }),
            ..self
        }
    }

    /// Whether images must be looked at before the proposal is known: sizes alone say that they are large.
    pub fn needs_a_look(&self) -> bool {
        self.seen.is_none() && matches!(self.view, View::Tiles { .. })
    }

    /// Whether another view is better than that which is taken without it.
    pub fn is_another(&self) -> bool {
        self.view != self.instead_of
    }

    /// File pixels, across and down, for one that is seen.
    pub fn reduction(&self) -> (f64, f64) {
        let of = |file: u32, seen: u32| f64::from(file) / f64::from(seen.max(1));
        (of(self.file.0, self.frame.0), of(self.file.1, self.frame.1))
    }
}

impl fmt::Display for ViewProposal {
    /// What happens without it, what that rests on, and which view does otherwise, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.file;
        let (across, down) = self.reduction();
        let most = across.max(down);
        let smallest = (SEEN * most).ceil();
        match (self.view, &self.seen) {
            (View::Tiles { .. }, None) => write!(
                f,
                "images of {width}x{height} are reduced {most:.0} times; flaws under {smallest:.0} px vanish; `--view tiles` sees them"
            ),
            (View::Tiles { whole, .. }, Some(seen)) => {
                let (shown, name, sees) = match whole {
                    true => ("parts", "two-scales", "sees them, and each part as a whole"),
                    false => ("a surface", "tiles", "sees them"),
                };
                write!(
                    f,
                    "images of {width}x{height} are reduced {most:.0} times and lose {seen}; flaws under {smallest:.0} px vanish; \
                     the images show {shown}: `--view {name}` {sees}"
                )
            }
            (view, seen) if view == self.instead_of => {
                write!(f, "images of {width}x{height} are reduced {most:.0} times")?;
                if let Some(seen) = seen {
                    write!(f, " and lose hardly any detail ({seen})")?;
                }
                let whole = if view.is_stretch() { "the square" } else { "that" };
                write!(
                    f,
                    "; {whole} will do, but flaws under {smallest:.0} px, if there are any, vanish (`--view tiles` sees them)"
                )
            }
            (_, seen) => {
                write!(f, "images of {width}x{height} are squeezed into a square")?;
                if let Some(seen) = seen {
                    write!(
                        f,
                        ", and lose hardly any detail by being reduced {most:.0} times ({seen})"
                    )?;
                }
                f.write_str("; `--view fit` keeps their shape")
            }
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} of 255 levels of detail beside noise of {:.1}",
            self.lost, self.noise
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use flawforge_augment::Stream;
    use flawforge_augment::evidence::shows_parts;
    use flawforge_datasets::{Loading, demo};
    use flawforge_resample::resize::bilinear_rgb;
    use image::{Rgb, RgbImage};
    use rand::Rng;

    use super::*;

    static SHEETS: LazyLock<Vec<RgbImage>> = LazyLock::new(|| demo::at_file_size("sheet", 4, 7));

    /// What is proposed for images of files of this size in a square of this side.
    fn proposed(images: &[RgbImage], side: u32) -> ViewProposal {
        let sizes: Vec<(u32, u32)> = images.iter().map(RgbImage::dimensions).collect();
        let squares: Vec<RgbImage> = images
            .iter()
            .map(|image| bilinear_rgb(image, side, side))
            .collect();
        let parts = shows_parts(&squares.iter().collect::<Vec<_>>());
        let detail = Detail::of(images).unwrap();
        let proposal = ViewProposal::of(&sizes, View::Stretch, side).unwrap();
        assert!(proposal.needs_a_look());
        proposal.looked_at(&detail, parts)
    }

    #[test]
    fn a_large_textured_sheet_is_seen_in_windows() {
        let proposal = proposed(&SHEETS, 256);
        assert_eq!(proposal.view, View::tiles(1.0), "{proposal}");
        let text = proposal.to_string();
        assert!(
            text.contains("reduced 8 times") && text.contains("a surface: `--view tiles` sees them"),
            "{text}"
        );
    }

    #[test]
    fn a_large_part_is_seen_in_windows_and_as_a_whole() {
        let gears = demo::category("gear", &Loading::opencv(256, 256), 3).unwrap();
        let gears = gears.train.iter().take(6);
        let gears: Vec<RgbImage> = gears.map(|one| one.image().unwrap().into_owned()).collect();
        let proposal = proposed(&gears, 64);
        assert_eq!(proposal.view, View::two_scales(1.0), "{proposal}");
        assert!(
            proposal.to_string().contains("parts: `--view two-scales"),
            "{proposal}"
        );
    }

    #[test]
    fn large_images_without_detail_need_no_windows() {
        let mut rng = Stream::of_run(5).rng("noise");
        for long in [false, true] {
            let size = if long { (1024, 512) } else { (1024, 1024) };
            let soft: Vec<RgbImage> = SHEETS
                .iter()
                .map(|sheet| {
                    // As coarse as the square of 256 px, and noise of the camera.
                    let small = bilinear_rgb(sheet, size.0 / 8, size.1 / 8);
                    let mut soft = image::imageops::resize(
                        &small,
                        size.0,
                        size.1,
                        image::imageops::FilterType::CatmullRom,
                    );
                    for Rgb(levels) in soft.pixels_mut() {
                        let noise = rng.random_range(-4.0..4.0f32);
                        *levels = levels.map(|level| (f32::from(level) + noise).round() as u8);
                    }
                    soft
                })
                .collect();
            let proposal = proposed(&soft, 256);
            assert!(proposal.to_string().contains("hardly any detail"), "{proposal}");
            match long {
                true => assert_eq!(proposal.view.to_string(), "fit 1024:512", "{proposal}"),
                false => assert!(proposal.view.is_stretch(), "{proposal}"),
            }
        }
    }

    #[test]
    fn large_images_are_seen_in_windows_and_long_ones_in_their_shape() {
        let of = |sizes: &[(u32, u32)]| ViewProposal::of(sizes, View::Stretch, 256);
        let large = of(&[(4096, 512); 5]).unwrap();
        assert_eq!(large.view, View::tiles(1.0));
        assert_eq!(
            large.to_string(),
            "images of 4096x512 are reduced 16 times; flaws under 48 px vanish; `--view tiles` sees them"
        );
        let long = of(&[(600, 200), (610, 200), (620, 200)]).unwrap();
        assert_eq!(long.view.to_string(), "fit 610:200");
        assert!(long.to_string().starts_with("images of 610x200 are squeezed"));
        assert_eq!(of(&[(900, 900), (700, 900)]), None);
        let mixed = of(&[(600, 200), (200, 600), (300, 300)]).unwrap();
        assert_eq!(mixed.view.to_string(), "fit 300:300", "most are squeezed");
        assert_eq!(
            of(&[(900, 9); 5]).unwrap().view,
            View::tiles(1.0),
            "no frame has that shape"
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn images_in_their_shape_need_windows_later() {
        let of = |size| ViewProposal::of(&[size; 5], View::fitting(&[size]).unwrap(), 256);
        // 640x128 px are seen: the square would reduce the width of the first ten times.
        assert_eq!(of((2500, 500)), None);
        let large = of((3200, 640)).unwrap();
        assert_eq!((large.view, large.frame), (View::tiles(1.0), (640, 128)));
        assert!(large.to_string().contains("are reduced 5 times"), "{large}");
        let detail = Detail::of(&SHEETS).unwrap();
        assert!(matches!(large.looked_at(&detail, false).view, View::Tiles { .. }));
    }
}
