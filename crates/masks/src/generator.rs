//! The trait of everything that draws a mask.

use rand::RngCore;

use crate::Mask;

/// Draws a mask of a given size.
///
/// Implemented by the generators of this crate and by closures
/// `Fn(u32, u32, &mut dyn RngCore) -> Mask + Send + Sync`.
pub trait MaskGenerator: Send + Sync {
    /// Draws one mask of `width` x `height` pixels. The result is a function of the size and of the numbers
    /// taken from `rng` only. It may be empty.
    fn generate(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> Mask;

    /// The same, written over `mask`. The generators of this crate that draw by themselves use its memory again,
    /// so that a loop over samples takes none.
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        *mask = self.generate(width, height, rng);
    }
}

impl<F> MaskGenerator for F
where
    F: Fn(u32, u32, &mut dyn RngCore) -> Mask + Send + Sync,
{
    fn generate(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> Mask {
        self(width, height, rng)
    }
}
