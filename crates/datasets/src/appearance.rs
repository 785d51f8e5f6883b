//! What normal images look like as files and pictures, in a few numbers, and whether another image looks like them.
//!
//! All measures are robust: medians, and median deviations from them. Where the normal images differ much from each other,
//! nothing is called unlike them.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::Look;
use crate::check::look::Look as Picture;

/// Most images have the shape of most others, or shape says nothing (proposal).
const MAJORITY: f64 = 0.85;
/// A shape is unlike when width through height differs by this share (proposal).
const SHAPE: f64 = 0.1;
/// A size is unlike when its side differs by this factor, and by so many median deviations (proposal).
const SIZE: (f64, f64) = (1.5, 8.0);
/// A brightness is unlike when it differs by this much of 255, and by so many median deviations (proposal).
const BRIGHTNESS: (f64, f64) = (40.0, 10.0);
/// As brightness, for red or blue less green (proposal).
const COLOR: (f64, f64) = (15.0, 10.0);
/// As brightness, for sharpness in powers of two (proposal).
const SHARPNESS: (f64, f64) = (1.5, 8.0);

/// What the normal images of a product look like: shape and size of their files, brightness, color and sharpness of what is
/// loaded of them. A run keeps it, so that it can say which new images are unlike those it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Appearance {
    /// Images that it was taken of.
    pub images: usize,
    /// Width and height in pixels of a usual file.
    pub usual_size: (u32, u32),
    /// Whether the shapes are alike enough for one to be unlike.
    shape_says: bool,
    /// Logarithm of width through height.
    shape: Usual,
    /// Logarithm of the side of a square as large as the file.
    side: Usual,
    /// Mean of the values, 0 to 255.
    brightness: Usual,
    /// Mean of red less green, and of blue less green.
    colors: [Usual; 2],
    /// Binary logarithm of the mean second difference of neighbouring pixels.
    sharpness: Usual,
    /// Others that are as good: of images that were added later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    also: Vec<Appearance>,
}

impl Appearance {
    /// Of images, each with the width and height of its file; `None` without any.
    pub fn of<'a>(images: impl IntoIterator<Item = (&'a Look, (u32, u32))>) -> Option<Self> {
        let pictures = images.into_iter().map(|(look, size)| look.picture(size));
        Self::of_pictures(&pictures.collect::<Vec<_>>())
    }

    pub(crate) fn of_pictures(looks: &[Picture]) -> Option<Self> {
        let first = looks.first()?;
        let shape = Usual::of(looks.iter().map(log_shape));
        let side = Usual::of(looks.iter().map(log_side));
        let alike = looks
            .iter()
            .filter(|look| shape.off(log_shape(look)) <= SHAPE)
            .count();
        let is_usual =
            |look: &&Picture| shape.off(log_shape(look)) <= SHAPE && side.off(log_side(look)) <= SIZE.0.ln();
        Some(Self {
            images: looks.len(),
            usual_size: looks.iter().find(is_usual).unwrap_or(first).size,
            shape_says: alike as f64 >= MAJORITY * looks.len() as f64,
            shape,
            side,
            brightness: Usual::of(looks.iter().map(|look| look.level)),
            colors: [0, 1].map(|i| Usual::of(looks.iter().map(|look| look.color()[i]))),
            sharpness: Usual::of(looks.iter().map(log_detail)),
            also: Vec::new(),
        })
    }

    /// Either look: an image that is like one of both is like the normal ones.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        self.also.push(other);
        self
    }

    /// In what an image is unlike the normal ones, in words; empty where it is not. `image` is as it was loaded for the run,
    /// `file_size` width and height of its file.
    pub fn unlike(&self, image: &RgbImage, file_size: (u32, u32)) -> Vec<String> {
        self.unlike_picture(&Picture::of(file_size, image))
    }

    /// As [`unlike`](Self::unlike), of an image whose look is known.
    pub fn unlike_look(&self, look: &Look, file_size: (u32, u32)) -> Vec<String> {
        self.unlike_picture(&look.picture(file_size))
    }

    fn unlike_picture(&self, picture: &Picture) -> Vec<String> {
        let found = self.reasons(picture, "the normal images");
        let others = |one: &Self| one.reasons(picture, "the normal images").is_empty();
        if self.also.iter().any(others) {
            return Vec::new();
        }
        found.into_iter().map(|(reason, _)| reason).collect()
    }

    /// In what an image is unlike, in words that call the usual ones `others`, each with how many times the limit it is away.
    pub(crate) fn reasons(&self, look: &Picture, others: &str) -> Vec<(String, f64)> {
        let mut found = Vec::new();
        let sizes = || {
            let ((w, h), (usual_w, usual_h)) = (look.size, self.usual_size);
            format!("{w}x{h}, {others} {usual_w}x{usual_h}")
        };
        let shape = self.shape.off(log_shape(look));
        if self.shape_says && shape > SHAPE {
            found.push((sizes(), shape / SHAPE));
        } else if let Some(degree) = self.side.beyond(log_side(look), (SIZE.0.ln(), SIZE.1)) {
            found.push((sizes(), degree));
        }
        if let Some(degree) = self.brightness.beyond(look.level, BRIGHTNESS) {
            let than = match look.level > self.brightness.median {
                true => "brighter",
                false => "darker",
            };
            let usual = self.brightness.median;
            found.push((
                format!("{than}: {:.0} of 255, {others} {usual:.0}", look.level),
                degree,
            ));
        }
        for ((usual, value), name) in self.colors.iter().zip(look.color()).zip(["red", "blue"]) {
            if let Some(degree) = usual.beyond(value, COLOR) {
                let (more, usual) = (if value > usual.median { "more" } else { "less" }, usual.median);
                let said = format!(
                    "a color cast, {more} {name}: {name} minus green is {value:.0} of 255, {others} {usual:.0}"
                );
                found.push((said, degree));
            }
        }
        if let Some(degree) = self.sharpness.beyond(log_detail(look), SHARPNESS) {
            let than = match log_detail(look) < self.sharpness.median {
                true => "blurred",
                false => "noisier or sharper",
            };
            let usual = self.sharpness.median.exp2() - DETAIL_FLOOR;
            let said = format!("{than}: sharpness {:.1}, {others} {usual:.1}", look.detail);
            found.push((said, degree));
        }
        found
    }
}

fn log_shape(look: &Picture) -> f64 {
    (f64::from(look.size.0) / f64::from(look.size.1)).ln()
}

fn log_side(look: &Picture) -> f64 {
    (f64::from(look.size.0) * f64::from(look.size.1)).ln() / 2.0
}

/// Added to the detail of images, so that plain ones do not differ by the noise of a level (proposal).
const DETAIL_FLOOR: f64 = 0.25;

fn log_detail(look: &Picture) -> f64 {
    (look.detail + DETAIL_FLOOR).log2()
}

/// Median and median deviation of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usual {
    pub(crate) median: f64,
    spread: f64,
}

impl Usual {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let middle = median(values.clone());
        let spread = median(values.iter().map(|value| (value - middle).abs()).collect());
        Self {
            median: middle,
            spread,
        }
    }

    fn off(&self, value: f64) -> f64 {
        (value - self.median).abs()
    }

    /// How many times the limit a value is away from the median, if it is over: at least so much, and so many deviations.
    pub(crate) fn beyond(&self, value: f64, (least, deviations): (f64, f64)) -> Option<f64> {
        let degree = self.off(value) / least.max(deviations * self.spread);
        (degree > 1.0).then_some(degree)
    }

    /// The same for values above the median alone.
    pub(crate) fn above(&self, value: f64, limit: (f64, f64)) -> Option<f64> {
        self.beyond(value, limit).filter(|_| value > self.median)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(level: u8) -> RgbImage {
        RgbImage::from_fn(32, 32, |x, y| {
            Rgb([level + (x * 3 % 7) as u8, level + ((x * 2 + y) % 5) as u8, level])
        })
    }

    #[test]
    fn an_image_is_unlike_in_shape_light_color_and_sharpness() {
        let looks: Vec<Look> = (0..9).map(|i| Look::of(&picture(100 + i))).collect();
        let normal = Appearance::of(looks.iter().map(|look| (look, (640, 480)))).unwrap();
        assert_eq!((normal.images, normal.usual_size), (9, (640, 480)));
        assert!(normal.unlike(&picture(105), (640, 480)).is_empty());
        // Another camera: larger, but of the same shape.
        assert!(normal.unlike(&picture(105), (800, 600)).is_empty());
        let told = |image: &RgbImage, size| normal.unlike(image, size).join("; ");
        assert_eq!(
            told(&picture(105), (480, 640)),
            "480x640, the normal images 640x480"
        );
        assert!(told(&picture(200), (640, 480)).starts_with("brighter: 2"));
        // Brighter ones were added.
        let bright: Vec<Look> = (0..3).map(|i| Look::of(&picture(198 + i))).collect();
        let bright = Appearance::of(bright.iter().map(|look| (look, (640, 480)))).unwrap();
        let both = normal.clone().or(bright);
        assert!(both.unlike(&picture(200), (640, 480)).is_empty());
        assert!(both.unlike(&picture(105), (640, 480)).is_empty());
        assert!(!both.unlike(&picture(150), (640, 480)).is_empty());
        let flat = RgbImage::from_pixel(32, 32, Rgb([104; 3]));
        let told_flat = told(&flat, (640, 480));
        assert!(told_flat.starts_with("blurred: "), "{told_flat}");
        let red = RgbImage::from_fn(32, 32, |x, y| {
            let [r, g, b] = picture(105).get_pixel(x, y).0;
            Rgb([r + 30, g, b])
        });
        assert!(told(&red, (640, 480)).starts_with("a color cast, more red: red minus green is 3"));
        assert!(Appearance::of([]).is_none());
        // What a run keeps says the same.
        let text = serde_json::to_string(&normal).unwrap();
        let kept: Appearance = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.unlike(&red, (480, 640)), normal.unlike(&red, (480, 640)));
        assert_eq!(kept.unlike(&red, (480, 640)).len(), 2);
    }
}
