//! Pillow's automatic contrast and histogram equalisation.

use image::RgbImage;

use super::Table;

/// How many pixels have each level.
pub(super) type Histogram = [u32; 256];

/// The tables that cut `cutoff` percent of the pixels from either end of each channel's histogram and stretch the
/// rest.
pub(super) fn auto_contrast(histograms: [Histogram; 3], cutoff: u8) -> [Table; 3] {
    histograms.map(|mut histogram| {
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
    })
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

/// The tables that spread the levels of each channel so that they are used about equally often.
pub(super) fn equalize(histograms: [Histogram; 3]) -> [Table; 3] {
    histograms.map(|histogram| {
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
    })
}

/// The histograms of R, G and B after levels have been looked up in tables.
pub(super) fn count(image: &RgbImage, tables: &Option<[Table; 3]>) -> [Histogram; 3] {
    // Two counts of neighbouring pixels: equal levels in a row would wait for each other.
    let mut counts = [[[0_u32; 256]; 3]; 2];
    let (pixels, _) = image.as_raw().as_chunks::<3>();
    let (pairs, last) = pixels.as_chunks::<2>();
    let [even, odd] = &mut counts;
    for [first, second] in pairs {
        for c in 0..3 {
            even[c][usize::from(first[c])] += 1;
            odd[c][usize::from(second[c])] += 1;
        }
    }
    for pixel in last {
        for c in 0..3 {
            even[c][usize::from(pixel[c])] += 1;
        }
    }
    std::array::from_fn(|c| {
        let sums = even[c].iter().zip(&odd[c]).map(|(a, b)| a + b);
        let mut histogram = [0; 256];
        for (level, sum) in sums.enumerate() {
            let level = tables
                .as_ref()
                .map_or(level, |tables| usize::from(tables[c][level]));
            histogram[level] += sum;
        }
        histogram
    })
}

fn identity() -> Table {
    std::array::from_fn(|level| level as u8)
}
