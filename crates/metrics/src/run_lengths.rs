//! The pixels of a region as COCO writes them: lengths of runs down the columns.

use crate::Truth;

/// The pixels of a region of an image: the lengths of runs down its columns, from the left column to the right one, by turns outside
/// and inside of the region. The first is outside, and may be 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunLengths(Vec<u32>);

/// The character of the digit 0 of the compressed form.
const ZERO: u8 = 48;
/// Bits of a digit; the next one says that more digits follow.
const BITS: u32 = 5;
const MORE: i64 = 1 << BITS;

impl RunLengths {
    /// From the rows of a region: its first column, how many it has, and its runs (row, first column, column behind the last) from the
    /// upper row to the lower one, in an image of `width`×`height`.
    pub(crate) fn of_rows(
        (left, columns): (usize, usize),
        rows: impl Iterator<Item = (usize, usize, usize)>,
        (width, height): (usize, usize),
    ) -> Self {
        let mut down: Vec<Vec<(usize, usize)>> = vec![Vec::new(); columns];
        for (row, from, end) in rows {
            for column in down.iter_mut().take(end - left).skip(from - left) {
                match column.last_mut() {
                    Some((_, below)) if *below == row => *below += 1,
                    _ => column.push((row, row + 1)),
                }
            }
        }
        let mut lengths: Vec<u32> = Vec::new();
        let mut done = 0;
        for (column, runs) in (left..).zip(&down) {
            for &(from, below) in runs {
                let (from, length) = (column * height + from, (below - from) as u32);
                match lengths.last_mut() {
                    // From the foot of a column to the head of the next one.
                    Some(last) if from == done => *last += length,
                    _ => lengths.extend([(from - done) as u32, length]),
                }
                done = from + length as usize;
            }
        }
        if done < width * height {
            lengths.push((width * height - done) as u32);
        }
        Self(lengths)
    }

    /// Of the anomalous pixels of a mask, row-major, `width` pixels wide.
    pub fn of_mask<T: Truth>(mask: &[T], width: usize) -> Self {
        let height = mask.len() / width.max(1);
        let down = (0..width).flat_map(|x| (0..height).map(move |y| mask[y * width + x].is_anomalous()));
        let mut lengths = vec![0];
        let mut inside = false;
        for pixel in down {
            if pixel != inside {
                lengths.push(0);
                inside = pixel;
            }
            if let Some(last) = lengths.last_mut() {
                *last += 1;
            }
        }
        Self(lengths)
    }

    /// Whether each pixel of an image of this size is inside, row-major; `None` where the runs are not those of as many pixels.
    pub fn pixels(&self, width: usize, height: usize) -> Option<Vec<bool>> {
        let all: u64 = self.0.iter().map(|&length| u64::from(length)).sum();
        if all != width as u64 * height as u64 {
            return None;
        }
        let mut pixels = vec![false; width * height];
        let mut at = 0;
        for (place, &length) in self.0.iter().enumerate() {
            let end = at + length as usize;
            if place % 2 == 1 {
                (at..end).for_each(|at| pixels[at % height * width + at / height] = true);
            }
            at = end;
        }
        Some(pixels)
    }

    /// The lengths: what COCO calls an uncompressed RLE.
    pub fn lengths(&self) -> &[u32] {
        &self.0
    }

    /// The compressed form of COCO's own tools: from the fourth length on differences to the last but one, in characters of five bits
    /// each, the lower ones first.
    pub fn compressed(&self) -> String {
        let mut text = String::new();
        for (at, &length) in self.0.iter().enumerate() {
            let before = if at > 2 { self.0[at - 2] } else { 0 };
            let mut left = i64::from(length) - i64::from(before);
            loop {
                let digit = left & (MORE - 1);
                left >>= BITS;
                // The highest bit of the last digit is its sign.
                let ends = left == if digit & (MORE >> 1) != 0 { -1 } else { 0 };
                let digit = if ends { digit } else { digit | MORE };
                text.push(char::from(ZERO + digit as u8));
                if ends {
                    break;
                }
            }
        }
        text
    }

    /// Reads the compressed form; `None` for a text that is none.
    pub fn from_compressed(text: &str) -> Option<Self> {
        let mut lengths: Vec<u32> = Vec::new();
        let mut digits = text.bytes();
        while let Some(mut byte) = digits.next() {
            let (mut value, mut shift) = (0i64, 0);
            loop {
                let digit = i64::from(byte.checked_sub(ZERO)?);
                if digit >= 2 * MORE || shift > 40 {
                    return None;
                }
                value |= (digit & (MORE - 1)) << shift;
                shift += BITS;
                if digit & MORE == 0 {
                    if digit & (MORE >> 1) != 0 {
                        value |= -1 << shift;
                    }
                    break;
                }
                byte = digits.next()?;
            }
            let before = match lengths.len() {
                at @ 3.. => lengths[at - 2],
                _ => 0,
            };
            lengths.push(u32::try_from(value + i64::from(before)).ok()?);
        }
        Some(Self(lengths))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Regions;

    fn shapes(rows: &[&str]) -> Vec<RunLengths> {
        let scores: Vec<f32> = rows.concat().bytes().map(|byte| f32::from(byte - b'0')).collect();
        Regions::of(&scores, rows[0].len(), 1.0, 1).shapes(9)
    }

    #[test]
    fn runs_go_down_the_columns_and_on_in_the_next() {
        // A column that is full to the foot goes on at the head of the next.
        assert_eq!(shapes(&["011", "010", "010"])[0].lengths(), [3, 4, 2]);
        assert_eq!(shapes(&["1"])[0].lengths(), [0, 1]);
        // The higher region first, each without the other.
        let two = shapes(&["2000", "2001"]);
        assert_eq!(
            (two[0].lengths(), two[1].lengths()),
            (&[0, 2, 6][..], &[7, 1][..])
        );
    }

    /// Against `pycocotools.mask.encode` 2.0.11 of the same pixels.
    #[test]
    fn the_compressed_form_is_that_of_pycocotools() {
        let of = |width: i32, height: i32, inside: &dyn Fn(i32, i32) -> bool| {
            let pixels = (0..width * height).map(|at| f32::from(u8::from(inside(at % width, at / width))));
            let shapes = Regions::of(&pixels.collect::<Vec<_>>(), width as usize, 1.0, 1).shapes(9);
            assert_eq!(shapes.len(), 1);
            shapes[0].compressed()
        };
        let disc = of(40, 30, &|x, y| (x - 20).pow(2) + (y - 15).pow(2) <= 100);
        assert_eq!(disc, "k91i08J4M2N2O0O2O00000O20N1000001N101N2N3L6HS8");
        let star = of(200, 300, &|x, y| ((x - 90) * (y - 150)).abs() < 900 && x < 180);
        let expected = concat!(
            r"]4c0h82O0000000000000O2O00000000000O2O0000000O2O0000000O2O0000000O2O000O2O00000O2O000O2O0O2O000O2O0O",
            r"2O0O2N2O0O2O0O2N2N2N2N2O0N4M2N2N2N2M4L4M2M4L4K6K4K6I8I6H:F:F:D>A`0^Od0YOj0SOP1kN^X3[OlhLe0fNU1POm0VO",
            r"g0\Ob0@?B<F:F:F8J7H7J5L5J5L4L3N3L4L3N2N2N2N3L201N2N2N2N2N101N101N2N101N101N10001N101N10001N1000001N1",
            r"0001N100000001N100000001N100000001N1000000000001N10000000000000Tg5",
        );
        assert_eq!(star, expected);
    }

    #[test]
    fn a_mask_comes_back() {
        let mask = [0u8, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1, 1];
        let runs = RunLengths::of_mask(&mask, 4);
        assert_eq!(runs.lengths(), [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]);
        let back = runs.pixels(4, 3).unwrap();
        assert!(back.iter().zip(mask).all(|(&inside, byte)| inside == (byte == 1)));
        assert!(runs.pixels(4, 4).is_none());
        assert_eq!(RunLengths::of_mask(&[1u8; 6], 2).lengths(), [0, 6]);
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for lengths in [
            vec![],
            vec![0, 1],
            vec![7, 1],
            vec![1000, 3, 90_000, 4, 2, 1_000_000_000, 5, 31, 32],
        ] {
            let runs = RunLengths(lengths);
            assert_eq!(RunLengths::from_compressed(&runs.compressed()), Some(runs));
        }
        for bad in ["\n", "`", "o", "ä"] {
            assert_eq!(RunLengths::from_compressed(bad), None, "{bad}");
        }
    }
}
