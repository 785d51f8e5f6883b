//! Anomaly maps in colour.

use image::{Rgb, RgbImage};

/// Matplotlib's "inferno" at 33 equal steps. Lightness grows evenly from end to end, so that the order of
/// scores can be seen, in grey print too. Straight lines between the steps are within two levels of it.
const INFERNO: [[u8; 3]; 33] = [
    [0, 0, 4],
    [4, 3, 18],
    [11, 7, 36],
    [21, 11, 55],
    [33, 12, 74],
    [47, 10, 91],
    [61, 9, 101],
    [74, 12, 107],
    [87, 16, 110],
    [100, 21, 110],
    [113, 25, 110],
    [125, 30, 109],
    [138, 34, 106],
    [151, 39, 102],
    [163, 44, 97],
    [176, 49, 91],
    [188, 55, 84],
    [198, 61, 77],
    [208, 69, 69],
    [218, 78, 60],
    [227, 89, 51],
    [235, 100, 41],
    [241, 113, 31],
    [246, 126, 20],
    [249, 140, 10],
    [251, 155, 6],
    [252, 170, 15],
    [251, 186, 31],
    [249, 201, 50],
    [245, 217, 73],
    [242, 232, 101],
    [243, 245, 134],
    [252, 255, 164],
];

/// The colour of a score that is not a number: no colour of the map looks like it.
const NOT_A_NUMBER: Rgb<u8> = Rgb([255, 0, 255]);

/// The colour of a value in `[0, 1]`, from near black over red to pale yellow. Values outside are cut to the
/// range; NaN is magenta.
pub fn heat_color(value: f32) -> Rgb<u8> {
    if value.is_nan() {
        return NOT_A_NUMBER;
    }
    let steps = INFERNO.len() - 1;
    let position = value.clamp(0.0, 1.0) * steps as f32;
    let step = (position as usize).min(steps - 1);
    let part = position - step as f32;
    let (from, to) = (INFERNO[step], INFERNO[step + 1]);
    Rgb(std::array::from_fn(|i| {
        (f32::from(from[i]) * (1.0 - part) + f32::from(to[i]) * part).round() as u8
    }))
}

/// The scores that get the first and the last colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Score of the darkest colour.
    pub low: f32,
    /// Score of the brightest colour.
    pub high: f32,
}

impl Scale {
    /// For probabilities: 0 to 1.
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };

    /// From the least to the largest finite score of some maps: one scale for a whole sheet keeps its maps
    /// comparable. Without a finite score it is [`Scale::UNIT`].
    pub fn of<'a>(maps: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let finite = maps
            .into_iter()
            .flatten()
            .copied()
            .filter(|score| score.is_finite());
        let range = finite.fold(None, |range: Option<Self>, score| {
            let range = range.unwrap_or(Self {
                low: score,
                high: score,
            });
            Some(Self {
                low: range.low.min(score),
                high: range.high.max(score),
            })
        });
        range.unwrap_or(Self::UNIT)
    }

    /// Where a score lies on the scale: 0 to 1, NaN for NaN. On a scale of one single score, 0.
    pub fn position(&self, score: f32) -> f32 {
        if score.is_nan() {
            return f32::NAN;
        }
        let position = (score - self.low) / (self.high - self.low);
        // Infinity over a finite range stays infinite and is cut; 0/0 is the scale of one score.
        if position.is_nan() {
            0.0
        } else {
            position.clamp(0.0, 1.0)
        }
    }
}

/// An anomaly map to be shown in colour.
#[derive(Debug, Clone, Copy)]
pub struct HeatMap<'a> {
    /// One score a pixel, row-major. Missing ones are shown like NaN.
    pub scores: &'a [f32],
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The scores at both ends of the colours.
    pub scale: Scale,
}

impl HeatMap<'_> {
    /// The map in color, `width` by `height` pixels.
    pub fn colors(&self) -> RgbImage {
        RgbImage::from_fn(self.width, self.height, |x, y| heat_color(self.position(x, y)))
    }

    /// The map laid over an image: the higher the score, the more of the colour and the less of the image is
    /// seen, up to `opacity` (0 to 1) at the top of the scale. A map of another size is stretched to the
    /// image (nearest pixel).
    pub fn over(&self, image: &RgbImage, opacity: f32) -> RgbImage {
        let (width, height) = image.dimensions();
        let stretch = |at: u32, from: u32, to: u32| (u64::from(at) * u64::from(to) / u64::from(from)) as u32;
        RgbImage::from_fn(width, height, |x, y| {
            let position = self.position(stretch(x, width, self.width), stretch(y, height, self.height));
            let color = heat_color(position).0;
            let alpha = opacity.clamp(0.0, 1.0) * if position.is_nan() { 1.0 } else { position };
            let below = image.get_pixel(x, y).0;
            Rgb(std::array::from_fn(|i| {
                (f32::from(below[i]) * (1.0 - alpha) + f32::from(color[i]) * alpha).round() as u8
            }))
        })
    }

    fn position(&self, x: u32, y: u32) -> f32 {
        let index = y as usize * self.width as usize + x as usize;
        self.scale
            .position(self.scores.get(index).copied().unwrap_or(f32::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_in_perceptual_order() {
        assert_eq!(heat_color(0.0), Rgb([0, 0, 4]));
        assert_eq!(heat_color(0.5), Rgb([188, 55, 84]));
        assert_eq!(heat_color(1.0), Rgb([252, 255, 164]));
        assert_eq!(heat_color(-3.0), heat_color(0.0));
        assert_eq!(heat_color(f32::INFINITY), heat_color(1.0));
        assert_eq!(heat_color(f32::NAN), NOT_A_NUMBER);
        // Relative luminance (Rec. 709) of the linearised colour never falls, and grows at every step.
        let luminance = |value: f32| {
            let linear = heat_color(value)
                .0
                .map(|level| (f64::from(level) / 255.0).powf(2.2));
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        for i in 0..32 {
            assert!(
                luminance((i + 1) as f32 / 32.0) > luminance(i as f32 / 32.0),
                "step {i}"
            );
        }
    }

    #[test]
    fn halfway_between_two_steps_is_their_mean() {
        assert_eq!(heat_color(0.5 / 32.0), Rgb([2, 2, 11]));
    }

    #[test]
    fn a_map_in_colour_pixel_by_pixel() {
        let scores = [0.0, 1.0, 2.0, f32::NAN, 5.0];
        let map = HeatMap {
            scores: &scores,
            width: 3,
            height: 2,
            scale: Scale { low: 0.0, high: 2.0 },
        };
        let expected = [heat_color(0.0), heat_color(0.5), heat_color(1.0)];
        let picture = map.colors();
        assert_eq!(picture.dimensions(), (3, 2));
        let pixels: Vec<Rgb<u8>> = picture.pixels().copied().collect();
        assert_eq!(pixels[..3], expected);
        assert_eq!(pixels[3..], [NOT_A_NUMBER, heat_color(1.0), NOT_A_NUMBER]);
    }

    #[test]
    fn low_scores_leave_the_image_visible() {
        let image = RgbImage::from_pixel(4, 2, Rgb([100, 100, 100]));
        let map = HeatMap {
            scores: &[0.0, 1.0],
            width: 2,
            height: 1,
            scale: Scale::UNIT,
        };
        let over = map.over(&image, 0.5);
        for y in 0..2 {
            assert_eq!(*over.get_pixel(0, y), Rgb([100, 100, 100]));
            assert_eq!(*over.get_pixel(1, y), Rgb([100, 100, 100]));
            assert_eq!(*over.get_pixel(2, y), Rgb([176, 178, 132]));
            assert_eq!(*over.get_pixel(3, y), Rgb([176, 178, 132]));
        }
        assert_eq!(map.over(&image, 0.0), image);
    }

    #[test]
    fn scales_span_the_finite_scores() {
        let scale = Scale::of([[0.5, f32::NAN].as_slice(), [-1.0, f32::INFINITY].as_slice()]);
        assert_eq!(scale, Scale { low: -1.0, high: 0.5 });
        assert_eq!(Scale::of([[].as_slice()]), Scale::UNIT);
        assert_eq!(scale.position(-0.25), 0.5);
        assert_eq!(scale.position(f32::INFINITY), 1.0);
        assert_eq!(scale.position(f32::NEG_INFINITY), 0.0);
        assert!(scale.position(f32::NAN).is_nan());
        assert_eq!(Scale { low: 2.0, high: 2.0 }.position(2.0), 0.0);
    }
}
