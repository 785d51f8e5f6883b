//! A detector of images of any size, by one that sees them in windows.

use flawforge_onnx::{Graph, Value};
use flawforge_resample::{Resizing, Sizing, Window, Windows};
use image::RgbImage;

use crate::export::{self, Covering, Outputs};
use crate::{AnomalyMap, Detection, Detector, FieldOfView, MapScores, ModelError, Place};

/// Windows that the inner detector is given at once: enough for a batch, few in memory (proposal).
const AT_ONCE: usize = 8;

/// A detector that looks at an image in windows, and joins their maps without seams.
///
/// Images are brought to a size by a [`Sizing`], which may differ from image to image, and covered by windows of the size that
/// the inner detector takes. Where windows overlap, the ends of each count for nothing. Beyond the border the image is
/// mirrored; what is found there is dropped. The image scores are [those](Detector::image_scores) of the joined map, so that a
/// threshold must come from whole images too. Beside one image's pixels and map, memory is that of a few windows.
pub struct Windowed {
    inner: Box<dyn Detector>,
    sizing: Sizing,
    windows: Windows,
}

impl Windowed {
    /// A detector of images at the sizes of `sizing`, by one of these windows: their frame is what it takes, and what it does not
    /// [see](Detector::field_of_view) of that is their margin.
    pub fn new(inner: Box<dyn Detector>, sizing: Sizing, windows: Windows) -> Self {
        Self {
            inner,
            sizing,
            windows,
        }
    }

    fn detect_one(&self, image: &RgbImage, place: Place) -> Result<Detection, ModelError> {
        let size = image.dimensions();
        let mut joining = Joining::new(&self.windows, size);
        for windows in self.windows.over(size).chunks(AT_ONCE) {
            let cuts: Vec<(RgbImage, Place)> = windows
                .iter()
                .map(|&window| {
                    let within = Place::of(window, self.windows.frame, size).within(place);
                    (self.windows.cut(image, window), within)
                })
                .collect();
            let cuts: Vec<(&RgbImage, Place)> = cuts.iter().map(|(cut, place)| (cut, *place)).collect();
            let detections = self.inner.detect_at(&cuts)?;
            for (&window, detection) in windows.iter().zip(&detections) {
                joining.add(window, &detection.map);
            }
        }
        let map = joining.finish();
        let MapScores { score, verdict_score } = self.inner.image_scores(&map);
        Ok(Detection {
            map,
            score,
            verdict_score,
            reconstruction: None,
        })
    }
}

/// One map of an image of `size` from the maps of the windows that [cover](Windows::over) it. Maps of windows may have any size;
/// they are brought to that of the window.
pub fn joined<'a>(
    windows: &Windows,
    size: (u32, u32),
    maps: impl IntoIterator<Item = (Window, &'a AnomalyMap)>,
) -> AnomalyMap {
    let mut joining = Joining::new(windows, size);
    for (place, map) in maps {
        joining.add(place, map);
    }
    joining.finish()
}

/// A map on its way: the sums of what the windows say, each pixel by the window's weight there.
struct Joining<'a> {
    windows: &'a Windows,
    size: (u32, u32),
    across: Vec<f32>,
    down: Vec<f32>,
    sums: Vec<f32>,
}

impl<'a> Joining<'a> {
    fn new(windows: &'a Windows, size: (u32, u32)) -> Self {
        let covered = windows.covered();
        // A window alone says what it says, to the last digit.
        let weights = |covered: u32, length: u32| match covered >= length {
            true => vec![1.0; covered as usize],
            false => Windows::weights(covered, windows.overlap),
        };
        Self {
            windows,
            size,
            across: weights(covered.0, size.0),
            down: weights(covered.1, size.1),
            sums: vec![0.0; size.0 as usize * size.1 as usize],
        }
    }

    /// For each pixel of a line of the image that a window covers: its place there, and the place in the window.
    fn inside(start: i64, margin: u32, covered: usize, length: u32) -> impl Iterator<Item = (usize, usize)> {
        let first = start + i64::from(margin);
        (0..covered).filter_map(move |place| {
            let at = first + place as i64;
            (0..i64::from(length))
                .contains(&at)
                .then_some((at as usize, place))
        })
    }

    fn add(&mut self, window: Window, map: &AnomalyMap) {
        let (width, height) = self.windows.frame;
        let map = map.resized(width, height);
        let [left, top, ..] = self.windows.margin;
        for (y, row) in Self::inside(window.y, top, self.down.len(), self.size.1) {
            let scores = &map.scores[(row + top as usize) * width as usize + left as usize..];
            let sums = &mut self.sums[y * self.size.0 as usize..][..self.size.0 as usize];
            for (x, column) in Self::inside(window.x, left, self.across.len(), self.size.0) {
                sums[x] += self.down[row] * self.across[column] * scores[column];
            }
        }
    }

    fn finish(mut self) -> AnomalyMap {
        // The windows stand in rows and columns, so that the weights of a pixel are a product of those of its row and column.
        let (width, height) = self.size;
        let places = self.windows.over(self.size);
        let [left, top, ..] = self.windows.margin;
        let weights = |starts: &mut Vec<i64>, margin: u32, weights: &[f32], length: u32| {
            starts.sort_unstable();
            starts.dedup();
            let mut sums = vec![0f32; length as usize];
            for &start in starts.iter() {
                for (at, place) in Self::inside(start, margin, weights.len(), length) {
                    sums[at] += weights[place];
                }
            }
            sums
        };
        let mut columns: Vec<i64> = places.iter().map(|window| window.x).collect();
        let mut rows: Vec<i64> = places.iter().map(|window| window.y).collect();
        let across = weights(&mut columns, left, &self.across, width);
        let down = weights(&mut rows, top, &self.down, height);
        for (sums, down) in self.sums.chunks_exact_mut(width.max(1) as usize).zip(&down) {
            for (sum, across) in sums.iter_mut().zip(&across) {
                *sum /= across * down;
            }
        }
        AnomalyMap {
            width,
            height,
            scores: self.sums,
        }
    }
}

impl Detector for Windowed {
    /// That of a window.
    fn resizing(&self) -> Resizing {
        self.inner.resizing()
    }

    fn full_scale(&self) -> f32 {
        self.inner.full_scale()
    }

    /// All of it: windows cover the image with what their detector sees of them.
    fn field_of_view(&self) -> Option<FieldOfView> {
        None
    }

    fn image_scores(&self, map: &AnomalyMap) -> MapScores {
        self.inner.image_scores(map)
    }

    fn prepare(&self, image: &RgbImage) -> RgbImage {
        let resampling = self.inner.resizing().resampling;
        resampling.apply(image, self.sizing.of(image.dimensions()))
    }

    fn prepared_graph(&self, graph: &mut Graph, images: Value) -> Value {
        let from = export::size(graph, images);
        let to = export::sized(graph, from, self.sizing);
        export::brought_to(graph, images, from, self.inner.resizing().resampling, to)
    }

    fn image_scores_graph(&self, graph: &mut Graph, map: Value) -> Outputs {
        self.inner.image_scores_graph(graph, map)
    }

    /// One window after the other, for the sake of memory.
    fn graph(&self, graph: &mut Graph, images: Value) -> Result<Outputs, ModelError> {
        let size = export::size(graph, images);
        let windows = Covering::new(graph, size, &self.windows);
        let mut fault = None;
        let map = windows.joined(graph, images, |graph, window, place| {
            match self.inner.graph_at(graph, window, place) {
                Ok(outputs) => outputs.map,
                Err(error) => {
                    fault = Some(error);
                    graph.f32(0.0)
                }
            }
        });
        match fault {
            Some(error) => Err(error),
            None => Ok(self.image_scores_graph(graph, map)),
        }
    }

    /// Images of any size.
    fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
        let whole = images.iter().map(|image| self.detect_one(image, Place::WHOLE));
        whole.collect()
    }

    /// Parts of any size: each window has its place in the whole image.
    fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
        let parts = parts.iter().map(|&(image, place)| self.detect_one(image, place));
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A detector whose map is the red channel.
    struct Red {
        side: u32,
    }

    impl Detector for Red {
        fn resizing(&self) -> Resizing {
            Resizing::antialiased(self.side, self.side)
        }

        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            crate::detector::check_sizes(images, self.input_size())?;
            let red = |image: &&RgbImage| AnomalyMap {
                width: image.width(),
                height: image.height(),
                scores: image.pixels().map(|pixel| f32::from(pixel[0])).collect(),
            };
            Ok(images
                .iter()
                .map(red)
                .map(|map| Detection {
                    score: -1.0,
                    verdict_score: -1.0,
                    map,
                    reconstruction: None,
                })
                .collect())
        }
    }

    fn windowed(margin: [u32; 4], grid: u32, sizing: Sizing) -> Windowed {
        let windows = Windows {
            margin,
            grid,
            ..Windows::new((32, 32), 0.25)
        };
        Windowed::new(Box::new(Red { side: 32 }), sizing, windows)
    }

    fn image(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| image::Rgb([(x * 2 + y * 3) as u8, 0, 0]))
    }

    #[test]
    fn a_joined_map_says_what_each_window_says() {
        for (margin, grid) in [([0; 4], 1), ([4, 8, 4, 8], 1), ([0; 4], 8), ([2, 3, 4, 5], 5)] {
            let detector = windowed(margin, grid, Sizing::Scaled(1.0));
            for (width, height) in [(75, 41), (32, 32), (33, 20), (5, 50), (1, 1)] {
                let image = image(width, height);
                let found = detector.detect(&[&image]).unwrap().remove(0);
                assert_eq!((found.map.width, found.map.height), (width, height));
                for (pixel, score) in image.pixels().zip(&found.map.scores) {
                    assert!(
                        (f32::from(pixel[0]) - score).abs() < 1e-3,
                        "{width}x{height} {pixel:?} {score}"
                    );
                }
                let largest = image.pixels().map(|pixel| pixel[0]).max().unwrap();
                assert!((found.verdict_score - f32::from(largest)).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn an_image_that_fits_one_window_gets_its_map() {
        let image = image(32, 32);
        let found = windowed([0; 4], 1, Sizing::Scaled(1.0))
            .detect(&[&image])
            .unwrap();
        let alone = Red { side: 32 }.detect(&[&image]).unwrap();
        assert_eq!(found[0].map, alone[0].map);
    }

    /// A detector whose map says at each pixel how far to the right in the whole image it is.
    struct Across;

    impl Detector for Across {
        fn resizing(&self) -> Resizing {
            Resizing::antialiased(32, 32)
        }

        fn detect(&self, images: &[&RgbImage]) -> Result<Vec<Detection>, ModelError> {
            let whole: Vec<(&RgbImage, Place)> = images.iter().map(|&image| (image, Place::WHOLE)).collect();
            self.detect_at(&whole)
        }

        fn detect_at(&self, parts: &[(&RgbImage, Place)]) -> Result<Vec<Detection>, ModelError> {
            let of = |&(image, place): &(&RgbImage, Place)| {
                let width = image.width();
                let share = |x: u32| (x as f32 + 0.5) / width as f32;
                let columns = image.enumerate_pixels();
                let map = AnomalyMap {
                    width,
                    height: image.height(),
                    scores: columns.map(|(x, ..)| place.at(share(x), 0.5).0).collect(),
                };
                Detection {
                    score: 0.0,
                    verdict_score: 0.0,
                    map,
                    reconstruction: None,
                }
            };
            Ok(parts.iter().map(of).collect())
        }
    }

    #[test]
    fn windows_are_told_their_place_in_the_whole_image() {
        let windows = |margin| Windows {
            margin,
            ..Windows::new((32, 32), 0.25)
        };
        let windowed = |margin| Windowed::new(Box::new(Across), Sizing::Scaled(1.0), windows(margin));
        let usual = crate::UsualScores {
            whole: 1.0,
            tiles: 1.0,
        };
        let part = Place {
            left: 0.25,
            top: 0.5,
            width: 0.5,
            height: 0.25,
        };
        // An image made small tells the ends of its outermost pixels' middles.
        let detectors: [(Box<dyn Detector>, f32); 4] = [
            (Box::new(windowed([0; 4])), 1e-4),
            (Box::new(windowed([4, 8, 4, 8])), 1e-4),
            (
                Box::new(crate::Inside::new(Box::new(windowed([0; 4])), None)),
                1e-4,
            ),
            (
                Box::new(crate::TwoScales::new(
                    Box::new(Across),
                    Box::new(windowed([0; 4])),
                    usual,
                )),
                0.5 / 32.0,
            ),
        ];
        for (number, (detector, error)) in detectors.iter().enumerate() {
            for (width, height) in [(75, 41), (32, 32), (20, 50)] {
                let image = image(width, height);
                let whole = detector.detect(&[&image]).unwrap().remove(0);
                let there = detector.detect_at(&[(&image, part)]).unwrap().remove(0);
                let pairs = whole.map.scores.iter().zip(&there.map.scores).enumerate();
                for (pixel, (whole, there)) in pairs {
                    let share = ((pixel as u32 % width) as f32 + 0.5) / width as f32;
                    let off = (whole - share).abs().max((there - 0.25 - 0.5 * share).abs());
                    assert!(
                        off <= *error,
                        "{number} {width}x{height} {pixel}: {whole} {there}"
                    );
                }
            }
        }
    }

    #[test]
    fn images_keep_their_aspect_and_maps_their_size() {
        let detector = windowed([0; 4], 1, Sizing::Scaled(0.5));
        assert_eq!(detector.prepare(&image(90, 40)).dimensions(), (45, 20));
        let found = detector.inspect(&[&image(90, 40)]).unwrap();
        assert_eq!((found[0].map.width, found[0].map.height), (90, 40));
    }
}
