//! A binary mask.

use image::{GrayImage, Luma};
use thiserror::Error;

/// What can be wrong with the bytes or sizes given for a mask.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MaskError {
    /// The number of bytes is not `width * height`.
    #[error("a mask of {width}x{height} needs {expected} bytes, {found} were given")]
    Length {
        /// Width asked for, in pixels.
        width: u32,
        /// Height asked for, in pixels.
        height: u32,
        /// `width * height`.
        expected: usize,
        /// Number of bytes given.
        found: usize,
    },
    /// Two masks of unequal size were combined.
    #[error("masks of {}x{} and {}x{} cannot be combined", left.0, left.1, right.0, right.1)]
    Size {
        /// Width and height of the left mask.
        left: (u32, u32),
        /// Width and height of the right mask.
        right: (u32, u32),
    },
}

/// A binary mask, row-major: 1 where a pixel is anomalous (set), 0 elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Mask {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Mask {
    /// A mask of `width` x `height` pixels with none set.
    pub fn empty(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width as usize * height as usize],
        }
    }

    /// Makes it a mask of `width` x `height` pixels with none set, in the memory that it has.
    pub fn reset(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        self.pixels.clear();
        self.pixels.resize(width as usize * height as usize, 0);
    }

    /// Makes it a copy of another mask, in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        (self.width, self.height) = (other.width, other.height);
        self.pixels.clone_from(&other.pixels);
    }

    /// Lets `fill(y, row)` change each row, from the top; every byte that is then not zero sets its pixel.
    pub fn change_rows(&mut self, mut fill: impl FnMut(u32, &mut [u8])) {
        if self.width > 0 {
            for (y, row) in self.pixels.chunks_exact_mut(self.width as usize).enumerate() {
                fill(y as u32, row);
                for pixel in row {
                    *pixel = u8::from(*pixel != 0);
                }
            }
        }
    }

    /// Sets the pixels of a rectangle with its top-left pixel at column `x`, row `y`; what lies outside is cut off.
    pub fn set_rectangle(&mut self, (x, y): (u32, u32), (width, height): (u32, u32)) {
        let end = |start: u32, length: u32, limit: u32| start.saturating_add(length).min(limit) as usize;
        let columns = x.min(self.width) as usize..end(x, width, self.width);
        for y in y.min(self.height) as usize..end(y, height, self.height) {
            self.pixels[y * self.width as usize..][columns.clone()].fill(1);
        }
    }

    /// A mask whose pixel at column `x`, row `y` is set where `set(x, y)`; called row by row.
    pub fn from_fn(width: u32, height: u32, mut set: impl FnMut(u32, u32) -> bool) -> Self {
        let mut mask = Self::empty(width, height);
        if width > 0 {
            for (y, row) in mask.pixels.chunks_exact_mut(width as usize).enumerate() {
                for (x, pixel) in row.iter_mut().enumerate() {
                    *pixel = u8::from(set(x as u32, y as u32));
                }
            }
        }
        mask
    }

    /// A mask from `width * height` row-major bytes; every byte that is not zero sets its pixel.
    ///
    /// # Errors
    /// [`MaskError::Length`] when the number of bytes does not fit.
    pub fn from_bytes(width: u32, height: u32, mut bytes: Vec<u8>) -> Result<Self, MaskError> {
        let expected = width as usize * height as usize;
        if bytes.len() != expected {
            return Err(MaskError::Length {
                width,
                height,
                expected,
                found: bytes.len(),
            });
        }
        for byte in &mut bytes {
            *byte = u8::from(*byte != 0);
        }
        Ok(Self {
            width,
            height,
            pixels: bytes,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Whether the pixel at column `x`, row `y` is set; `false` outside the mask.
    pub fn get(&self, x: u32, y: u32) -> bool {
        x < self.width && y < self.height && self.pixels[self.index(x, y)] != 0
    }

    /// Sets or clears the pixel at column `x`, row `y`; does nothing outside the mask.
    pub fn set(&mut self, x: u32, y: u32, value: bool) {
        if x < self.width && y < self.height {
            let index = self.index(x, y);
            self.pixels[index] = u8::from(value);
        }
    }

    /// The pixels, row-major, each 0 or 1.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The number of set pixels.
    pub fn count(&self) -> usize {
        self.pixels
            .chunks(128)
            .map(|chunk| usize::from(chunk.iter().sum::<u8>()))
            .sum()
    }

    /// The share of set pixels, in [0, 1]; 0 for a mask without pixels.
    pub fn coverage(&self) -> f64 {
        if self.pixels.is_empty() {
            0.0
        } else {
            self.count() as f64 / self.pixels.len() as f64
        }
    }

    /// Whether no pixel is set.
    pub fn is_empty(&self) -> bool {
        // Whole blocks at once, which the compiler turns into a few instructions.
        !self
            .pixels
            .chunks(64)
            .any(|chunk| chunk.iter().fold(0, |any, &pixel| any | pixel) != 0)
    }

    /// The pixels that are set in either mask.
    ///
    /// # Errors
    /// [`MaskError::Size`] when the sizes differ.
    pub fn union(&self, other: &Self) -> Result<Self, MaskError> {
        self.combine(other, |a, b| a | b)
    }

    /// The pixels that are set in both masks.
    ///
    /// # Errors
    /// [`MaskError::Size`] when the sizes differ.
    pub fn intersection(&self, other: &Self) -> Result<Self, MaskError> {
        self.combine(other, |a, b| a & b)
    }

    /// Clears the pixels that are not set in another mask.
    ///
    /// # Errors
    /// [`MaskError::Size`] when the sizes differ.
    pub fn restrict(&mut self, to: &Self) -> Result<(), MaskError> {
        let (left, right) = ((self.width, self.height), (to.width, to.height));
        if left != right {
            return Err(MaskError::Size { left, right });
        }
        for (pixel, &keep) in self.pixels.iter_mut().zip(&to.pixels) {
            *pixel &= keep;
        }
        Ok(())
    }

    /// A grey image of the same size: 255 where set, 0 elsewhere.
    pub fn to_luma8(&self) -> GrayImage {
        GrayImage::from_fn(self.width, self.height, |x, y| {
            Luma([if self.get(x, y) { 255 } else { 0 }])
        })
    }

    /// The mask at another size: each pixel is the nearest one.
    #[must_use]
    pub fn scaled(&self, width: u32, height: u32) -> Self {
        if (self.width, self.height) == (width, height) {
            return self.clone();
        }
        let nearest = |place: u32, from: u32, to: u32| {
            let middle = (f64::from(place) + 0.5) * f64::from(from) / f64::from(to);
            (middle as u32).min(from.saturating_sub(1))
        };
        let columns: Vec<u32> = (0..width).map(|x| nearest(x, self.width, width)).collect();
        Self::from_fn(width, height, |x, y| {
            self.get(columns[x as usize], nearest(y, self.height, height))
        })
    }

    /// The pixels, for code of this crate that writes 0 and 1 only.
    pub(crate) fn binary_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    fn combine(&self, other: &Self, f: impl Fn(u8, u8) -> u8) -> Result<Self, MaskError> {
        let (left, right) = ((self.width, self.height), (other.width, other.height));
        if left != right {
            return Err(MaskError::Size { left, right });
        }
        let pixels = self.pixels.iter().zip(&other.pixels);
        Ok(Self {
            width: self.width,
            height: self.height,
            pixels: pixels.map(|(&a, &b)| f(a, b)).collect(),
        })
    }

    fn index(&self, x: u32, y: u32) -> usize {
        y as usize * self.width as usize + x as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_zero_or_one() {
        let mask = Mask::from_bytes(3, 2, vec![0, 255, 1, 0, 0, 128]).unwrap();
        assert_eq!(mask.pixels(), [0, 1, 1, 0, 0, 1]);
        assert_eq!(mask.count(), 3);
        assert_eq!(mask.coverage(), 0.5);
        assert!(mask.get(2, 1) && !mask.get(0, 1) && !mask.get(3, 0) && !mask.get(0, 2));
        assert_eq!(mask.to_luma8().into_raw(), [0, 255, 255, 0, 0, 255]);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let error = Mask::from_bytes(3, 2, vec![0; 5]).unwrap_err();
        assert_eq!(error.to_string(), "a mask of 3x2 needs 6 bytes, 5 were given");
        let error = Mask::empty(3, 2).union(&Mask::empty(2, 3)).unwrap_err();
        assert_eq!(error.to_string(), "masks of 3x2 and 2x3 cannot be combined");
    }

    #[test]
    fn sets_combine() {
        let left = Mask::from_fn(5, 4, |x, _| x < 3);
        let right = Mask::from_fn(5, 4, |_, y| y < 1);
        assert_eq!(
            left.union(&right).unwrap(),
            Mask::from_fn(5, 4, |x, y| x < 3 || y < 1)
        );
        assert_eq!(
            left.intersection(&right).unwrap(),
            Mask::from_fn(5, 4, |x, y| x < 3 && y < 1)
        );
        let mut mask = Mask::empty(5, 4);
        assert!(mask.is_empty());
        mask.set(4, 3, true);
        mask.set(5, 3, true);
        assert_eq!((mask.count(), mask.is_empty()), (1, false));
        mask.set(4, 3, false);
        assert!(mask.is_empty());
        assert!(Mask::empty(0, 0).is_empty() && Mask::empty(0, 7).coverage() == 0.0);
    }

    #[test]
    fn memory_is_used_again() {
        let mut mask = Mask::from_fn(40, 30, |_, _| true);
        mask.reset(9, 7);
        assert_eq!(mask, Mask::empty(9, 7));
        mask.set_rectangle((7, 3), (5, 100));
        mask.set_rectangle((20, 1), (2, 2));
        assert_eq!(mask, Mask::from_fn(9, 7, |x, y| x >= 7 && y >= 3));
        mask.restrict(&Mask::from_fn(9, 7, |x, _| x == 8)).unwrap();
        assert_eq!(mask.count(), 4);
        assert!(mask.restrict(&Mask::empty(9, 8)).is_err());
        mask.change_rows(|y, row| row.fill(y as u8 * 3));
        assert_eq!(mask, Mask::from_fn(9, 7, |_, y| y > 0));
        let mut copy = Mask::default();
        copy.copy_from(&mask);
        assert_eq!(copy, mask);
    }

    #[test]
    fn many_pixels_are_counted() {
        assert_eq!(Mask::from_fn(300, 301, |_, _| true).count(), 300 * 301);
    }
}
