//! Layers of networks, on (N, channels, height, width), and products of matrices.

use crate::proto::AttributeProto;
use crate::{Graph, Value, attribute};

/// Where a window lies: its side, the pixels from one place to the next, and the zeros around the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side, in both directions.
    pub side: usize,
    /// Pixels from one place to the next; at least 1.
    pub stride: usize,
    /// Pixels above and left of the image.
    pub before: [usize; 2],
    /// Pixels below and right of it.
    pub behind: [usize; 2],
}

impl Window {
    /// A window of an odd side in the middle of each place: sizes are kept, apart from the stride.
    pub fn centered(side: usize, stride: usize) -> Self {
        Self {
            side,
            stride,
            before: [side / 2; 2],
            behind: [side / 2; 2],
        }
    }

    fn attributes(self) -> Vec<AttributeProto> {
        let (side, stride) = (self.side as i64, self.stride as i64);
        let pads = [self.before, self.behind].concat();
        vec![
            attribute::ints("kernel_shape", [side, side]),
            attribute::ints("strides", [stride, stride]),
            attribute::ints("pads", pads.into_iter().map(|pad| pad as i64)),
        ]
    }
}

impl Graph {
    /// A convolution by `weight` (out, in / groups, side, side) and `bias` (out).
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        window: Window,
        groups: usize,
    ) -> Value {
        self.same("Conv", x, weight);
        let mut attributes = window.attributes();
        attributes.push(attribute::int("group", groups as i64));
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.node("Conv", &inputs, x.element, attributes)
    }

    /// A transposed convolution by `weight` (in, out, side, side) and `bias` (out), with one row and column more behind: of stride
    /// 2 it doubles an image exactly.
    pub fn conv_transpose(&mut self, x: Value, weight: Value, bias: Option<Value>, window: Window) -> Value {
        self.same("ConvTranspose", x, weight);
        let mut attributes = window.attributes();
        attributes.push(attribute::ints("output_padding", [1, 1]));
        let inputs: Vec<Value> = [x, weight].into_iter().chain(bias).collect();
        self.node("ConvTranspose", &inputs, x.element, attributes)
    }

    /// The largest in each window; what is around the image does not count.
    pub fn max_pool(&mut self, x: Value, window: Window) -> Value {
        self.node("MaxPool", &[x], x.element, window.attributes())
    }

    /// The mean of each window; zeros around the image count, or only pixels inside do.
    pub fn average_pool(&mut self, x: Value, window: Window, count_zeros: bool) -> Value {
        let mut attributes = window.attributes();
        attributes.push(attribute::int("count_include_pad", i64::from(count_zeros)));
        self.node("AveragePool", &[x], x.element, attributes)
    }

    /// Twice the height and width, bilinear with aligned corners.
    pub fn doubled(&mut self, x: Value) -> Value {
        let scales = self.f32s(&[4], &[1.0, 1.0, 2.0, 2.0]);
        let value = self.value(x.element);
        let attributes = vec![
            attribute::text("mode", "linear"),
            attribute::text("coordinate_transformation_mode", "align_corners"),
        ];
        // The second argument, a region, is left out.
        let inputs = vec![x.name(), String::new(), scales.name()];
        self.push("Resize", inputs, vec![value.name()], attributes);
        value
    }

    /// Exponentials that sum up to 1 along a dimension.
    pub fn softmax(&mut self, x: Value, axis: i64) -> Value {
        self.node("Softmax", &[x], x.element, vec![attribute::int("axis", axis)])
    }

    /// The product of matrices, or of stacks of them.
    pub fn matmul(&mut self, a: Value, b: Value) -> Value {
        self.same("MatMul", a, b);
        self.node("MatMul", &[a, b], a.element, Vec::new())
    }

    /// `factor * a bᵀ + c` of matrices (rows, length) and (columns, length) and what is broadcast to (rows, columns).
    pub fn product(&mut self, factor: f32, a: Value, b: Value, c: Value) -> Value {
        self.same("Gemm", a, b);
        self.same("Gemm", a, c);
        let attributes = vec![attribute::float("alpha", factor), attribute::int("transB", 1)];
        self.node("Gemm", &[a, b, c], a.element, attributes)
    }
}
