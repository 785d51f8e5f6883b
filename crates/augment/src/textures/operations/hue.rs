//! Hue: OpenCV's 8-bit HSV and HLS, equal within one level, and the change of hue and saturation.
//!
//! Pixels are arrays in the order that the conversions name them, as in [`color`](super::color).

use std::sync::OnceLock;

use flawforge_resample::multiversioned;
use image::RgbImage;

use super::color::descale;

/// Changes hue (in 1/255 of a turn) and saturation (in levels) of the given pixels, or of all; red and blue are taken
/// for each other.
pub(super) fn shift_hue_saturation(image: &mut RgbImage, pixels: Option<&[u32]>, hue: i32, saturation: i32) {
    // OpenCV's 8-bit hue counts half degrees.
    let turn = ((hue as f32 / 255.0 * 180.0) as i32).rem_euclid(180);
    let divisors = hsv_divisors();
    let (all, _) = image.as_chunks_mut::<3>();
    let Some(pixels) = pixels else {
        return shift_hsv(all, turn, saturation, divisors);
    };
    for places in pixels.chunks(256) {
        let mut some = [[0; 3]; 256];
        let some = &mut some[..places.len()];
        for (pixel, &at) in some.iter_mut().zip(places) {
            *pixel = all[at as usize];
        }
        shift_hsv(some, turn, saturation, divisors);
        for (pixel, &at) in some.iter().zip(places) {
            all[at as usize] = *pixel;
        }
    }
}

/// Pixels whose hue is changed at once.
const BLOCK: usize = 32;

multiversioned! {
    /// Blue, green and red are turned into hue, saturation and value, changed, and turned back: what [`to_hsv`] and
    /// [`from_hsv`] compute, step by step for a block of pixels, every case computed and one selected.
    fn shift_hsv(pixels: &mut [[u8; 3]], turn: i32, saturation: i32, divisors: &Divisors) {
        for pixels in pixels.chunks_mut(BLOCK) {
            let [mut red, mut green, mut blue] = [[0; BLOCK]; 3];
            for (k, &[r, g, b]) in pixels.iter().enumerate() {
                // The channels change their names here.
                (red[k], green[k], blue[k]) = (i32::from(b), i32::from(g), i32::from(r));
            }
            let [mut values, mut ranges, mut sixths] = [[0; BLOCK]; 3];
            for k in 0..BLOCK {
                let (r, g, b) = (red[k], green[k], blue[k]);
                let v = r.max(g).max(b);
                let range = v - r.min(g).min(b);
                let strongest_green = b - r + 2 * range;
                let strongest_blue = r - g + 4 * range;
                let others = if v == g { strongest_green } else { strongest_blue };
                sixths[k] = if v == r { g - b } else { others };
                (values[k], ranges[k]) = (v, range);
            }
            let [mut by_value, mut by_range] = [[0; BLOCK]; 2];
            for k in 0..BLOCK {
                by_value[k] = divisors.saturation[values[k] as usize & 255];
                by_range[k] = divisors.hue[ranges[k] as usize & 255];
            }
            for k in 0..BLOCK {
                let s = descale(ranges[k] * by_value[k], 12);
                let h = descale(sixths[k] * by_range[k], 12);
                let h = if h < 0 { h + 180 } else { h } + turn;
                let h = if h >= 180 { h - 180 } else { h };
                let s = (s + saturation).clamp(0, 255);
                let (s, v) = (s as f32 * (1.0 / 255.0), values[k] as f32 * (1.0 / 255.0));
                let h = h as f32 * (6.0 / 180.0);
                let number = (h as i32).min(5);
                let f = h - number as f32;
                let [high, low, falling, rising] =
                    [v, v * (1.0 - s), v * (1.0 - s * f), v * (1.0 - s * (1.0 - f))].map(|value| (255.0 * value) as i32);
                let pick = |order: [i32; 6]| {
                    let upper = if number == 4 { order[4] } else { order[5] };
                    let upper = if number == 3 { order[3] } else { upper };
                    let lower = if number == 1 { order[1] } else { order[2] };
                    let lower = if number == 0 { order[0] } else { lower };
                    if number < 3 { lower } else { upper }
                };
                red[k] = pick([high, falling, low, low, rising, high]);
                green[k] = pick([rising, high, high, falling, low, low]);
                blue[k] = pick([low, low, rising, high, high, falling]);
            }
            for (k, pixel) in pixels.iter_mut().enumerate() {
                *pixel = [blue[k] as u8, green[k] as u8, red[k] as u8];
            }
        }
    }
}

/// The nearest level, ties to even, of a value in [0, 255]. Beside 2^23 there is no room for a fraction, so that an
/// addition rounds; without SSE4.1 the standard function is a call.
fn byte(value: f32) -> u8 {
    (value + (1u32 << 23) as f32).to_bits() as u8
}

/// 2^12 * 255 / i and 2^12 * 30 / i for every level i.
pub(super) struct Divisors {
    saturation: [i32; 256],
    hue: [i32; 256],
}

pub(super) fn hsv_divisors() -> &'static Divisors {
    static TABLE: OnceLock<Divisors> = OnceLock::new();
    TABLE.get_or_init(|| {
        let divide = |by: f64| {
            std::array::from_fn(|i| {
                if i == 0 {
                    0
                } else {
                    (by / i as f64).round_ties_even() as i32
                }
            })
        };
        Divisors {
            saturation: divide(f64::from(255 << 12)),
            hue: divide(f64::from(180 << 12) / 6.0),
        }
    })
}

pub(super) fn to_hsv(rgb: [u8; 3], divisors: &Divisors) -> [u8; 3] {
    let [r, g, b] = rgb.map(i32::from);
    let v = r.max(g).max(b);
    let range = v - r.min(g).min(b);
    let s = descale(range * divisors.saturation[v as usize], 12);
    // All three are computed, so that nothing depends on a guess.
    let (from_red, from_green, from_blue) = (g - b, b - r + 2 * range, r - g + 4 * range);
    let sixths = if v == g { from_green } else { from_blue };
    let sixths = if v == r { from_red } else { sixths };
    let h = descale(sixths * divisors.hue[range as usize], 12);
    [(if h < 0 { h + 180 } else { h }) as u8, s as u8, v as u8]
}

pub(super) fn from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    let (s, v) = (f32::from(s) * (1.0 / 255.0), f32::from(v) * (1.0 / 255.0));
    // OpenCV's vector code, which does all but the last pixels of a row, truncates here.
    sector(h, [v, v * (1.0 - s)], |f| {
        [v * (1.0 - s * f), v * (1.0 - s * (1.0 - f))]
    })
    .map(|value| value as u8)
}

pub(super) fn to_hls(rgb: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = rgb.map(|v| f32::from(v) * (1.0 / 255.0));
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let (range, sum) = (high - low, high + low);
    let l = sum * 0.5;
    if range <= f32::EPSILON {
        return [0, byte(l * 255.0), 0];
    }
    let s = if l < 0.5 { range / sum } else { range / (2.0 - sum) };
    let per = 60.0 / range;
    let degrees = if high == r {
        (g - b) * per
    } else if high == g {
        (b - r) * per + 120.0
    } else {
        (r - g) * per + 240.0
    };
    let degrees = if degrees < 0.0 { degrees + 360.0 } else { degrees };
    [byte(degrees * 0.5), byte(l * 255.0), byte(s * 255.0)]
}

pub(super) fn from_hls([h, l, s]: [u8; 3]) -> [u8; 3] {
    let (l, s) = (f32::from(l) * (1.0 / 255.0), f32::from(s) * (1.0 / 255.0));
    let high = if l <= 0.5 { l * (1.0 + s) } else { l + s - l * s };
    let low = 2.0 * l - high;
    sector(h, [high, low], |f| {
        [low + (high - low) * (1.0 - f), low + (high - low) * f]
    })
    .map(byte)
}

/// R, G, B in levels from a hue in half degrees, the highest and lowest values in [0, 1] and the values between on the
/// falling and the rising side of a sector.
fn sector(h: u8, [high, low]: [f32; 2], between: impl Fn(f32) -> [f32; 2]) -> [f32; 3] {
    // Which of highest, lowest, falling and rising the channels are: looked up, since hues of a texture jump about.
    const ORDER: [[u8; 3]; 6] = [[0, 3, 1], [2, 0, 1], [1, 0, 3], [1, 2, 0], [3, 1, 0], [0, 1, 2]];
    let h = f32::from(h % 180) * (6.0 / 180.0);
    let number = (h as usize).min(5);
    let [falling, rising] = between(h - number as f32);
    let values = [high, low, falling, rising].map(|value| 255.0 * value);
    ORDER[number].map(|place| values[usize::from(place)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hues_of_blocks_are_those_of_single_pixels() {
        let mut state = 7u32;
        let mut image = RgbImage::from_fn(67, 31, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [r, g, b, _] = state.rotate_left(8).to_le_bytes();
            // Greys, pure colours and anything.
            image::Rgb(match (x + y) % 4 {
                0 => [r; 3],
                1 => [r & 128, g & 128, b | 127],
                _ => [r, g, b],
            })
        });
        let divisors = hsv_divisors();
        for (hue, saturation) in [(0, 0), (50, -50), (-50, 50), (17, 3)] {
            let turn = (hue as f32 / 255.0 * 180.0) as i32;
            let expected = RgbImage::from_fn(67, 31, |x, y| {
                let [r, g, b] = image.get_pixel(x, y).0;
                let [h, s, v] = to_hsv([b, g, r], divisors);
                let h = (i32::from(h) + turn).rem_euclid(180) as u8;
                let [b, g, r] = from_hsv([h, (i32::from(s) + saturation).clamp(0, 255) as u8, v]);
                image::Rgb([r, g, b])
            });
            shift_hue_saturation(&mut image, None, hue, saturation);
            assert!(image == expected, "{hue} {saturation}");
        }
    }
}
