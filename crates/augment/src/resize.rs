//! Resizing of textures.

use image::RgbImage;

/// Bilinear resize without antialiasing, sample positions at pixel centres, in the fixed-point arithmetic of
/// OpenCV's 8-bit `INTER_LINEAR`.
pub(crate) fn bilinear(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let columns = taps(image.width(), width, true);
    let stride = image.width() as usize * 3;
    let source = image.as_raw();
    // Rows stretched horizontally, in units of 1/2048 level.
    let stretch = |row: usize, out: &mut Vec<i32>| {
        let row = &source[row * stride..][..stride];
        out.clear();
        for tap in &columns {
            let (a, b) = (&row[tap.first * 3..][..3], &row[tap.second * 3..][..3]);
            out.extend((0..3).map(|c| i32::from(a[c]) * tap.weights[0] + i32::from(b[c]) * tap.weights[1]));
        }
    };
    let (mut upper, mut lower) = (Vec::new(), Vec::new());
    let mut held = (usize::MAX, usize::MAX);
    let mut result = RgbImage::new(width, height);
    if width == 0 {
        return result;
    }
    for (out, tap) in result
        .chunks_exact_mut(width as usize * 3)
        .zip(taps(image.height(), height, false))
    {
        if held.1 == tap.first {
            std::mem::swap(&mut upper, &mut lower);
            held = (held.1, held.0);
        }
        if held.0 != tap.first {
            stretch(tap.first, &mut upper);
            held.0 = tap.first;
        }
        if held.1 != tap.second {
            stretch(tap.second, &mut lower);
            held.1 = tap.second;
        }
        for ((out, &a), &b) in out.iter_mut().zip(&upper).zip(&lower) {
            let sum = (((a >> 4) * tap.weights[0]) >> 16) + (((b >> 4) * tap.weights[1]) >> 16);
            *out = ((sum + 2) >> 2).clamp(0, 255) as u8;
        }
    }
    result
}

struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

/// The taps of every position of an axis. Beyond the outermost pixel centres both taps are the outermost pixel:
/// OpenCV then gives it the whole weight along rows, and splits the weight along columns, which rounds otherwise.
fn taps(from: u32, to: u32, whole: bool) -> Vec<Tap> {
    let scale = f64::from(from) / f64::from(to.max(1));
    let last = i64::from(from) - 1;
    (0..to)
        .map(|index| {
            let position = ((f64::from(index) + 0.5) * scale - 0.5) as f32;
            let first = position.floor();
            let mut fraction = position - first;
            let first = first as i64;
            if whole && (first < 0 || first >= last) {
                fraction = 0.0;
            }
            let weight = |w: f32| (w * 2048.0).round_ties_even() as i32;
            Tap {
                first: first.clamp(0, last) as usize,
                second: (first + 1).clamp(0, last) as usize,
                weights: [weight(1.0 - fraction), weight(fraction)],
            }
        })
        .collect()
}
