//! How fine the detail of images is: what of it is lost where they are made small.

use flawforge_masks::OUTSIDE;
use image::RgbImage;
use rayon::prelude::*;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Pixels of a line whose spectrum is looked at (proposal).
const LENGTH: usize = 256;
/// Lines of an image that are looked at, across and down, of which those count that vary most: where there is something to see
/// (proposals).
const LINES: usize = 256;
const COUNTED: usize = LINES / 4;
/// Frequencies from this share of the highest one on show noise, hardly anything else (proposal).
const NOISE: f64 = 0.75;
/// Levels of 255 from which on detail is some (proposal). Measured: 4.3 of the demo's sheet of 2048 px in a square of 256, beside noise
/// of 3.7, and 2.7 where it is seen at a quarter of its size, which costs flaws; 0.3 of images without detail, beside noise of 2.4; 1.7 of
/// the demo's gear of 256 px in a square of 64, and 0.7 of one of 512 px in 128, beside noise of 1.4.
const SOME: f64 = 1.5;
/// The same in spreads of the noise (proposal): noise of cameras is not quite even over frequencies.
const ABOVE_NOISE: f64 = 0.6;

/// Variance of the brightness of images by its frequency, along rows and along columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    across: Spectrum,
    down: Spectrum,
}

/// Variance in levels² at the frequencies 1, 2, … of a line of this many pixels.
#[derive(Debug, Clone, PartialEq)]
struct Spectrum {
    variances: Vec<f64>,
}

impl Detail {
    /// The detail of images of one category, at the size of their files; the median over them. `None` of images too small to tell,
    /// or of which all lies outside of a region of interest.
    pub fn of(images: &[RgbImage]) -> Option<Self> {
        let measured = |down: bool| {
            let spectra = images.par_iter().filter_map(|image| Spectrum::of(image, down));
            Spectrum::median(&spectra.collect::<Vec<_>>())
        };
        Some(Self {
            across: measured(false)?,
            down: measured(true)?,
        })
    }

    /// Spread in levels of 255 of the detail that is lost where images have one pixel for so many of the file, across and down.
    /// Noise is no part of it.
    pub fn lost(&self, reduction: (f64, f64)) -> f64 {
        let (across, down) = (self.across.lost(reduction.0), self.down.lost(reduction.1));
        across.max(down).sqrt()
    }

    /// Spread of the noise in levels of 255.
    pub fn noise(&self) -> f64 {
        self.across.noise().max(self.down.noise()).sqrt()
    }

    /// Whether so small images lose detail that is worth seeing: 1.5 levels, and three fifths of the noise (proposals).
    pub fn is_lost(&self, reduction: (f64, f64)) -> bool {
        self.lost(reduction) >= SOME.max(ABOVE_NOISE * self.noise())
    }
}

impl Spectrum {
    /// The mean over lines of the squares of their Fourier transforms, each line without its mean under a Hann window.
    fn of(image: &RgbImage, down: bool) -> Option<Self> {
        let (width, height) = image.dimensions();
        let (along, beside) = if down { (height, width) } else { (width, height) };
        // A power of two that lies within the image.
        let length = LENGTH.min(1 << along.checked_ilog2()?);
        if length < 16 || beside == 0 {
            return None;
        }
        let window: Vec<f64> = (0..length)
            .map(|at| {
                (std::f64::consts::PI * (at as f64 + 0.5) / length as f64)
                    .sin()
                    .powi(2)
            })
            .collect();
        let squares: f64 = window.iter().map(|weight| weight * weight).sum();
        let transform = FftPlanner::new().plan_fft_forward(length);
        let mut lines: Vec<(f64, Vec<f64>)> = (0..LINES)
            .filter_map(|index| {
                let row = (index as u64 * u64::from(beside) / LINES as u64) as u32;
                // Beginnings spread by the golden ratio, so that neighbouring lines begin elsewhere.
                let share = (index as f64 * 0.618_033_988_75).fract();
                let begin = (share * f64::from(along - length as u32 + 1)) as u32;
                let mut line = Vec::with_capacity(length);
                for at in begin..begin + length as u32 {
                    let (x, y) = if down { (row, at) } else { (at, row) };
                    let pixel = image.get_pixel(x, y);
                    if *pixel == OUTSIDE {
                        return None;
                    }
                    let [red, green, blue] = pixel.0.map(f64::from);
                    line.push(0.299 * red + 0.587 * green + 0.114 * blue);
                }
                let mean = line.iter().sum::<f64>() / length as f64;
                let variance = line.iter().map(|level| (level - mean).powi(2)).sum::<f64>();
                let mut values: Vec<Complex<f64>> = line
                    .iter()
                    .zip(&window)
                    .map(|(level, weight)| Complex::new((level - mean) * weight, 0.0))
                    .collect();
                transform.process(&mut values);
                // Both signs of a frequency; the highest has one.
                let of = |k: usize| {
                    let both = if 2 * k == length { 1.0 } else { 2.0 };
                    both * values[k].norm_sqr() / (squares * length as f64)
                };
                Some((variance, (1..=length / 2).map(of).collect()))
            })
            .collect();
        lines.sort_by(|a, b| b.0.total_cmp(&a.0));
        lines.truncate(COUNTED);
        let variances = (0..length / 2).map(|k| {
            let sum: f64 = lines.iter().map(|(_, variances)| variances[k]).sum();
            sum / lines.len() as f64
        });
        (!lines.is_empty()).then(|| Self {
            variances: variances.collect(),
        })
    }

    /// The median at each frequency, of spectra of the length of the first.
    fn median(spectra: &[Self]) -> Option<Self> {
        let length = spectra.first()?.variances.len();
        let median = |k: usize| {
            let mut values: Vec<f64> = spectra
                .iter()
                .filter(|one| one.variances.len() == length)
                .map(|one| one.variances[k])
                .collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Some(Self {
            variances: (0..length).map(median).collect(),
        })
    }

    /// Variance of the noise at one frequency: the mean over the highest ones.
    fn floor(&self) -> f64 {
        let first = (NOISE * self.variances.len() as f64) as usize;
        let highest = &self.variances[first..];
        highest.iter().sum::<f64>() / highest.len().max(1) as f64
    }

    /// Variance of the noise.
    fn noise(&self) -> f64 {
        self.floor() * self.variances.len() as f64
    }

    /// Variance above the noise at frequencies that an image of one pixel for `reduction` of these cannot show.
    fn lost(&self, reduction: f64) -> f64 {
        let all = self.variances.len() as f64;
        // What a window hides of the lowest frequencies is in the next three.
        let first = (all / reduction.max(1.0)).max(4.0) as usize;
        let last = (NOISE * all) as usize;
        let floor = self.floor();
        let above = self.variances[first.min(last)..last].iter();
        above.map(|variance| variance - floor).sum::<f64>().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use flawforge_masks::Stream;
    use image::Rgb;
    use rand::Rng;

    use super::*;

    /// Waves of this many pixels with noise, uniform up to so many levels to either side.
    fn waves(pixels: f32, noise: f32, seed: u64) -> RgbImage {
        let mut rng = Stream::of_run(seed).rng("detail");
        RgbImage::from_fn(700, 600, |x, y| {
            let turn = std::f32::consts::TAU / pixels;
            let wave = (turn * x as f32).sin() * (turn * y as f32).cos();
            let level = 128.0 + 30.0 * wave + noise * (2.0 * rng.random::<f32>() - 1.0);
            Rgb([level.round() as u8; 3])
        })
    }

    #[test]
    fn detail_is_lost_where_it_is_finer_than_the_pixels() {
        let images = [waves(12.0, 4.0, 1), waves(12.0, 4.0, 2)];
        let detail = Detail::of(&images).unwrap();
        // Half of 30 levels' squares are along either axis, and half of these again: 15 levels.
        let lost = detail.lost((16.0, 16.0));
        assert!((10.0..25.0).contains(&lost), "{lost}");
        assert!(detail.is_lost((16.0, 1.0)) && detail.is_lost((1.0, 16.0)));
        assert!(!detail.is_lost((2.0, 2.0)), "{detail:?}");
        // Uniform noise of 4 levels to either side has a spread of 2.3.
        let noise = detail.noise();
        assert!((1.9..2.8).contains(&noise), "{noise}");
        let fine = Detail::of(&[waves(3.0, 4.0, 1)]).unwrap();
        assert!(fine.is_lost((2.0, 2.0)));
    }

    #[test]
    fn noise_is_no_detail() {
        for noise in [0.0, 2.0, 7.0, 20.0] {
            let images: Vec<RgbImage> = (0..3).map(|seed| waves(300.0, noise, seed)).collect();
            let detail = Detail::of(&images).unwrap();
            let reductions = [2.0, 8.0, 16.0].map(|times| (times, times));
            let lost = reductions.map(|times| detail.lost(times));
            assert!(
                reductions.into_iter().all(|times| !detail.is_lost(times)),
                "{noise}: {lost:?}"
            );
        }
    }

    #[test]
    fn what_lies_outside_counts_for_nothing() {
        let mut image = waves(300.0, 2.0, 1);
        let striped = Rgb([200, 20, 90]);
        for (x, y, pixel) in image.enumerate_pixels_mut().filter(|(x, ..)| *x > 400) {
            *pixel = if (x + y) % 5 < 2 { striped } else { Rgb([9; 3]) };
        }
        assert!(Detail::of(&[image.clone()]).unwrap().is_lost((8.0, 8.0)));
        for (.., pixel) in image.enumerate_pixels_mut().filter(|(x, ..)| *x > 400) {
            *pixel = OUTSIDE;
        }
        assert!(!Detail::of(&[image]).unwrap().is_lost((8.0, 8.0)));
        assert_eq!(Detail::of(&[RgbImage::from_pixel(300, 300, OUTSIDE)]), None);
        assert_eq!(Detail::of(&[RgbImage::new(8, 8)]), None);
        assert_eq!(Detail::of(&[]), None);
    }
}
