//! The trait of everything that draws a mask.

use rand::RngCore;

use crate::Mask;

/// Draws a mask of a given size.
///
/// Implemented by the generators of this crate and by closures
/// `Fn(u32, u32, &mut dyn RngCore) -> Mask + Send + Sync`.
pub trait MaskGenerator: Send + Sync {
    /// Draws one mask of `width` x `height` pixels, written over `mask`. The result is a function of the size and of the
    /// numbers taken from `rng` only. It may be empty.
    ///
    /// The generators of this crate that draw by themselves use the memory again, so that a loop over samples takes none.
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore);

    /// The same in new memory.
    fn generate(&self, width: u32, height: u32, rng: &mut dyn RngCore) -> Mask {
        let mut mask = Mask::default();
        self.generate_into(width, height, &mut mask, rng);
        mask
    }
}

impl<F> MaskGenerator for F
where
    F: Fn(u32, u32, &mut dyn RngCore) -> Mask + Send + Sync,
{
    fn generate_into(&self, width: u32, height: u32, mask: &mut Mask, rng: &mut dyn RngCore) {
        *mask = self(width, height, rng);
    }
}
