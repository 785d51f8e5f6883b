//! Windows over an image: parts of one size that cover it, one beside the other with overlap.

use image::RgbImage;

/// Windows of one size over images of any size.
///
/// ```
/// use flawforge_resample::Windows;
///
/// let windows = Windows::new((256, 256), 0.25);
/// let starts: Vec<i64> = windows.over((600, 256)).iter().map(|window| window.x).collect();
/// assert_eq!(starts, [0, 172, 344]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Width and height of a window in pixels.
    pub frame: (u32, u32),
    /// The least share of a window's side that it has in common with the next one, from 0 to below 1.
    pub overlap: f64,
    /// Pixels at the left, top, right and bottom of a window that are surroundings alone: the rest of the windows covers the
    /// image.
    pub margin: [u32; 4],
}

/// The place of a window: its upper left corner in pixels of the image. A window may stand over the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Column of its left end.
    pub x: i64,
    /// Row of its upper end.
    pub y: i64,
}

impl Windows {
    /// Windows without surroundings.
    pub fn new(frame: (u32, u32), overlap: f64) -> Self {
        Self {
            frame,
            overlap,
            margin: [0; 4],
        }
    }

    /// Width and height of what a window covers, without its surroundings.
    pub fn covered(&self) -> (u32, u32) {
        let [left, top, right, bottom] = self.margin;
        (
            self.frame.0.saturating_sub(left + right).max(1),
            self.frame.1.saturating_sub(top + bottom).max(1),
        )
    }

    /// The windows that cover an image of this width and height, row by row. An image that is smaller than what a window covers
    /// has one, with the image in its middle.
    pub fn over(&self, size: (u32, u32)) -> Vec<Window> {
        let covered = self.covered();
        let columns = starts(size.0, covered.0, self.overlap, self.margin[0]);
        let rows = starts(size.1, covered.1, self.overlap, self.margin[1]);
        let place = |y: i64| columns.iter().map(move |&x| Window { x, y });
        rows.into_iter().flat_map(place).collect()
    }

    /// A window anywhere over an image of this size: `share` tells where in each direction, from 0 to below 1.
    pub fn anywhere(&self, size: (u32, u32), share: (f64, f64)) -> Window {
        let start = |length: u32, covered: u32, share: f64, margin: u32| {
            let room = i64::from(length) - i64::from(covered);
            let start = match room > 0 {
                true => (share * (room + 1) as f64) as i64,
                false => room.div_euclid(2),
            };
            start - i64::from(margin)
        };
        let covered = self.covered();
        Window {
            x: start(size.0, covered.0, share.0, self.margin[0]),
            y: start(size.1, covered.1, share.1, self.margin[1]),
        }
    }

    /// What a window shows of an image. Beyond the border it is mirrored, the outermost pixel not repeated.
    pub fn cut(&self, image: &RgbImage, window: Window) -> RgbImage {
        let (width, height) = self.frame;
        let columns: Vec<usize> = (0..width)
            .map(|x| mirrored(window.x + i64::from(x), image.width()))
            .collect();
        let (row, pixels) = (3 * image.width() as usize, image.as_raw());
        let mut cut = Vec::with_capacity(3 * width as usize * height as usize);
        let whole = window.x >= 0 && window.x + i64::from(width) <= i64::from(image.width());
        for y in 0..height {
            let from = mirrored(window.y + i64::from(y), image.height()) * row;
            if whole {
                let from = from + 3 * window.x as usize;
                cut.extend_from_slice(&pixels[from..from + 3 * width as usize]);
                continue;
            }
            for &x in &columns {
                cut.extend_from_slice(&pixels[from + 3 * x..][..3]);
            }
        }
        RgbImage::from_raw(width, height, cut).unwrap_or_default()
    }

    /// How much each of a window's columns counts where windows overlap: in the middle 1, towards its ends less, in the
    /// surroundings 0. The ends are those of what it covers, `across` pixels from `margin` on.
    pub fn weights(covered: u32, overlap: f64) -> Vec<f32> {
        // The slope is as long as the least overlap, so that where two windows meet neither alone decides.
        let slope = (f64::from(covered) * overlap).max(1.0);
        (0..covered)
            .map(|place| {
                let from_end = f64::from(place.min(covered - 1 - place)) + 0.5;
                (from_end / slope).min(1.0) as f32
            })
            .collect()
    }
}

/// Where windows begin that cover `length` pixels, evenly spread, with at least this share in common.
fn starts(length: u32, covered: u32, overlap: f64, margin: u32) -> Vec<i64> {
    let (length, covered, margin) = (i64::from(length), i64::from(covered), i64::from(margin));
    let room = length - covered;
    if room <= 0 {
        return vec![room.div_euclid(2) - margin];
    }
    let step = (covered as f64 * (1.0 - overlap)).floor().max(1.0);
    let steps = (room as f64 / step).ceil() as i64;
    (0..=steps).map(|place| room * place / steps - margin).collect()
}

/// The pixel that stands for the one at `place` of `length`, where the image goes on as in a mirror.
fn mirrored(place: i64, length: u32) -> usize {
    let last = i64::from(length) - 1;
    if last <= 0 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    place.min(2 * last - place) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8, y as u8, (x * 3 + y) as u8])
        })
    }

    #[test]
    fn windows_cover_every_pixel_with_the_overlap() {
        for (length, covered, overlap) in [
            (600, 256, 0.25),
            (257, 256, 0.5),
            (4096, 224, 0.1),
            (256, 256, 0.3),
        ] {
            let starts = starts(length, covered, overlap, 0);
            assert_eq!(
                (starts[0], starts[starts.len() - 1]),
                (0, i64::from(length - covered))
            );
            for pair in starts.windows(2) {
                let common = i64::from(covered) - (pair[1] - pair[0]);
                assert!(
                    common as f64 >= (overlap * f64::from(covered)).floor(),
                    "{pair:?} {common}"
                );
            }
        }
        assert_eq!(Windows::new((64, 32), 0.0).over((128, 64)).len(), 4);
    }

    #[test]
    fn a_small_image_lies_in_the_middle_of_its_window() {
        let windows = Windows::new((64, 32), 0.25);
        assert_eq!(windows.over((60, 32)), [Window { x: -2, y: 0 }]);
        assert_eq!(windows.anywhere((60, 32), (0.9, 0.9)), Window { x: -2, y: 0 });
        let cut = windows.cut(&image(60, 32), Window { x: -2, y: 0 });
        assert_eq!(cut.dimensions(), (64, 32));
        let columns: Vec<u8> = (0..64).map(|x| cut.get_pixel(x, 5)[0]).collect();
        assert_eq!(columns[..4], [2, 1, 0, 1]);
        assert_eq!(columns[60..], [58, 59, 58, 57]);
        // A single pixel fills any window.
        let dot = Windows::new((3, 3), 0.0).cut(&image(1, 1), Window { x: -1, y: -1 });
        assert!(dot.pixels().all(|pixel| pixel == &image::Rgb([0, 0, 0])));
    }

    #[test]
    fn a_window_inside_is_a_crop() {
        let windows = Windows::new((8, 4), 0.0);
        let cut = windows.cut(&image(30, 20), Window { x: 5, y: 7 });
        assert_eq!(cut.get_pixel(0, 0), &image::Rgb([5, 7, 22]));
        assert_eq!(cut.get_pixel(7, 3), &image::Rgb([12, 10, 46]));
    }

    #[test]
    fn any_share_gives_a_window_inside() {
        let windows = Windows {
            margin: [2, 1, 2, 1],
            ..Windows::new((12, 10), 0.0)
        };
        assert_eq!(windows.covered(), (8, 8));
        for share in [0.0, 0.3, 0.999_999] {
            let window = windows.anywhere((20, 9), (share, share));
            assert!(
                (-2..=10).contains(&window.x) && (-1..=0).contains(&window.y),
                "{window:?}"
            );
        }
        assert_eq!(windows.anywhere((20, 9), (0.999_999, 0.0)).x, 10);
    }

    #[test]
    fn surroundings_lie_beyond_what_is_covered() {
        let windows = Windows {
            margin: [16, 16, 16, 16],
            ..Windows::new((256, 256), 0.0)
        };
        let starts: Vec<i64> = windows.over((448, 224)).iter().map(|window| window.x).collect();
        assert_eq!(starts, [-16, 208]);
    }

    #[test]
    fn weights_rise_over_the_overlap() {
        let weights = Windows::weights(8, 0.25);
        assert_eq!(weights, [0.25, 0.75, 1.0, 1.0, 1.0, 1.0, 0.75, 0.25]);
        assert_eq!(Windows::weights(3, 0.0), [0.5, 1.0, 0.5]);
    }
}
