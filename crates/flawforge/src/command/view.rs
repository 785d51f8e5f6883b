//! The view that a person asks for.

use std::str::FromStr;

use anyhow::{Context, Result};
use flawforge::training::settings::View;

use crate::command::source::CategoryArgs;

/// `--view`: a name, of tiles with their scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AskedView {
    Stretch,
    Fit,
    Tiles(f64),
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
    /// The view, for the images of a category.
    pub(crate) fn of(self, category: &CategoryArgs) -> Result<View> {
        Ok(match self {
            Self::Stretch => View::Stretch,
            Self::Tiles(scale) => View::tiles(scale),
            Self::TwoScales(scale) => View::two_scales(scale),
            Self::Fit => View::fitting(&category.file_sizes()?)
                .context("no normal images whose aspect ratio could be kept")?,
        })
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
