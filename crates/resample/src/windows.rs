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
/// let starts: Vec<i64> = windows.on_grid(32).over((600, 256)).iter().map(|window| window.x).collect();
/// assert_eq!(starts, [0, 160, 352]);
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
    /// What windows cover begins at multiples of so many pixels, at least 1. A network that halves its image n times sees the
    /// same in two windows that lie a multiple of 2^n pixels apart.
    pub grid: u32,
}

/// What a window's end counts where no other window is: beside others, nothing.
const ALONE: f64 = 1e-4;

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
            grid: 1,
        }
    }

    /// The same windows, beginning at multiples of so many pixels.
    #[must_use]
    pub fn on_grid(self, grid: u32) -> Self {
        Self { grid, ..self }
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
    /// has one, with the image in its middle. On a [grid](Self::grid) the last ones may stand over the right and lower border.
    pub fn over(&self, size: (u32, u32)) -> Vec<Window> {
        let covered = self.covered();
        let columns = self.starts(size.0, covered.0, self.margin[0]);
        let rows = self.starts(size.1, covered.1, self.margin[1]);
        let place = |y: i64| columns.iter().map(move |&x| Window { x, y });
        rows.into_iter().flat_map(place).collect()
    }

    /// Where windows begin that cover `length` pixels, evenly spread.
    fn starts(&self, length: u32, covered: u32, margin: u32) -> Vec<i64> {
        let (length, covered, margin) = (i64::from(length), i64::from(covered), i64::from(margin));
        let room = length - covered;
        if room <= 0 {
            return vec![room.div_euclid(2) - margin];
        }
        // All in units of the grid.
        let grid = i64::from(self.grid.max(1));
        let room = (room + grid - 1) / grid;
        let step = (covered as f64 * (1.0 - self.overlap) / grid as f64)
            .floor()
            .max(1.0);
        let steps = (room as f64 / step).ceil() as i64;
        let start = |place: i64| room * place / steps * grid - margin;
        (0..=steps).map(start).collect()
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

    /// How much each of the `covered` columns of a window counts: 1 but for the overlap, where it falls over the middle third. Near
    /// its ends a window says what others do not say alone: a network sees less there, and is wrong more often.
    pub fn weights(covered: u32, overlap: f64) -> Vec<f32> {
        let overlap = (f64::from(covered) * overlap).max(1.0);
        (0..covered)
            .map(|place| {
                let share = (f64::from(place.min(covered - 1 - place)) + 0.5) / overlap;
                // At the border of an image, where there is no other window, a little is enough.
                (3.0 * share - 1.0).clamp(ALONE * share.min(1.0), 1.0) as f32
            })
            .collect()
    }
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
            let windows = Windows::new((covered, covered), overlap);
            let starts = windows.starts(length, covered, 0);
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
    fn on_a_grid_windows_cover_every_pixel_too() {
        for (length, covered, overlap, grid) in [
            (600, 256, 0.25, 32),
            (257, 256, 0.5, 32),
            (2048, 384, 0.375, 48),
            (4096, 224, 0.1, 100),
            (300, 64, 0.9, 32),
        ] {
            let windows = Windows::new((covered, covered), overlap).on_grid(grid);
            let starts = windows.starts(length, covered, 0);
            assert!(
                starts.iter().all(|start| start % i64::from(grid) == 0),
                "{starts:?}"
            );
            let end = starts[starts.len() - 1] + i64::from(covered);
            assert!(
                starts[0] == 0 && (0..i64::from(grid)).contains(&(end - i64::from(length))),
                "{starts:?}"
            );
            let most = (f64::from(covered) * (1.0 - overlap)) as i64;
            for pair in starts.windows(2) {
                assert!(pair[1] - pair[0] <= most.max(i64::from(grid)), "{starts:?}");
            }
        }
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
    fn weights_fall_over_the_middle_of_the_overlap() {
        let weights = Windows::weights(8, 0.25);
        assert_eq!(weights[1..7], [1.0; 6]);
        assert!(weights[0] > 0.0 && weights[0] < 1e-3 && weights[7] == weights[0]);
        assert_eq!(
            Windows::weights(24, 0.25)[..6]
                .iter()
                .map(|&w| (w * 4.0) as u32)
                .collect::<Vec<_>>(),
            [0, 0, 1, 3, 4, 4]
        );
        // The weights of two windows with this overlap sum to one across it.
        let sums: Vec<f32> = (0..6)
            .map(|place| Windows::weights(24, 0.25)[place] + Windows::weights(24, 0.25)[5 - place])
            .collect();
        assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-3), "{sums:?}");
    }
}
