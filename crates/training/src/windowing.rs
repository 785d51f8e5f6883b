//! What a view other than the papers' square asks of a training: images of any size, seen in windows.

use std::borrow::Cow;

use flawforge_augment::Stream;
use flawforge_models::{Detector, Place, Windowed};
use flawforge_resample::{Sizing, Window, Windows};
use image::RgbImage;
use rand::Rng;

/// How a method sees images of any size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windowing {
    /// The size that images are held at.
    pub sizing: Sizing,
    /// What the method sees of them at once.
    pub windows: Windows,
}

impl Windowing {
    /// A window anywhere over an image, the same for the same stream.
    pub(crate) fn drawn(&self, size: (u32, u32), stream: Stream) -> Window {
        let mut rng = stream.rng("window");
        self.windows.anywhere(size, (rng.random(), rng.random()))
    }

    /// A detector of whole images by one of windows.
    pub(crate) fn over(&self, detector: Box<dyn Detector>) -> Box<dyn Detector> {
        Box::new(Windowed::new(detector, self.sizing, self.windows))
    }
}

/// Pixels of halvings: networks halve an image five times at most.
const HALVINGS: u32 = 32;

/// Pixels by which a window may be moved so that a network finds the same in it, moved, where it sees the window, `largest` pixels
/// a side, at each of `sides`, one number for `stride` pixels of these. That of five halvings where it would be more than an eighth of
/// the window.
pub(crate) fn step(stride: u32, largest: u32, sides: &[u32]) -> u32 {
    let step = sides.iter().fold(1, |step, &side| {
        let pixels = stride * largest;
        lcm(step, pixels / gcd(pixels, side.max(1)))
    });
    if step > largest / 8 { HALVINGS } else { step }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn lcm(a: u32, b: u32) -> u32 {
    a / gcd(a, b).max(1) * b
}

/// What a training sample is made on: the whole image, or a window anywhere over it.
pub(crate) fn shown<'a>(
    windowing: Option<&Windowing>,
    image: Cow<'a, RgbImage>,
    stream: Stream,
) -> Cow<'a, RgbImage> {
    match windowing {
        None => image,
        Some(windowing) => {
            let window = windowing.drawn(image.dimensions(), stream);
            Cow::Owned(windowing.windows.cut(&image, window))
        }
    }
}

/// A detector of whole images by one of what a method sees at once.
pub(crate) fn over(windowing: Option<&Windowing>, detector: Box<dyn Detector>) -> Box<dyn Detector> {
    match windowing {
        None => detector,
        Some(windowing) => windowing.over(detector),
    }
}

/// The windows over an image of this size; none, once, for the image as it is.
pub(crate) fn places(windowing: Option<&Windowing>, size: (u32, u32)) -> Vec<Option<Window>> {
    match windowing {
        None => vec![None],
        Some(windowing) => windowing.windows.over(size).into_iter().map(Some).collect(),
    }
}

/// Where in an image of this size one of these [places] lies.
pub(crate) fn lies(windowing: Option<&Windowing>, size: (u32, u32), window: Option<Window>) -> Place {
    match (windowing, window) {
        (Some(windowing), Some(window)) => Place::of(window, windowing.windows.frame, size),
        _ => Place::WHOLE,
    }
}

/// What one of these [places] shows of an image.
pub(crate) fn cut<'a>(
    windowing: Option<&Windowing>,
    image: &'a RgbImage,
    place: Option<Window>,
) -> Cow<'a, RgbImage> {
    match (windowing, place) {
        (Some(windowing), Some(window)) => Cow::Owned(windowing.windows.cut(image, window)),
        _ => Cow::Borrowed(image),
    }
}

/// What all of them show.
pub(crate) fn parts<'a>(windowing: Option<&Windowing>, image: &'a RgbImage) -> Vec<Cow<'a, RgbImage>> {
    places(windowing, image.dimensions())
        .into_iter()
        .map(|place| cut(windowing, image, place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_whole_pixels_at_every_size() {
        assert_eq!(step(16, 384, &[256, 384]), 48);
        assert_eq!(step(16, 256, &[256]), 16);
        assert_eq!(step(32, 256, &[256]), 32);
        assert_eq!(step(16, 320, &[224, 320]), HALVINGS);
    }
}
