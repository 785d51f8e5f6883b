//! What moves numbers and changes none.

use crate::{Element, Graph, Value, attribute};

impl Graph {
    /// The lengths of its dimensions, (dimensions) i64.
    pub fn shape(&mut self, x: Value) -> Value {
        self.node("Shape", &[x], Element::I64, Vec::new())
    }

    /// The length of one dimension, an i64 without dimensions.
    pub fn length(&mut self, x: Value, axis: i64) -> Value {
        let (shape, axis) = (self.shape(x), self.i64(axis));
        self.gather(shape, axis, 0)
    }

    /// The parts of `x` along an axis that `places` (i64, any shape) names; its shape takes the axis's place.
    pub fn gather(&mut self, x: Value, places: Value, axis: i64) -> Value {
        let axis = attribute::int("axis", axis);
        self.node("Gather", &[x, places], x.element, vec![axis])
    }

    /// Along an axis, for each number of `places` the part there, at the same place along all others: both have the same shape but
    /// for that axis.
    pub fn gather_elements(&mut self, x: Value, places: Value, axis: i64) -> Value {
        let axis = attribute::int("axis", axis);
        self.node("GatherElements", &[x, places], x.element, vec![axis])
    }

    /// The same numbers in another shape: 0 keeps the length of that dimension, one -1 stands for the rest.
    pub fn reshape(&mut self, x: Value, shape: &[i64]) -> Value {
        let shape = self.i64s(&[shape.len()], shape);
        self.node("Reshape", &[x, shape], x.element, Vec::new())
    }

    /// The same numbers in a shape that is computed.
    pub fn reshape_to(&mut self, x: Value, shape: Value) -> Value {
        self.node("Reshape", &[x, shape], x.element, Vec::new())
    }

    /// Dimensions in another order.
    pub fn transpose(&mut self, x: Value, order: &[i64]) -> Value {
        let order = attribute::ints("perm", order.iter().copied());
        self.node("Transpose", &[x], x.element, vec![order])
    }

    /// Values one after the other along an axis.
    pub fn concat(&mut self, parts: &[Value], axis: i64) -> Value {
        let Some((&first, others)) = parts.split_first() else {
            return self.f32s(&[0], &[]);
        };
        for &other in others {
            self.same("Concat", first, other);
        }
        let axis = attribute::int("axis", axis);
        self.node("Concat", parts, first.element, vec![axis])
    }

    /// The part from `start` up to but without `end` along one axis.
    pub fn slice(&mut self, x: Value, axis: i64, start: i64, end: i64) -> Value {
        let parts = [start, end, axis].map(|number| self.i64s(&[1], &[number]));
        self.node("Slice", &[x, parts[0], parts[1], parts[2]], x.element, Vec::new())
    }

    /// The last first, along one axis.
    pub fn reversed(&mut self, x: Value, axis: i64) -> Value {
        let parts = [-1, i64::MIN, axis, -1].map(|number| self.i64s(&[1], &[number]));
        let inputs = [x, parts[0], parts[1], parts[2], parts[3]];
        self.node("Slice", &inputs, x.element, Vec::new())
    }

    /// With dimensions of length 1 at these places of the result.
    pub fn unsqueeze(&mut self, x: Value, axes: &[i64]) -> Value {
        let axes = self.i64s(&[axes.len()], axes);
        self.node("Unsqueeze", &[x, axes], x.element, Vec::new())
    }

    /// Without these dimensions, which have length 1.
    pub fn squeeze(&mut self, x: Value, axes: &[i64]) -> Value {
        let axes = self.i64s(&[axes.len()], axes);
        self.node("Squeeze", &[x, axes], x.element, Vec::new())
    }

    /// The whole numbers from 0 up to but without `end`, an i64 without dimensions.
    pub fn range(&mut self, end: Value) -> Value {
        let (start, step) = (self.i64(0), self.i64(1));
        self.node("Range", &[start, end, step], Element::I64, Vec::new())
    }

    /// With zeros around: `before` and `behind` say how many along each dimension.
    pub fn pad(&mut self, x: Value, before: &[i64], behind: &[i64]) -> Value {
        let pads = [before, behind].concat();
        let pads = self.i64s(&[pads.len()], &pads);
        self.node("Pad", &[x, pads], x.element, Vec::new())
    }
}
