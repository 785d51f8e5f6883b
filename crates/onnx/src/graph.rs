//! The graph and its file.

use prost::Message;

use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, ValueInfoProto,
};
use crate::value::info;
use crate::{Dim, Element, GraphError, Value};

/// Version of ONNX's operators that graphs use: every operator here is as this one has it.
pub const OPSET: i64 = 17;
/// Version of the file format that belongs to it.
const IR_VERSION: i64 = 8;
/// Bytes that a message of protobuf is below.
const MOST_BYTES: usize = (1 << 31) - (1 << 20);

/// A computation, built from its inputs on.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    values: usize,
    /// The nodes of the graph, and behind them those of the loop bodies that are being built.
    nodes: Vec<Vec<NodeProto>>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    metadata: Vec<(String, String)>,
    working: Element,
    fault: Option<GraphError>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: 0,
            nodes: vec![Vec::new()],
            initializers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            metadata: Vec::new(),
            working: Element::F32,
            fault: None,
        }
    }

    /// The same graph, whose [weights](Self::weight) and [working](Self::to_working) values are of another floating-point type.
    #[must_use]
    pub fn working_in(mut self, element: Element) -> Self {
        self.working = element;
        self
    }

    /// The type of weights and working values.
    pub fn working(&self) -> Element {
        self.working
    }

    /// An input.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Dim]) -> Value {
        self.inputs.push(info(name.to_owned(), element, Some(shape)));
        let given = [name.to_owned()];
        let value = self.value(element);
        self.push("Identity", given.into(), vec![value.name()], Vec::new());
        value
    }

    /// Makes a value an output.
    pub fn output(&mut self, name: &str, value: Value, shape: &[Dim]) {
        self.outputs
            .push(info(name.to_owned(), value.element, Some(shape)));
        self.push("Identity", vec![value.name()], vec![name.to_owned()], Vec::new());
    }

    /// Notes a fact in the file.
    pub fn metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.push((key.into(), value.into()));
    }

    /// The file.
    ///
    /// # Errors
    /// The first fault of building; constants that are more than such a file can hold, which is 2 GiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GraphError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let raw = |tensor: &TensorProto| tensor.raw_data.as_ref().map_or(0, Vec::len);
        let bytes = self.initializers.iter().map(raw).sum();
        if bytes > MOST_BYTES {
            let most = MOST_BYTES;
            return Err(GraphError::TooLarge { bytes, most });
        }
        let metadata = self.metadata.iter().map(|(key, value)| StringStringEntryProto {
            key: Some(key.clone()),
            value: Some(value.clone()),
        });
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("flawforge".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            doc_string: None,
            graph: Some(GraphProto {
                node: self.nodes.first().cloned().unwrap_or_default(),
                name: Some(self.name.clone()),
                initializer: self.initializers.clone(),
                input: self.inputs.clone(),
                output: self.outputs.clone(),
            }),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            metadata_props: metadata.collect(),
        };
        Ok(model.encode_to_vec())
    }

    /// A new value.
    pub(crate) fn value(&mut self, element: Element) -> Value {
        let number = self.values;
        self.values += 1;
        Value { number, element }
    }

    /// Adds a node to the graph, or to the body that is being built.
    pub(crate) fn push(
        &mut self,
        operator: &str,
        input: Vec<String>,
        output: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) {
        let node = NodeProto {
            name: output.first().map(|first| format!("{operator}-{first}")),
            input,
            output,
            op_type: Some(operator.to_owned()),
            attribute,
        };
        if let Some(nodes) = self.nodes.last_mut() {
            nodes.push(node);
        }
    }

    /// Adds a node of one result.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[Value],
        element: Element,
        attributes: Vec<AttributeProto>,
    ) -> Value {
        let value = self.value(element);
        let inputs = inputs.iter().map(|input| input.name()).collect();
        self.push(operator, inputs, vec![value.name()], attributes);
        value
    }

    /// Adds a constant.
    pub(crate) fn initializer(&mut self, shape: &[usize], element: Element, raw: Vec<u8>) -> Value {
        let value = self.value(element);
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|&length| length as i64).collect(),
            data_type: Some(element.code()),
            name: Some(value.name()),
            raw_data: Some(raw),
        });
        value
    }

    /// Keeps a fault, unless there is an earlier one.
    pub(crate) fn fail(&mut self, fault: GraphError) {
        self.fault.get_or_insert(fault);
    }

    /// Keeps a fault where two values that must have the same type do not.
    pub(crate) fn same(&mut self, operator: &'static str, first: Value, second: Value) {
        if first.element != second.element {
            self.fail(GraphError::Types {
                operator,
                first: first.element.name(),
                second: second.element.name(),
            });
        }
    }

    /// From here on, nodes are of a body.
    pub(crate) fn begin_body(&mut self) {
        self.nodes.push(Vec::new());
    }

    /// The nodes since [`begin_body`](Self::begin_body).
    pub(crate) fn end_body(&mut self) -> Vec<NodeProto> {
        match self.nodes.len() {
            0 | 1 => Vec::new(),
            _ => self.nodes.pop().unwrap_or_default(),
        }
    }
}
