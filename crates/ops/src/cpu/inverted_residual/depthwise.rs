//! One row of a convolution with a filter for each channel.

use crate::cpu::lanes::{Kernel, Lanes};

/// Pixels whose sums are held in registers at once.
const PIXELS: usize = 8;

/// A row of output of `SIDE`×`SIDE` filters, each channel with its own, and ReLU6 behind them; it is stored in words.
pub(super) struct Row<const SIDE: usize> {
    /// The rows of input that the filters meet, each from where the first place of the kernel begins.
    pub(super) rows: [*const f32; SIDE],
    /// Channels, whole vectors; also the floats from a pixel of input to the next.
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
        let mut channel = 0;
        while channel < self.width {
            let mut pixel = 0;
            // SAFETY: the pointers are valid for all pixels, taps and channels.
            unsafe {
                while pixel + PIXELS <= self.pixels {
                    self.some::<V, PIXELS>(channel, pixel);
                    pixel += PIXELS;
                }
                if pixel + 4 <= self.pixels {
                    self.some::<V, 4>(channel, pixel);
                    pixel += 4;
                }
                while pixel < self.pixels {
                    self.some::<V, 1>(channel, pixel);
                    pixel += 1;
                }
            }
            channel += V::LANES;
        }
    }
}

impl<const SIDE: usize> Row<SIDE> {
    /// A vector of channels of `COUNT` pixels.
    #[inline(always)]
    unsafe fn some<V: Lanes, const COUNT: usize>(&self, channel: usize, pixel: usize) {
        let step = self.stride * self.width;
        // SAFETY: as in `run`.
        unsafe {
            let mut sums = [V::load(self.bias.add(channel)); COUNT];
            let mut taps = self.taps.add(channel);
            for row in self.rows {
                let mut from = row.add(pixel * step + channel);
                for _ in 0..SIDE {
                    let tap = V::load(taps);
                    for (index, sum) in sums.iter_mut().enumerate() {
                        *sum = V::load(from.add(index * step)).mul_add(tap, *sum);
                    }
                    taps = taps.add(self.width);
                    from = from.add(self.width);
                }
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
