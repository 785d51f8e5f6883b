//! Which algorithm [`Algorithm::Auto`](super::Algorithm::Auto) takes.

use super::ConvShape;

/// Up to this many input channels the products of a tile are too small to pay for its transforms.
const FEW_INPUTS: usize = 4;
/// The same for the weight gradient, which transforms both of its operands.
const FEW_CHANNELS: usize = 7;
/// With fewer tiles than this, transforming the filter costs more than the direct products.
const FEW_TILES: usize = 8;

/// Whether Winograd's algorithm was measured to be faster for a convolution of this shape.
///
/// Measured with AVX-512 on two cores for the layers in `examples/conv_speed.rs`; the crossovers follow from ratios
/// of arithmetic and are used for the other instruction sets too.
pub(super) fn winograd_pays(shape: ConvShape) -> bool {
    shape.ci > FEW_INPUTS && tiles_pay(shape)
}

/// As [`winograd_pays`], for the weight gradient.
pub(super) fn winograd_gradient_pays(shape: ConvShape) -> bool {
    shape.ci.min(shape.co) > FEW_CHANNELS && tiles_pay(shape)
}

fn tiles_pay(shape: ConvShape) -> bool {
    let ConvShape { n, h, w, .. } = shape;
    let tiles = n * h.div_ceil(4) * w.div_ceil(4);
    // A tile that hangs over the border costs as much as a whole one: of the factor of four in products, at most
    // half may be lost to that.
    tiles >= FEW_TILES && tiles * 16 <= 2 * n * h * w
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_are_direct() {
        let shape = |n, h, w, ci, co| ConvShape { n, h, w, ci, co };
        assert!(winograd_pays(shape(8, 128, 128, 32, 3)));
        assert!(!winograd_pays(shape(8, 128, 128, 3, 32)));
        assert!(!winograd_pays(shape(64, 2, 2, 64, 64)));
        assert!(!winograd_pays(shape(1, 4, 4, 1024, 1024)));
        assert!(winograd_gradient_pays(shape(8, 16, 16, 192, 128)));
        assert!(!winograd_gradient_pays(shape(8, 128, 128, 16, 2)));
    }
}
