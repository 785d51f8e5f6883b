//! What nodes take and give, and the shapes of inputs and outputs.

use crate::Element;
use crate::proto::{DimensionProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto};

/// A tensor that a [`Graph`](crate::Graph) computes or is given: a handle, for this graph alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value {
    pub(crate) number: usize,
    pub(crate) element: Element,
}

impl Value {
    /// The type of its numbers.
    pub fn element(self) -> Element {
        self.element
    }

    /// Its name in the file.
    pub(crate) fn name(self) -> String {
        format!("v{}", self.number)
    }
}

/// One dimension of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Of this length.
    Known(usize),
    /// Of any length; equal names are equal lengths.
    Named(&'static str),
}

/// Name and type of an input or output; nothing is said of its shape where there is none.
pub(crate) fn info(name: String, element: Element, shape: Option<&[Dim]>) -> ValueInfoProto {
    let dimension = |dim: &Dim| match *dim {
        Dim::Known(length) => DimensionProto {
            dim_value: Some(length as i64),
            dim_param: None,
        },
        Dim::Named(name) => DimensionProto {
            dim_value: None,
            dim_param: Some(name.to_owned()),
        },
    };
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape.iter().map(dimension).collect(),
    });
    ValueInfoProto {
        name: Some(name),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(element.code()),
                shape,
            }),
        }),
    }
}
