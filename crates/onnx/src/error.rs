//! What can be wrong with a graph.

/// Why a graph is no file, or a file no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An operator was given values whose types it does not take together.
    #[error("{operator} of {first} and {second}")]
    Types {
        /// ONNX's name of the operator.
        operator: &'static str,
        /// Type of its first argument, as numpy names it.
        first: &'static str,
        /// Type of the other.
        second: &'static str,
    },
    /// A constant has another number of numbers than its shape.
    #[error("a constant of shape {shape:?} has {count} numbers")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// How many numbers were given.
        count: usize,
    },
    /// The constants are more than a file of this format can hold.
    #[error("the graph's constants take {bytes} bytes, a file holds less than {most}")]
    TooLarge {
        /// What they take.
        bytes: usize,
        /// What a file can hold.
        most: usize,
    },
    /// Bytes that are no ONNX file.
    #[error("not an ONNX file: {0}")]
    Damaged(String),
}
