//! Textures from noise, for when there are no images.

use std::cell::RefCell;
use std::sync::OnceLock;

use flawforge_masks::Stream;
use image::RgbImage;
use noise::core::worley::ReturnType;
use noise::{Billow, Fbm, MultiFractal, NoiseFn, Perlin, RidgedMulti, Worley};
use rand::{Rng, RngCore};

use crate::TextureSource;
use crate::pixels::reshape;

/// Procedural textures: clouds, ridges, bumps, cells, wood, marble, weave and dots, each from its own seed,
/// coloured, placed and scaled anew at every draw (proposal; DRAEM uses photographs of textures and reports
/// that fewer than ten suffice).
///
/// A pattern is computed when it is first drawn (some milliseconds) and then kept.
pub struct ProceduralTextures {
    seed: u64,
    patterns: Vec<OnceLock<Vec<u8>>>,
}

/// Patterns are squares of this many pixels, mirrored beyond their edges.
const SIDE: usize = 256;

impl Default for ProceduralTextures {
    fn default() -> Self {
        Self::new(0, 48)
    }
}

impl ProceduralTextures {
    /// Textures from `patterns` different patterns (at least one) of a seed.
    pub fn new(seed: u64, patterns: usize) -> Self {
        Self {
            seed,
            patterns: (0..patterns.max(1)).map(|_| OnceLock::new()).collect(),
        }
    }

    fn pattern(&self, index: usize) -> &[u8] {
        self.patterns[index].get_or_init(|| {
            let stream = Stream {
                seed: self.seed,
                step: 0,
                index: index as u64,
            };
            pattern(index, &mut stream.rng("pattern"))
        })
    }
}

impl TextureSource for ProceduralTextures {
    fn texture_into(&self, width: u32, height: u32, texture: &mut RgbImage, rng: &mut dyn RngCore) {
        reshape(texture, width, height);
        let pattern = self.pattern(rng.random_range(0..self.patterns.len()));
        let colors = palette(rng);
        // Pattern pixels per texture pixel, so that the shorter side shows between half and all of the pattern.
        let step = SIDE as f32 * rng.random_range(0.5..1.0) / width.min(height).max(1) as f32;
        let (x0, y0) = (
            rng.random_range(0.0..SIDE as f32),
            rng.random_range(0.0..SIDE as f32),
        );
        // A transposed texture walks down the pattern along its rows.
        let transposed = rng.random::<bool>();
        let (across, down) = if transposed {
            ((y0, SIDE), (x0, 1))
        } else {
            ((x0, 1), (y0, SIDE))
        };
        let mut columns = COLUMNS.take();
        columns.clear();
        columns.extend((0..width).map(|x| Tap::new(across.0 + x as f32 * step, across.1)));
        let (pixels, _) = texture.as_chunks_mut::<3>();
        for (y, out) in (0..height).zip(pixels.chunks_exact_mut(width.max(1) as usize)) {
            let row = Tap::new(down.0 + y as f32 * step, down.1);
            for (out, column) in out.iter_mut().zip(&columns) {
                let at = |place: usize| f32::from(pattern[place]);
                // First along the pattern's rows, whichever way the texture lies.
                let (x, y) = if transposed {
                    (&row, column)
                } else {
                    (column, &row)
                };
                let upper =
                    at(x.first + y.first) + (at(x.second + y.first) - at(x.first + y.first)) * x.fraction;
                let lower =
                    at(x.first + y.second) + (at(x.second + y.second) - at(x.first + y.second)) * x.fraction;
                *out = colors[(upper + (lower - upper) * y.fraction + 0.5) as u8 as usize];
            }
        }
        COLUMNS.set(columns);
    }

    /// Its constants, in words.
    fn identity(&self) -> String {
        format!(
            "procedural textures, {} patterns of seed {}",
            self.patterns.len(),
            self.seed
        )
    }
}

thread_local! {
    static COLUMNS: RefCell<Vec<Tap>> = RefCell::default();
}

/// Two neighbours on an axis of a pattern, as distances in its memory, and the place between them.
struct Tap {
    first: usize,
    second: usize,
    fraction: f32,
}

impl Tap {
    fn new(place: f32, pitch: usize) -> Self {
        let first = place as usize;
        Self {
            first: mirror(first) * pitch,
            second: mirror(first + 1) * pitch,
            fraction: place - first as f32,
        }
    }
}

fn mirror(at: usize) -> usize {
    let at = at % (2 * SIDE);
    at.min(2 * SIDE - 1 - at)
}

/// A colour for each of 256 levels, through two to five random colours. Most surfaces are rather grey: strong
/// colours are as rare as a square makes them.
fn palette(rng: &mut dyn RngCore) -> [[u8; 3]; 256] {
    let chroma = rng.random::<f32>().powi(2);
    let number = rng.random_range(2..=5);
    let stop = || {
        let grey = rng.random_range(0.0_f32..256.0);
        [(); 3].map(|()| grey + chroma * (rng.random_range(0.0_f32..256.0) - grey))
    };
    let mut stops = [[0.0; 3]; 5];
    let stops = &mut stops[..number];
    stops.fill_with(stop);
    std::array::from_fn(|level| {
        let at = level as f32 / 255.0 * (stops.len() - 1) as f32;
        let first = (at as usize).min(stops.len() - 2);
        let (low, high) = (stops[first], stops[first + 1]);
        std::array::from_fn(|c| (low[c] + (high[c] - low[c]) * (at - first as f32)) as u8)
    })
}

/// A pattern that fills the range of levels; its family goes round with the index.
fn pattern(index: usize, rng: &mut dyn RngCore) -> Vec<u8> {
    let seed = rng.next_u32();
    let cells = rng.random_range(2.0_f64..14.0);
    let stretch = rng.random_range(1.0_f64..3.0);
    let strength = rng.random_range(0.1_f64..0.6);
    let fbm = Fbm::<Perlin>::new(seed).set_octaves(5);
    let values: Vec<f64> = match index % 8 {
        0 => field(|x, y| fbm.get([x * cells, y * cells * stretch])),
        1 => {
            let ridges = RidgedMulti::<Perlin>::new(seed).set_octaves(4);
            field(|x, y| ridges.get([x * cells, y * cells]))
        }
        2 => {
            let bumps = Billow::<Perlin>::new(seed).set_octaves(4);
            field(|x, y| bumps.get([x * cells * stretch, y * cells]))
        }
        3 => {
            let cracks = Worley::new(seed).set_return_type(ReturnType::Distance);
            field(|x, y| cracks.get([x * 2.0 * cells, y * 2.0 * cells]))
        }
        4 => {
            let tiles = Worley::new(seed);
            field(|x, y| tiles.get([x * 2.0 * cells, y * 2.0 * cells * stretch]))
        }
        5 => field(|x, y| {
            let grain = fbm.get([x * 2.0, y * 2.0 * stretch]) * strength;
            ((x - 0.4).hypot((y - 0.6) / (2.0 * stretch)) * 3.0 * cells + 4.0 * grain).fract()
        }),
        6 => field(|x, y| {
            ((x + stretch * y) * 3.0 * cells + 8.0 * strength * fbm.get([x * 3.0, y * 3.0])).sin()
        }),
        _ => field(|x, y| {
            let turns = std::f64::consts::TAU * 2.0 * cells;
            (x * turns).sin() * (y * turns * stretch).sin() + strength * fbm.get([x * 8.0, y * 8.0])
        }),
    };
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = 255.0 / (high - low).max(f64::MIN_POSITIVE);
    values
        .iter()
        .map(|value| ((value - low) * scale).round() as u8)
        .collect()
}

fn field(f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let place = |k: usize| k as f64 / SIDE as f64;
    (0..SIDE)
        .flat_map(|y| (0..SIDE).map(move |x| (x, y)))
        .map(|(x, y)| f(place(x), place(y)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_has_contrast_and_detail() {
        let textures = ProceduralTextures::default();
        for index in 0..16 {
            let pattern = textures.pattern(index);
            let mean = pattern.iter().map(|&v| f64::from(v)).sum::<f64>() / pattern.len() as f64;
            let spread = pattern
                .iter()
                .map(|&v| (f64::from(v) - mean).powi(2))
                .sum::<f64>()
                / pattern.len() as f64;
            assert!(
                spread.sqrt() > 15.0,
                "pattern {index}: deviation {}",
                spread.sqrt()
            );
        }
    }

    #[test]
    fn seed_and_number_make_the_identity() {
        let textures = ProceduralTextures::new(7, 3);
        assert_eq!(textures.identity(), "procedural textures, 3 patterns of seed 7");
    }

    #[test]
    fn textures_differ_and_repeat() {
        let draw = |index, w, h| {
            ProceduralTextures::new(1, 3).texture(
                w,
                h,
                &mut Stream {
                    seed: 9,
                    step: 0,
                    index,
                }
                .rng(""),
            )
        };
        assert_eq!(draw(0, 70, 40).dimensions(), (70, 40));
        assert_eq!(draw(0, 70, 40), draw(0, 70, 40));
        assert_ne!(draw(0, 70, 40), draw(1, 70, 40));
        assert_eq!(draw(0, 1, 700).dimensions(), (1, 700));
    }
}
