//! From many numbers to one, along dimensions.

use crate::{Element, Graph, Value, attribute};

impl Graph {
    /// The largest along these dimensions, which stay with length 1 or are left out.
    pub fn reduce_max(&mut self, x: Value, axes: &[i64], keep: bool) -> Value {
        self.reduce("ReduceMax", x, axes, keep)
    }

    /// The smallest; as [`reduce_max`](Self::reduce_max).
    pub fn reduce_min(&mut self, x: Value, axes: &[i64], keep: bool) -> Value {
        self.reduce("ReduceMin", x, axes, keep)
    }

    /// The mean; as [`reduce_max`](Self::reduce_max).
    pub fn reduce_mean(&mut self, x: Value, axes: &[i64], keep: bool) -> Value {
        self.reduce("ReduceMean", x, axes, keep)
    }

    /// The sum; as [`reduce_max`](Self::reduce_max).
    pub fn reduce_sum(&mut self, x: Value, axes: &[i64], keep: bool) -> Value {
        // Since operator set 13 the dimensions of this one are an argument.
        let axes = self.i64s(&[axes.len()], axes);
        let keep = attribute::int("keepdims", i64::from(keep));
        self.node("ReduceSum", &[x, axes], x.element, vec![keep])
    }

    fn reduce(&mut self, operator: &str, x: Value, axes: &[i64], keep: bool) -> Value {
        let axes = attribute::ints("axes", axes.iter().copied());
        let keep = attribute::int("keepdims", i64::from(keep));
        self.node(operator, &[x], x.element, vec![axes, keep])
    }

    /// Where along a dimension, which is left out, the largest is; the first of several.
    pub fn place_of_largest(&mut self, x: Value, axis: i64) -> Value {
        self.place("ArgMax", x, axis)
    }

    /// Where along a dimension, which is left out, the smallest is; the first of several.
    pub fn place_of_smallest(&mut self, x: Value, axis: i64) -> Value {
        self.place("ArgMin", x, axis)
    }

    fn place(&mut self, operator: &str, x: Value, axis: i64) -> Value {
        let axis = attribute::int("axis", axis);
        let keep = attribute::int("keepdims", 0);
        self.node(operator, &[x], Element::I64, vec![axis, keep])
    }

    /// Where along the last dimension the `count` smallest are, the smallest first.
    pub fn places_of_smallest(&mut self, x: Value, count: i64) -> Value {
        let count = self.i64s(&[1], &[count]);
        let (values, places) = (self.value(x.element), self.value(Element::I64));
        let attributes = vec![
            attribute::int("axis", -1),
            attribute::int("largest", 0),
            attribute::int("sorted", 1),
        ];
        self.push(
            "TopK",
            vec![x.name(), count.name()],
            vec![values.name(), places.name()],
            attributes,
        );
        places
    }
}
