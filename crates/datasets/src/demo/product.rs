//! What every demo category is: a product that can be drawn, painted, and painted with a flaw.

use rand::RngCore;

use super::canvas::Canvas;

/// A product under the camera. The same value painted without and with a flaw differs only where
/// the flaw changes what is seen, and that difference is the ground truth.
pub(super) trait Product: Sized {
    /// Names of the defect types, in alphabetical order.
    const DEFECTS: &'static [&'static str];

    /// One concrete defect.
    type Flaw;

    /// Draws a good product: its position and whatever varies from piece to piece.
    fn draw(rng: &mut dyn RngCore) -> Self;

    /// Draws a defect of type `Self::DEFECTS[defect]`; `strength` runs from 0 (barely there) to 1.
    fn flaw(&self, defect: usize, strength: f32, rng: &mut dyn RngCore) -> Self::Flaw;

    /// Paints the product, with one defect or none.
    fn paint(&self, canvas: &mut Canvas, flaw: Option<&Self::Flaw>);
}
