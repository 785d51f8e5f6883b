//! The size at which an image is held, from the size of its file.

use std::hash::{Hash, Hasher};

/// Sides of what networks take are multiples of this: they halve an image five times.
const MULTIPLE: u32 = 32;

/// At which size (width, height in pixels) an image is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sizing {
    /// Every image at this size; the aspect ratio is ignored.
    Exactly((u32, u32)),
    /// The aspect ratio is kept. An image that has nearly the aspect ratio of this frame fits into it; one that has not gets
    /// about as many pixels.
    Within((u32, u32)),
    /// So many pixels for one of the file, above 0; the aspect ratio is kept.
    Scaled(f64),
}

// A factor is a number: NaN has no place here.
impl Eq for Sizing {}

impl Hash for Sizing {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Exactly(size) | Self::Within(size) => size.hash(state),
            Self::Scaled(factor) => factor.to_bits().hash(state),
        }
    }
}

impl Sizing {
    /// How much smaller than its share of pixels, in length, an image may be shown so that it fits a frame as a whole (proposal).
    pub const SMALLER: f64 = 0.85;

    /// The size of an image whose file has this width and height, at least one pixel each.
    pub fn of(&self, file: (u32, u32)) -> (u32, u32) {
        let factor = match *self {
            Self::Exactly(size) => return size,
            Self::Scaled(factor) => factor,
            Self::Within(frame) => {
                let share = |frame: u32, file: u32| f64::from(frame) / f64::from(file.max(1));
                let (across, down) = (share(frame.0, file.0), share(frame.1, file.1));
                let (whole, same) = (across.min(down), (across * down).sqrt());
                if whole >= Self::SMALLER * same {
                    whole
                } else {
                    same
                }
            }
        };
        let side = |length: u32| (f64::from(length) * factor).round().max(1.0) as u32;
        (side(file.0), side(file.1))
    }

    /// Pixels of an image of this file size.
    pub fn pixels(&self, file: (u32, u32)) -> u64 {
        let (width, height) = self.of(file);
        u64::from(width) * u64::from(height)
    }
}

/// A frame with about the area of a square of `side` pixels and about the aspect ratio of `size`; both its sides are
/// multiples of 32: 256 px and 1000×200 give 640×128.
pub fn frame(side: u32, size: (u32, u32)) -> (u32, u32) {
    let (width, height) = (f64::from(size.0.max(1)), f64::from(size.1.max(1)));
    let multiple = |length: f64| {
        let multiple = f64::from(MULTIPLE);
        ((length / multiple).round().max(1.0) * multiple) as u32
    };
    let (long, short) = (width.max(height), width.min(height));
    let shorter = multiple(f64::from(side) * (short / long).sqrt());
    let longer = multiple(f64::from(shorter) * long / short);
    match width >= height {
        true => (longer, shorter),
        false => (shorter, longer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_keeps_area_and_aspect_in_multiples_of_32() {
        assert_eq!(frame(256, (1000, 200)), (640, 128));
        assert_eq!(frame(256, (200, 1000)), (128, 640));
        assert_eq!(frame(256, (900, 900)), (256, 256));
        assert_eq!(frame(256, (300, 218)), (320, 224));
        assert_eq!(frame(384, (300, 218)), (448, 320));
        assert_eq!(frame(64, (10_000, 1)), (320_000, 32));
    }

    #[test]
    fn an_image_fits_its_frame_or_has_its_share_of_pixels() {
        let within = Sizing::Within((320, 224));
        assert_eq!(within.of((300, 218)), (308, 224));
        assert_eq!(within.of((600, 436)), (308, 224));
        // Another aspect: the same area, beyond the frame to one side.
        let (width, height) = within.of((100, 400));
        assert!(width < 224 && height > 224, "{width} {height}");
        assert!((f64::from(width) * f64::from(height) / (320.0 * 224.0) - 1.0).abs() < 0.02);
    }

    #[test]
    fn other_sizes_are_exact_or_in_proportion() {
        assert_eq!(Sizing::Exactly((256, 256)).of((4000, 30)), (256, 256));
        assert_eq!(Sizing::Scaled(0.5).of((4000, 31)), (2000, 16));
        assert_eq!(Sizing::Scaled(1.0).of((4096, 512)), (4096, 512));
        assert_eq!(Sizing::Scaled(0.01).of((4, 4)), (1, 1));
        assert_eq!(Sizing::Scaled(0.5).pixels((40, 20)), 200);
    }
}
