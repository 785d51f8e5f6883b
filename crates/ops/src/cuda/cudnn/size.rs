//! The shape of a convolution.

use crate::definitions::conv2d::Conv2dShape;
use crate::definitions::conv3x3::ConvShape;

/// Shape of a convolution with a square kernel; sides count pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ConvSize {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) ci: usize,
    pub(crate) co: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl ConvSize {
    /// Height and width of the result.
    pub(crate) fn output(&self) -> (usize, usize) {
        let side = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        (side(self.h), side(self.w))
    }

    /// Pixels of the result, over all images.
    pub(crate) fn pixels(&self) -> usize {
        let (h, w) = self.output();
        self.n * h * w
    }

    /// Numbers of the input.
    pub(crate) fn inputs(&self) -> usize {
        self.n * self.h * self.w * self.ci
    }

    /// Weights of a filter for one input channel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Numbers of the filters.
    pub(crate) fn filters(&self) -> usize {
        self.co * self.taps() * self.ci
    }
}

impl From<ConvShape> for ConvSize {
    fn from(shape: ConvShape) -> Self {
        let ConvShape { n, h, w, ci, co } = shape;
        Self {
            n,
            h,
            w,
            ci,
            co,
            kernel: 3,
            stride: 1,
            padding: 1,
        }
    }
}

/// Of a shape with a square kernel.
impl From<Conv2dShape> for ConvSize {
    fn from(shape: Conv2dShape) -> Self {
        let Conv2dShape {
            n,
            h,
            w,
            ci,
            co,
            kh,
            stride,
            padding,
            ..
        } = shape;
        Self {
            n,
            h,
            w,
            ci,
            co,
            kernel: kh,
            stride,
            padding,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cuda::cudnn) const SIZE: ConvSize = ConvSize {
        n: 2,
        h: 9,
        w: 8,
        ci: 3,
        co: 5,
        kernel: 3,
        stride: 1,
        padding: 1,
    };

    #[test]
    fn sizes_follow_from_kernel_stride_and_padding() {
        assert_eq!(SIZE.output(), (9, 8));
        assert_eq!(SIZE.pixels(), 2 * 72);
        assert_eq!(SIZE.filters(), 5 * 9 * 3);
        let stem = ConvSize {
            kernel: 7,
            stride: 2,
            padding: 3,
            h: 224,
            w: 225,
            ..SIZE
        };
        assert_eq!(stem.output(), (112, 113));
    }
}
