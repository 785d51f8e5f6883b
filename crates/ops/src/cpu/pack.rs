//! Weights rearranged for the products: panels of output channels, two vectors wide.

use rayon::prelude::*;

use crate::cpu::lanes::{Kernel, Lanes};
use crate::cpu::scratch::{Scratch, SharedOutput};

/// How the channels of an operand are cut into panels two vectors wide; the last may be one vector wide.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    channels: usize,
    lanes: usize,
}

impl Panels {
    pub(super) fn new<V: Lanes>(channels: usize) -> Self {
        Self {
            channels,
            lanes: V::LANES,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.channels.div_ceil(2 * self.lanes)
    }

    /// First channel of a panel.
    pub(super) fn first(&self, panel: usize) -> usize {
        panel * 2 * self.lanes
    }

    /// Channels of a panel that exist.
    pub(super) fn columns(&self, panel: usize) -> usize {
        (self.channels - self.first(panel)).min(2 * self.lanes)
    }

    /// Channels of a panel with its padding: one or two whole vectors.
    pub(super) fn width(&self, panel: usize) -> usize {
        self.columns(panel).next_multiple_of(self.lanes)
    }

    /// All channels with the padding of the last panel.
    pub(super) fn padded(&self) -> usize {
        self.channels.next_multiple_of(self.lanes)
    }
}

/// A weight in the order OIHW and the convolution that it is wanted for.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    pub(super) weight: &'a [f32],
    /// Input channels of the wanted convolution.
    pub(super) ci: usize,
    /// Output channels of the wanted convolution.
    pub(super) co: usize,
    /// The wanted convolution is the backward one: `weight` is `[ci, co, 3, 3]` and its taps are turned around.
    pub(super) backward: bool,
}

impl Filter<'_> {
    /// As [`pack`](Self::pack), in words: `[panel][tap][ci / STEPS][width]`. Where words hold pairs, `ci` is even.
    pub(super) fn pack_words<V: Lanes>(&self) -> Scratch {
        pair_rows::<V>(self.pack::<V>(), 9 * self.ci, Panels::new::<V>(self.co))
    }

    /// Packs as `[panel][tap][ci][width]`; channels that do not exist are zero.
    pub(super) fn pack<V: Lanes>(&self) -> Scratch {
        let panels = Panels::new::<V>(self.co);
        let rows = 9 * self.ci;
        let mut packed = Scratch::take(rows * panels.padded());
        packed
            .par_chunks_mut(rows * panels.first(1))
            .enumerate()
            .for_each(|(panel, packed)| {
                let width = panels.width(panel);
                let channels = panels.first(panel)..panels.first(panel) + panels.columns(panel);
                if channels.len() < width {
                    packed.fill(0.0);
                }
                if self.backward {
                    for input in 0..self.ci {
                        let taps =
                            &self.weight[(input * self.co + channels.start) * 9..][..channels.len() * 9];
                        for tap in 0..9 {
                            let row = &mut packed[((8 - tap) * self.ci + input) * width..][..channels.len()];
                            for (to, from) in row.iter_mut().zip(taps.chunks_exact(9)) {
                                *to = from[tap];
                            }
                        }
                    }
                } else {
                    // Reads a few numbers from each of the panel's filters in turn, so that whole rows are written.
                    for row in 0..rows {
                        let (input, tap) = (row / 9, row % 9);
                        let to = &mut packed[(tap * self.ci + input) * width..][..channels.len()];
                        for (to, output) in to.iter_mut().zip(channels.clone()) {
                            *to = self.weight[output * rows + row];
                        }
                    }
                }
            });
        packed
    }
}

/// Panels of `rows` rows of numbers as `rows / STEPS` rows of words, rounded up: two rows of numbers become one of words, the
/// last of an odd number is joined with zeros. As they are where a word holds one number.
pub(super) fn pair_rows<V: Lanes>(packed: Scratch, rows: usize, panels: Panels) -> Scratch {
    if V::STEPS == 1 {
        return packed;
    }
    let word_rows = rows.div_ceil(V::STEPS);
    let mut words = Scratch::take(word_rows * panels.padded());
    let out = SharedOutput::new(words.as_mut_ptr());
    (0..panels.count()).into_par_iter().for_each(|panel| {
        let kernel = PairRows {
            from: packed[rows * panels.first(panel)..].as_ptr(),
            // SAFETY: the panel lies within the buffer.
            to: unsafe { out.at(word_rows * panels.first(panel)) },
            rows,
            width: panels.width(panel),
        };
        // SAFETY: each task reads and writes one panel.
        unsafe { V::enter(kernel) };
    });
    words
}

/// Joins two rows of numbers to one of words.
struct PairRows {
    from: *const f32,
    to: *mut f32,
    /// Rows of numbers.
    rows: usize,
    width: usize,
}

impl Kernel for PairRows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for row in 0..self.rows.div_ceil(2) {
            let mut column = 0;
            while column < self.width {
                // SAFETY: there are one or two rows of whole vectors to read for each that is written.
                unsafe {
                    let first = V::load(self.from.add(2 * row * self.width + column));
                    let second = if 2 * row + 1 < self.rows {
                        V::load(self.from.add((2 * row + 1) * self.width + column))
                    } else {
                        V::zero()
                    };
                    V::words(first, second).store(self.to.add(row * self.width + column));
                }
                column += V::LANES;
            }
        }
    }
}

/// The bias with zeros up to whole vectors, or all zeros.
pub(super) fn pad_bias<V: Lanes>(bias: Option<&[f32]>, co: usize) -> Scratch {
    let mut padded = Scratch::take(co.next_multiple_of(V::LANES));
    padded.fill(0.0);
    if let Some(bias) = bias {
        padded[..co].copy_from_slice(bias);
    }
    padded
}
