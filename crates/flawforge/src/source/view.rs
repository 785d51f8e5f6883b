//! The view that a person asks for.

use std::str::FromStr;

use flawforge_training::settings::View;

/// A view by its name, of tiles with their scale: `stretch`, `fit`, `tiles`, `tiles:0.5`, `two-scales`, `two-scales:0.5`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum AskedView {
    /// The square.
    Stretch,
    /// The aspect ratio of the images.
    Fit,
    /// Windows, at so many pixels for one of the file.
    Tiles(f64),
    /// The same, and the whole image beside them.
    TwoScales(f64),
}

impl FromStr for AskedView {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (name, scale) = match text.split_once(':') {
            Some((name, scale)) => (name, Some(scale)),
            None => (text, None),
        };
        let at = || match scale.map(str::parse) {
            None => Ok(1.0),
            Some(Ok(scale)) if scale > 0.0 => Ok(scale),
            Some(_) => Err(format!(
                "`{text}` names no scale; `{name}:0.5` is half that of the files"
            )),
        };
        match (name, scale) {
            ("stretch", None) => Ok(Self::Stretch),
            ("fit", None) => Ok(Self::Fit),
            ("tiles", _) => Ok(Self::Tiles(at()?)),
            ("two-scales", _) => Ok(Self::TwoScales(at()?)),
            _ => {
                Err("there are stretch, fit, tiles, two-scales, tiles:SCALE and two-scales:SCALE".to_owned())
            }
        }
    }
}

impl AskedView {
    /// The view, for images with files of these sizes (width, height); `None` where it depends on sizes and there are none.
    pub fn of(self, sizes: &[(u32, u32)]) -> Option<View> {
        match self {
            Self::Stretch => Some(View::Stretch),
            Self::Tiles(scale) => Some(View::tiles(scale)),
            Self::TwoScales(scale) => Some(View::two_scales(scale)),
            Self::Fit => View::fitting(sizes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_are_asked_for_by_name() {
        assert_eq!("fit".parse(), Ok(AskedView::Fit));
        assert_eq!("tiles".parse(), Ok(AskedView::Tiles(1.0)));
        assert_eq!("tiles:0.25".parse(), Ok(AskedView::Tiles(0.25)));
        assert_eq!("two-scales".parse(), Ok(AskedView::TwoScales(1.0)));
        for wrong in [
            "tiles:0",
            "tiles:x",
            "tiles:-1",
            "two-scales:a",
            "fit:2",
            "tile",
            "",
        ] {
            assert!(wrong.parse::<AskedView>().is_err(), "{wrong}");
        }
    }
}
