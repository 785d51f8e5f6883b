//! Pillow's automatic contrast and histogram equalisation.

use image::RgbImage;

use super::{Table, look_up};

type Histogram = [u32; 256];

/// Cuts `cutoff` percent of the pixels from either end of each channel's histogram and stretches the rest.
pub(super) fn auto_contrast(image: &mut RgbImage, cutoff: u8) {
    let tables = histograms(image).map(|mut histogram| {
        let total: u64 = histogram.iter().map(|&count| u64::from(count)).sum();
        let cut = (total * u64::from(cutoff) / 100) as u32;
        remove(histogram.iter_mut(), cut);
        remove(histogram.iter_mut().rev(), cut);
        let low = histogram.iter().position(|&count| count > 0);
        let high = histogram.iter().rposition(|&count| count > 0);
        match (low, high) {
            (Some(low), Some(high)) if high > low => {
                let scale = 255.0 / (high - low) as f64;
                let offset = -(low as f64) * scale;
                std::array::from_fn(|level| (level as f64 * scale + offset).clamp(0.0, 255.0) as u8)
            }
            _ => identity(),
        }
    });
    look_up(image, &tables);
}

fn remove<'a>(counts: impl Iterator<Item = &'a mut u32>, mut cut: u32) {
    for count in counts {
        let removed = cut.min(*count);
        *count -= removed;
        cut -= removed;
        if cut == 0 {
            break;
        }
    }
}

/// Spreads the levels of each channel so that they are used about equally often.
pub(super) fn equalize(image: &mut RgbImage) {
    let tables = histograms(image).map(|histogram| {
        let filled = histogram.iter().filter(|&&count| count > 0).count();
        let total: u32 = histogram.iter().sum();
        let last = histogram
            .iter()
            .rev()
            .find(|&&count| count > 0)
            .copied()
            .unwrap_or(0);
        let step = (total - last) / 255;
        if filled <= 1 || step == 0 {
            return identity();
        }
        let mut sum = step / 2;
        histogram.map(|count| {
            let level = (sum / step).min(255) as u8;
            sum += count;
            level
        })
    });
    look_up(image, &tables);
}

fn histograms(image: &RgbImage) -> [Histogram; 3] {
    let mut histograms = [[0; 256]; 3];
    for pixel in image.as_raw().chunks_exact(3) {
        for (histogram, &value) in histograms.iter_mut().zip(pixel) {
            histogram[usize::from(value)] += 1;
        }
    }
    histograms
}

fn identity() -> Table {
    std::array::from_fn(|level| level as u8)
}
