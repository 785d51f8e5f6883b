//! Numbers that are part of the graph.

use half::f16;

use crate::{Element, Graph, GraphError, Value};

impl Graph {
    /// A number.
    pub fn f32(&mut self, value: f32) -> Value {
        self.f32s(&[], &[value])
    }

    /// A number in double precision.
    pub fn f64(&mut self, value: f64) -> Value {
        self.constant(&[], Element::F64, &[value], |value| value.to_le_bytes())
    }

    /// A whole number of 64 bits.
    pub fn i64(&mut self, value: i64) -> Value {
        self.i64s(&[], &[value])
    }

    /// A whole number of 32 bits.
    pub fn i32(&mut self, value: i32) -> Value {
        self.constant(&[], Element::I32, &[value], |value| value.to_le_bytes())
    }

    /// Numbers of this shape, the last dimension running fastest.
    pub fn f32s(&mut self, shape: &[usize], values: &[f32]) -> Value {
        self.constant(shape, Element::F32, values, |value| value.to_le_bytes())
    }

    /// Whole numbers of 64 bits.
    pub fn i64s(&mut self, shape: &[usize], values: &[i64]) -> Value {
        self.constant(shape, Element::I64, values, |value| value.to_le_bytes())
    }

    /// Numbers of a network, in the graph's [working](Self::working) type.
    pub fn weight(&mut self, shape: &[usize], values: &[f32]) -> Value {
        match self.working() {
            Element::F16 => self.constant(shape, Element::F16, values, |value| {
                f16::from_f32(value).to_le_bytes()
            }),
            _ => self.f32s(shape, values),
        }
    }

    /// Numbers that are computed with in f32 and lie in the file in the [working](Self::working) type, and what they are when they are
    /// read back. In 16 bits they lie there times a power of two, so that none is out of range.
    pub fn stored(&mut self, shape: &[usize], values: Vec<f32>) -> (Value, Vec<f32>) {
        if self.working() != Element::F16 {
            return (self.f32s(shape, &values), values);
        }
        let largest = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        // Halves end at 65504.
        let exponent = match largest {
            0.0 => 0,
            largest => (14 - largest.log2().ceil() as i32).clamp(-110, 110),
        };
        let (into, back) = (2f32.powi(exponent), 2f32.powi(-exponent));
        let halves: Vec<f16> = values
            .into_iter()
            .map(|value| f16::from_f32(value * into))
            .collect();
        let read = halves.iter().map(|half| half.to_f32() * back).collect();
        let stored = self.constant(shape, Element::F16, &halves, f16::to_le_bytes);
        let (whole, back) = (self.cast(stored, Element::F32), self.f32(back));
        (self.mul(whole, back), read)
    }

    /// Numbers of the type of another value.
    pub fn like(&mut self, value: Value, number: f32) -> Value {
        match value.element {
            Element::F64 => self.f64(f64::from(number)),
            Element::F16 => self.constant(&[], Element::F16, &[number], |value| {
                f16::from_f32(value).to_le_bytes()
            }),
            Element::I64 => self.i64(number as i64),
            Element::I32 => self.i32(number as i32),
            _ => self.f32(number),
        }
    }

    fn constant<T: Copy, const BYTES: usize>(
        &mut self,
        shape: &[usize],
        element: Element,
        values: &[T],
        bytes: impl Fn(T) -> [u8; BYTES],
    ) -> Value {
        if shape.iter().product::<usize>() != values.len() {
            self.fail(GraphError::Shape {
                shape: shape.to_vec(),
                count: values.len(),
            });
        }
        let raw = values.iter().flat_map(|&value| bytes(value)).collect();
        self.initializer(shape, element, raw)
    }
}
