//! Computation graphs as ONNX files: typed nodes, initializers, metadata.
//!
//! A [`Graph`] is built from its inputs on: each method adds one node and gives the [`Value`] that it computes. Nothing is
//! computed here; [`Graph::to_bytes`] gives the file that an ONNX runtime reads.
//!
//! ```
//! use flawforge_onnx::{Dim, Element, Graph};
//!
//! let mut graph = Graph::new("brightness");
//! let images = graph.input("images", Element::U8, &[Dim::Named("N"), Dim::Named("H"), Dim::Named("W")]);
//! let values = graph.cast(images, Element::F32);
//! let scale = graph.f32(255.0);
//! let values = graph.div(values, scale);
//! let mean = graph.reduce_mean(values, &[1, 2], false);
//! graph.output("mean", mean, &[Dim::Named("N")]);
//! graph.metadata("unit", "share of white");
//! let bytes = graph.to_bytes()?;
//!
//! let model = flawforge_onnx::proto::decode(&bytes)?;
//! // Input and output have nodes of their own.
//! assert_eq!(model.graph.unwrap().node.len(), 5);
//! # Ok::<(), flawforge_onnx::GraphError>(())
//! ```
//!
//! A fault, such as the sum of values of different types, is kept and told by [`Graph::to_bytes`], so that building reads like
//! a formula.

#![forbid(unsafe_code)]

mod arithmetic;
mod attribute;
mod comparison;
mod constant;
mod element;
mod error;
mod graph;
mod layers;
pub mod proto;
mod reduction;
mod repeat;
mod shaping;
mod value;

pub use element::Element;
pub use error::GraphError;
pub use graph::{Graph, OPSET};
pub use layers::Window;
pub use value::{Dim, Value};
