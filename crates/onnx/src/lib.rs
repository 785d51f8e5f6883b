//! Computation graphs as ONNX files: typed nodes, initializers, metadata.
