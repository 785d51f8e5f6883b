//! 3×3 maximum with stride 2 and padding 1 of NHWC images.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::Isa;
use super::multiversion::multiversioned;
use super::parallel::filled;

/// The positions of a window along one axis that lie inside.
fn window(output: usize, length: usize) -> std::ops::Range<usize> {
    (2 * output).saturating_sub(1)..(2 * output + 2).min(length)
}

/// Whether `value` takes the place of the best so far: the first of equals stays, NaN wins.
#[inline(always)]
fn wins(value: f32, best: f32) -> bool {
    (value > best) | value.is_nan()
}

/// Maxima of images of height, width and channels.
pub(crate) fn forward(x: &[f32], [h, w, c]: [usize; 3], isa: Isa) -> Vec<f32> {
    let (ho, wo) = (h.div_ceil(2), w.div_ceil(2));
    let images = x.len() / (h * w * c);
    // SAFETY: every pixel of the row is written by `first` before `maxima` reads it.
    unsafe {
        filled(images * ho * wo * c, wo * c, |row, y| {
            let (image, row) = (&x[row / ho * h * w * c..][..h * w * c], row % ho);
            for (column, y) in y.chunks_exact_mut(c).enumerate() {
                let mut begun = false;
                for iy in window(row, h) {
                    for ix in window(column, w) {
                        let pixel = &image[(iy * w + ix) * c..][..c];
                        if begun {
                            maxima(isa, pixel, y);
                        } else {
                            y.write_copy_of_slice(pixel);
                            begun = true;
                        }
                    }
                }
            }
        })
    }
}

/// Gradient of the input: every `dy` goes to the first maximum of its window.
///
/// An input pixel lies in up to four windows, so images are the tasks: their sums are made one after the other.
pub(crate) fn backward(x: &[f32], dy: &[f32], [h, w, c]: [usize; 3]) -> Vec<f32> {
    let (ho, wo) = (h.div_ceil(2), w.div_ceil(2));
    let mut dx = vec![0.0; x.len()];
    dx.par_chunks_mut(h * w * c)
        .zip(x.par_chunks(h * w * c))
        .zip(dy.par_chunks(ho * wo * c))
        .for_each(|((dx, x), dy)| {
            let mut places = vec![0usize; c];
            let mut best = vec![0f32; c];
            for (pixel, dy) in dy.chunks_exact(c).enumerate() {
                let (row, column) = (pixel / wo, pixel % wo);
                let mut begun = false;
                for iy in window(row, h) {
                    for ix in window(column, w) {
                        let at = (iy * w + ix) * c;
                        let values = &x[at..][..c];
                        for ((&value, best), place) in values.iter().zip(&mut best).zip(&mut places) {
                            if !begun || wins(value, *best) {
                                *best = value;
                                *place = at;
                            }
                        }
                        begun = true;
                    }
                }
                for (channel, (&place, &dy)) in places.iter().zip(dy).enumerate() {
                    dx[place + channel] += dy;
                }
            }
        });
    dx
}

multiversioned! {
    /// Raises the numbers written so far to those of a pixel.
    fn maxima(pixel: &[f32], y: &mut [MaybeUninit<f32>]) {
        for (&value, y) in pixel.iter().zip(y) {
            // SAFETY: the caller has written it.
            let best = unsafe { y.assume_init() };
            y.write(if wins(value, best) { value } else { best });
        }
    }
}
