//! Several texture operations in a row, done only where the result will be seen.

use image::RgbImage;

use super::{Table, TextureOperation, brightness, histogram, hue, sharpness, table};
use crate::pixels::reshape;
use crate::rotation::{Fill, Turned};

/// Applies operations to those pixels of a texture that a mask will show: a few percent, as a rule.
///
/// Going backwards, every operation says which pixels it reads: the same ones; their neighbours; those that a
/// rotation brings there; or, to count levels, all. Going forwards, operations that look up each level in a table
/// (six of the ten) only change one pending table per channel, which is applied when an operation needs the values.
/// The seen pixels have the same bytes as if each operation had changed the whole image.
#[derive(Default)]
pub(crate) struct Chain {
    /// The result of operations that cannot be done in place.
    spare: RgbImage,
    /// For every operation the pixels of its input that matter.
    needs: Vec<Need>,
    sets: Vec<Vec<u32>>,
    /// One byte a pixel, zero between uses.
    marks: Vec<u8>,
    turned: Turned,
}

/// Which pixels matter.
#[derive(Clone, Copy)]
enum Need {
    All,
    /// A place in `sets`.
    Set(usize),
}

impl Chain {
    /// Applies the operations in order. `seen` are the indices (row by row) of the pixels that matter afterwards;
    /// the others may hold anything. `None`: all matter.
    pub(crate) fn run(
        &mut self,
        operations: &[TextureOperation],
        image: &mut RgbImage,
        seen: Option<&[u32]>,
    ) {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return;
        }
        self.look_back(operations, (width, height), seen);
        let mut pending: Option<[Table; 3]> = None;
        for (place, operation) in operations.iter().enumerate() {
            let before = self.pixels(place);
            match *operation {
                TextureOperation::AutoContrast { cutoff } => {
                    let tables = histogram::auto_contrast(histogram::count(image, &pending), cutoff);
                    pending = Some(then(pending, tables));
                }
                TextureOperation::Equalize => {
                    let tables = histogram::equalize(histogram::count(image, &pending));
                    pending = Some(then(pending, tables));
                }
                TextureOperation::Brightness {
                    space,
                    multiply,
                    add,
                    multiply_first,
                } => {
                    look_up(image, before, pending.take());
                    let levels = brightness::levels(multiply, add, multiply_first);
                    brightness::adjust(image, before, space, &levels);
                }
                TextureOperation::HueSaturation { hue, saturation } => {
                    look_up(image, before, pending.take());
                    hue::shift_hue_saturation(image, before, hue, saturation);
                }
                TextureOperation::Sharpness { factor } => {
                    look_up(image, before, pending.take());
                    let mut spare = std::mem::take(&mut self.spare);
                    reshape(&mut spare, width, height);
                    sharpness::enhance(image, self.pixels(place + 1), factor, &mut spare);
                    self.spare = std::mem::replace(image, spare);
                }
                TextureOperation::Rotate { degrees } => {
                    look_up(image, before, pending.take());
                    let mut spare = std::mem::take(&mut self.spare);
                    reshape(&mut spare, width, height);
                    self.turned.prepare((width, height), degrees);
                    match self.needs[place + 1] {
                        Need::All => self.turned.all(image, Fill::Black, &mut spare),
                        Need::Set(set) => self.turned.some(image, Fill::Black, &self.sets[set], &mut spare),
                    }
                    self.spare = std::mem::replace(image, spare);
                }
                ref other => {
                    if let Some(tables) = other.tables() {
                        pending = Some(then(pending, tables));
                    }
                }
            }
        }
        look_up(image, self.pixels(operations.len()), pending);
    }

    /// The pixels that matter to the operation at a place, or, at the end, those seen; `None`: all.
    fn pixels(&self, place: usize) -> Option<&[u32]> {
        match self.needs[place] {
            Need::All => None,
            Need::Set(set) => Some(&self.sets[set]),
        }
    }

    fn look_back(
        &mut self,
        operations: &[TextureOperation],
        (width, height): (u32, u32),
        seen: Option<&[u32]>,
    ) {
        let mut used = 0;
        let mut need = match seen {
            Some(seen) => {
                let set = take(&mut self.sets, &mut used);
                set.extend_from_slice(seen);
                Need::Set(0)
            }
            None => Need::All,
        };
        self.marks.resize(width as usize * height as usize, 0);
        self.needs.clear();
        self.needs.push(need);
        for operation in operations.iter().rev() {
            match (need, operation) {
                (Need::All, _) | (_, TextureOperation::AutoContrast { .. } | TextureOperation::Equalize) => {
                    need = Need::All;
                }
                (Need::Set(after), TextureOperation::Sharpness { .. }) => {
                    let mut set = std::mem::take(take(&mut self.sets, &mut used));
                    for &at in &self.sets[after] {
                        let (x, y) = (at % width, at / width);
                        for y in y.saturating_sub(1)..(y + 2).min(height) {
                            for x in x.saturating_sub(1)..(x + 2).min(width) {
                                mark(&mut self.marks, y * width + x, &mut set);
                            }
                        }
                    }
                    need = self.keep(set, used - 1);
                }
                (Need::Set(after), TextureOperation::Rotate { degrees }) => {
                    let mut set = std::mem::take(take(&mut self.sets, &mut used));
                    self.turned.prepare((width, height), *degrees);
                    for &at in &self.sets[after] {
                        let (x, y) = self.turned.corner(at);
                        for y in y..y + 2 {
                            for x in x..x + 2 {
                                if (0..width as i32).contains(&x) && (0..height as i32).contains(&y) {
                                    mark(&mut self.marks, y as u32 * width + x as u32, &mut set);
                                }
                            }
                        }
                    }
                    need = self.keep(set, used - 1);
                }
                _ => {}
            }
            self.needs.push(need);
        }
        self.needs.reverse();
    }

    /// Puts a set into its place and clears its marks.
    fn keep(&mut self, set: Vec<u32>, place: usize) -> Need {
        for &at in &set {
            self.marks[at as usize] = 0;
        }
        self.sets[place] = set;
        Need::Set(place)
    }
}

/// The next set, empty.
fn take<'a>(sets: &'a mut Vec<Vec<u32>>, used: &mut usize) -> &'a mut Vec<u32> {
    if sets.len() == *used {
        sets.push(Vec::new());
    }
    *used += 1;
    let set = &mut sets[*used - 1];
    set.clear();
    set
}

fn mark(marks: &mut [u8], at: u32, set: &mut Vec<u32>) {
    let mark = &mut marks[at as usize];
    if *mark == 0 {
        *mark = 1;
        set.push(at);
    }
}

/// One table for two, applied one after the other.
fn then(first: Option<[Table; 3]>, second: [Table; 3]) -> [Table; 3] {
    match first {
        Some(first) => {
            std::array::from_fn(|c| std::array::from_fn(|level| second[c][usize::from(first[c][level])]))
        }
        None => second,
    }
}

/// Looks up the levels of the given pixels, or of all, when there is something to look up.
fn look_up(image: &mut RgbImage, pixels: Option<&[u32]>, tables: Option<[Table; 3]>) {
    if let Some([red, green, blue]) = &tables {
        each(image, pixels, |[r, g, b]| {
            [red[usize::from(r)], green[usize::from(g)], blue[usize::from(b)]]
        });
    }
}

/// Applies `f` to the given pixels, or to all.
#[inline(always)]
pub(super) fn each(image: &mut RgbImage, pixels: Option<&[u32]>, f: impl Fn([u8; 3]) -> [u8; 3]) {
    let (all, _) = image.as_chunks_mut::<3>();
    match pixels {
        Some(pixels) => {
            for &at in pixels {
                let pixel = &mut all[at as usize];
                *pixel = f(*pixel);
            }
        }
        None => {
            for pixel in all {
                *pixel = f(*pixel);
            }
        }
    }
}

impl TextureOperation {
    /// The new level of every level of R, G and B, for operations that look at nothing else; `None` for one that
    /// changes nothing, and for the others.
    fn tables(&self) -> Option<[Table; 3]> {
        match *self {
            Self::Gamma { gammas } => {
                Some(gammas.map(|gamma| table(|v| (255.0 * (v / 255.0).powf(gamma)) as u8)))
            }
            Self::Solarize {
                threshold: Some(threshold),
            } => Some([levels(|v| if v >= threshold { 255 - v } else { v }); 3]),
            Self::Posterize { bits } => {
                let keep = !(0xff_u16 >> bits.min(8)) as u8;
                Some([levels(|v| v & keep); 3])
            }
            Self::Invert => Some([levels(|v| 255 - v); 3]),
            _ => None,
        }
    }
}

fn levels(f: impl Fn(u8) -> u8) -> Table {
    std::array::from_fn(|level| f(level as u8))
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use rand::Rng;

    use super::*;
    use crate::{Stream, TextureOperations};

    #[test]
    fn what_is_seen_equals_the_whole_image_changed_step_by_step() {
        let mut chain = Chain::default();
        for index in 0..400 {
            let mut rng = Stream {
                seed: 4,
                step: 0,
                index,
            }
            .rng("");
            // Sizes change, so that left-over memory would show.
            let (width, height) = (
                [40, 23, 40, 1][index as usize % 4],
                [30, 37, 29, 9][index as usize % 4],
            );
            let image = RgbImage::from_fn(width, height, |x, y| {
                Rgb([(x * 6 + y) as u8, (y * 7) as u8, (x * y * 3 + index as u32) as u8])
            });
            let operations = TextureOperations {
                count: 1 + index as usize % 5,
                ..TextureOperations::default()
            }
            .draw(&mut rng);
            let mut expected = image.clone();
            for operation in &operations {
                operation.apply(&mut expected);
            }
            let share = rng.random_range(0.0..0.3);
            let seen: Vec<u32> = (0..width * height)
                .filter(|_| rng.random::<f64>() < share)
                .collect();
            let mut found = image.clone();
            chain.run(&operations, &mut found, Some(&seen));
            for &at in &seen {
                let (x, y) = (at % width, at / width);
                assert_eq!(found.get_pixel(x, y), expected.get_pixel(x, y), "{operations:?}");
            }
            let mut whole = image.clone();
            chain.run(&operations, &mut whole, None);
            assert_eq!(whole, expected, "{operations:?}");
        }
    }
}
