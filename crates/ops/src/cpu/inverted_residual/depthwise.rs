//! One row of a convolution with a filter for each channel.

use crate::cpu::lanes::{Kernel, Lanes};

/// Pixels whose sums are held in registers at once, beside a row of taps and a vector of input: fourteen registers at most.
const PIXELS: usize = 8;

/// A row of output of `SIDE`×`SIDE` filters, each channel with its own, and ReLU6 behind them; it is stored in words.
pub(super) struct Row<const SIDE: usize> {
    /// The rows of input that the filters meet, each from where the first place of the kernel begins.
    pub(super) rows: [*const f32; SIDE],
    /// Channels, one vector or two; also the floats from a pixel of input to the next.
    pub(super) width: usize,
    pub(super) stride: usize,
    /// `[SIDE * SIDE][width]`.
    pub(super) taps: *const f32,
    /// `[width]`.
    pub(super) bias: *const f32,
    pub(super) out: *mut f32,
    /// Words from a pixel of output to the next.
    pub(super) out_pixel: usize,
    /// Pixels of output.
    pub(super) pixels: usize,
}

impl<const SIDE: usize> Kernel for Row<SIDE> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        debug_assert!(self.width == V::LANES || self.width == 2 * V::LANES);
        // Width and stride are known where the sums are compiled: otherwise the compiler keeps a hundred addresses.
        // SAFETY: the caller's promise.
        unsafe {
            match (self.width == V::LANES, self.stride) {
                (true, 1) => self.all::<V, 1, 1>(),
                (true, 2) => self.all::<V, 1, 2>(),
                (true, _) => self.all::<V, 1, 0>(),
                (false, 1) => self.all::<V, 2, 1>(),
                (false, 2) => self.all::<V, 2, 2>(),
                (false, _) => self.all::<V, 2, 0>(),
            }
        }
    }
}

impl<const SIDE: usize> Row<SIDE> {
    /// All pixels of `VECTORS` vectors of channels; a `STRIDE` of 0 stands for any other than 1 and 2.
    #[inline(always)]
    unsafe fn all<V: Lanes, const VECTORS: usize, const STRIDE: usize>(&self) {
        for vector in 0..VECTORS {
            let mut pixel = 0;
            // SAFETY: the pointers are valid for all pixels, taps and channels.
            unsafe {
                if STRIDE > 0 {
                    while pixel + PIXELS <= self.pixels {
                        self.some::<V, VECTORS, STRIDE, PIXELS>(vector, pixel);
                        pixel += PIXELS;
                    }
                    if pixel + 4 <= self.pixels {
                        self.some::<V, VECTORS, STRIDE, 4>(vector, pixel);
                        pixel += 4;
                    }
                }
                while pixel < self.pixels {
                    self.some::<V, VECTORS, 1, 1>(vector, pixel);
                    pixel += 1;
                }
            }
        }
    }

    /// A vector of channels of `COUNT` pixels. Each row of input is gone through once, and each of its vectors is added to
    /// the sums that meet it; a sum meets its taps one after the other.
    #[inline(always)]
    unsafe fn some<V: Lanes, const VECTORS: usize, const STRIDE: usize, const COUNT: usize>(
        &self,
        vector: usize,
        pixel: usize,
    ) {
        let (channel, width) = (vector * V::LANES, VECTORS * V::LANES);
        // SAFETY: as in `run`; places behind the last that the last pixel meets are not read.
        unsafe {
            let mut sums = [V::load(self.bias.add(channel)); COUNT];
            let mut taps_of_row = self.taps.add(channel);
            for row in self.rows {
                let from = row.add(pixel * self.stride * width + channel);
                let mut taps = [V::zero(); SIDE];
                for (index, tap) in taps.iter_mut().enumerate() {
                    *tap = V::load(taps_of_row.add(index * width));
                }
                taps_of_row = taps_of_row.add(SIDE * width);
                macro_rules! at_places {
                    ($($place:literal)*) => {$(
                        if $place < (COUNT - 1) * STRIDE + SIDE {
                            let input = V::load(from.add($place * width));
                            for (index, tap) in taps.into_iter().enumerate() {
                                if index <= $place
                                    && ($place - index) % STRIDE == 0
                                    && ($place - index) / STRIDE < COUNT
                                {
                                    let sum = &mut sums[($place - index) / STRIDE];
                                    *sum = input.mul_add(tap, *sum);
                                }
                            }
                        }
                    )*};
                }
                // As many as eight pixels of stride 2 meet with five taps.
                at_places!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18);
            }
            let six = V::splat(6.0);
            for (index, sum) in sums.into_iter().enumerate() {
                let to = self
                    .out
                    .add((pixel + index) * self.out_pixel + channel / V::STEPS);
                sum.positive().at_most(six).store_words(to);
            }
        }
    }
}
