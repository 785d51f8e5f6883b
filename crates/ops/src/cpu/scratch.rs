//! Working memory that outlives one operator call.
//!
//! Fresh memory costs a page fault per 4 KiB on first touch, which for the buffers of a convolution is as much
//! time as its arithmetic. Buffers are therefore handed back to one process-wide pool when they are dropped.

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use super::pages;

/// Buffers kept for reuse never add up to more than this many floats (1 GiB).
const KEPT_FLOATS: usize = 256 << 20;

static POOL: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Floats of a cache line. Vectors that begin at one never lie in two.
const LINE: usize = 16;

/// A borrowed buffer of `len` floats, beginning with a cache line, with unspecified (but initialised) contents; returns to the pool on drop.
#[derive(Debug)]
pub(crate) struct Scratch {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

impl Scratch {
    /// Takes the smallest pooled buffer that holds `len` floats, or a new one, a little larger.
    pub(crate) fn take(len: usize) -> Self {
        let whole = len + LINE;
        let pooled = {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            // The latest of equals: the processor's caches still hold it.
            let fitting = pool
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, buffer)| buffer.len() >= whole);
            let smallest = fitting
                .min_by_key(|(_, buffer)| buffer.len())
                .map(|(index, _)| index);
            // A buffer much larger than wanted is left for those who need it.
            smallest
                .filter(|&index| pool[index].len() <= 4 * whole.max(1024))
                .map(|index| pool.remove(index))
        };
        let buffer = pooled.unwrap_or_else(|| {
            let whole = whole.max(1024);
            let whole = whole.next_multiple_of(whole.next_power_of_two() / 8);
            let mut fresh = pages::vector(whole);
            fresh.resize(whole, 0.0);
            fresh
        });
        let start = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        let mut scratch = Self { buffer, start, len };
        if cfg!(test) {
            scratch.fill(f32::NAN); // whoever reads what it has not written shall notice
        }
        scratch
    }
}

impl Scratch {
    /// The buffer as an output that a kernel writes.
    pub(crate) fn output(&mut self) -> &mut [MaybeUninit<f32>] {
        let values: &mut [f32] = self;
        // SAFETY: the same numbers, of which the kernels overwrite each with a number.
        unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<f32>]) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = pool.iter().map(Vec::len).sum();
        if kept + self.buffer.len() <= KEPT_FLOATS {
            pool.push(std::mem::take(&mut self.buffer));
        }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[self.start..][..self.len]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..][..self.len]
    }
}

/// A pointer into an output that several tasks write, each at places of its own.
#[derive(Clone, Copy)]
pub(crate) struct SharedOutput(*mut f32);

// SAFETY: only an address; every dereference is an unsafe act whose author answers for disjointness.
unsafe impl Send for SharedOutput {}
// SAFETY: only an address, which any thread may copy; see `Send`.
unsafe impl Sync for SharedOutput {}

impl SharedOutput {
    /// Wraps the start of an output.
    pub(crate) fn new(start: *mut f32) -> Self {
        Self(start)
    }

    /// The address `offset` floats in.
    ///
    /// # Safety
    /// `offset` lies within the output.
    #[inline(always)]
    pub(crate) unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_the_length_asked_for() {
        for len in [0, 1, 1000, 5000, 4096] {
            let scratch = Scratch::take(len);
            assert_eq!(scratch.len(), len);
            assert_eq!(scratch.as_ptr() as usize % 64, 0);
        }
    }
}
