//! Where in a whole image a part of it lies.

use flawforge_resample::Window;

/// Where in a whole image lies what a detector is given, in shares of the whole's width and height.
///
/// A window may stand over the border, where it shows the image mirrored: what is there has the place at which it is shown, below
/// 0 or above 1, and not that of what it mirrors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Left end.
    pub left: f32,
    /// Upper end.
    pub top: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl Place {
    /// All of the image.
    pub const WHOLE: Self = Self {
        left: 0.0,
        top: 0.0,
        width: 1.0,
        height: 1.0,
    };

    /// That of a window of this width and height in an image of this width and height, all in pixels.
    pub fn of(window: Window, frame: (u32, u32), image: (u32, u32)) -> Self {
        let share = |pixels: f32, length: u32| pixels / length.max(1) as f32;
        Self {
            left: share(window.x as f32, image.0),
            top: share(window.y as f32, image.1),
            width: share(frame.0 as f32, image.0),
            height: share(frame.1 as f32, image.1),
        }
    }

    /// The place in the whole image, where this one is in a part of it that lies at `outer`.
    #[must_use]
    pub fn within(self, outer: Self) -> Self {
        let (left, top) = outer.at(self.left, self.top);
        Self {
            left,
            top,
            width: outer.width * self.width,
            height: outer.height * self.height,
        }
    }

    /// Where in the whole image a point of the part lies, from the left and from above, both in shares.
    pub fn at(self, across: f32, down: f32) -> (f32, f32) {
        (self.left + self.width * across, self.top + self.height * down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_a_part_has_its_place_in_the_whole() {
        let part = Place::of(Window { x: 100, y: -20 }, (200, 160), (400, 80));
        assert_eq!(
            part,
            Place {
                left: 0.25,
                top: -0.25,
                width: 0.5,
                height: 2.0,
            }
        );
        let window = Place::of(Window { x: 50, y: 80 }, (50, 40), (200, 160));
        let direct = Place::of(Window { x: 150, y: 60 }, (50, 40), (400, 80));
        assert_eq!(window.within(part), direct);
        assert_eq!(part.within(Place::WHOLE), part);
        assert_eq!(Place::WHOLE.within(part), part);
        assert_eq!(part.at(0.5, 0.25), (0.5, 0.25));
        let all = Place::of(Window { x: 0, y: 0 }, (96, 41), (96, 41));
        assert_eq!(all, Place::WHOLE);
    }
}
