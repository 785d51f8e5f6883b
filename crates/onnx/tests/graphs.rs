//! What a file holds, and what building tells of faults.

use flawforge_onnx::proto::decode;
use flawforge_onnx::{Dim, Element, Graph, GraphError, OPSET, Window};

#[test]
fn a_file_holds_what_was_built() {
    let mut graph = Graph::new("edges");
    let images = graph.input(
        "images",
        Element::F32,
        &[Dim::Named("N"), Dim::Known(1), Dim::Known(8), Dim::Named("W")],
    );
    let filter = graph.f32s(&[1, 1, 3, 3], &[0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0]);
    let edges = graph.conv(images, filter, None, Window::centered(3, 2), 1);
    graph.output("edges", edges, &[Dim::Named("N"), Dim::Known(1)]);
    graph.metadata("made by", "a test");
    let model = decode(&graph.to_bytes().unwrap()).unwrap();
    assert_eq!(model.opset_import[0].version, Some(OPSET));
    assert_eq!(model.metadata_props[0].key.as_deref(), Some("made by"));
    assert_eq!(model.metadata_props[0].value.as_deref(), Some("a test"));
    let graph = model.graph.unwrap();
    let operators: Vec<&str> = graph
        .node
        .iter()
        .filter_map(|node| node.op_type.as_deref())
        .collect();
    assert_eq!(operators, ["Identity", "Conv", "Identity"]);
    let conv = &graph.node[1];
    assert_eq!(conv.input[1], graph.initializer[0].name.clone().unwrap());
    let pads = conv
        .attribute
        .iter()
        .find(|one| one.name.as_deref() == Some("pads"));
    assert_eq!(pads.unwrap().ints, [1; 4]);
    let strides = conv
        .attribute
        .iter()
        .find(|one| one.name.as_deref() == Some("strides"));
    assert_eq!(strides.unwrap().ints, [2; 2]);
    assert_eq!(graph.initializer[0].dims, [1, 1, 3, 3]);
    let raw = graph.initializer[0].raw_data.clone().unwrap();
    assert_eq!((raw.len(), &raw[16..20]), (36, &(-4.0f32).to_le_bytes()[..]));
    let shape = graph.input[0].r#type.clone().unwrap().tensor_type.unwrap();
    assert_eq!(shape.elem_type, Some(1));
    let dims = shape.shape.unwrap().dim;
    assert_eq!(dims[0].dim_param.as_deref(), Some("N"));
    assert_eq!((dims[2].dim_value, &dims[2].dim_param), (Some(8), &None));
}

#[test]
fn every_node_takes_what_was_there_before() {
    let mut graph = Graph::new("sum");
    let count = graph.input("count", Element::I64, &[]);
    let first = graph.f32(0.0);
    let rate = graph.f32(0.5);
    let sum = graph.repeat(count, first, |graph, number, sum| {
        let number = graph.cast(number, Element::F32);
        let part = graph.mul(number, rate);
        graph.add(sum, part)
    });
    graph.output("sum", sum, &[]);
    let graph = decode(&graph.to_bytes().unwrap()).unwrap().graph.unwrap();
    let mut known: Vec<String> = graph.input.iter().filter_map(|one| one.name.clone()).collect();
    known.extend(graph.initializer.iter().filter_map(|one| one.name.clone()));
    for node in &graph.node {
        for body in node.attribute.iter().filter_map(|one| one.g.as_ref()) {
            // A body sees what is outside of it.
            let mut inside = known.clone();
            inside.extend(body.input.iter().filter_map(|one| one.name.clone()));
            for node in &body.node {
                assert!(node.input.iter().all(|name| inside.contains(name)), "{node:?}");
                inside.extend(node.output.clone());
            }
            let results = body.output.iter().filter_map(|one| one.name.clone());
            assert!(results.into_iter().all(|name| inside.contains(&name)));
            assert_eq!((body.node.len(), body.input.len(), body.output.len()), (4, 3, 2));
        }
        let known_before = |name: &String| name.is_empty() || known.contains(name);
        assert!(node.input.iter().all(known_before), "{node:?}");
        known.extend(node.output.clone());
    }
}

#[test]
fn weights_have_the_working_type() {
    let mut graph = Graph::new("half").working_in(Element::F16);
    let x = graph.input("x", Element::F32, &[Dim::Known(2)]);
    let weight = graph.weight(&[2], &[1.5, -2.0]);
    assert_eq!(weight.element(), Element::F16);
    let x = graph.to_working(x);
    let product = graph.mul(x, weight);
    graph.output("y", product, &[Dim::Known(2)]);
    let model = decode(&graph.to_bytes().unwrap()).unwrap();
    let constant = &model.graph.unwrap().initializer[0];
    assert_eq!(
        (constant.data_type, constant.dims.as_slice()),
        (Some(10), &[2][..])
    );
    assert_eq!(constant.raw_data.as_deref(), Some(&[0x00, 0x3e, 0x00, 0xc0][..]));
}

#[test]
fn the_first_fault_is_told() {
    let mut graph = Graph::new("wrong");
    let (a, b) = (graph.f32(1.0), graph.f64(1.0));
    graph.add(a, b);
    graph.f32s(&[3], &[1.0]);
    assert_eq!(
        graph.to_bytes(),
        Err(GraphError::Types {
            operator: "Add",
            first: "float32",
            second: "float64",
        })
    );
    let mut graph = Graph::new("wrong");
    graph.f32s(&[3], &[1.0]);
    let fault = graph.to_bytes().unwrap_err().to_string();
    assert_eq!(fault, "a constant of shape [3] has 1 numbers");
    assert!(
        decode(&[0xff; 12])
            .unwrap_err()
            .to_string()
            .starts_with("not an ONNX file")
    );
}

#[test]
fn stored_numbers_take_half_the_room_in_f16() {
    // Beyond what halves can hold, and below.
    for scale in [1e-12f32, 1.0, 1e12] {
        let values: Vec<f32> = [1.0, -0.333, 0.01, 0.0, 7.5, -8.0]
            .map(|value| value * scale)
            .into();
        let mut single = Graph::new("single");
        let (_, same) = single.stored(&[2, 3], values.clone());
        assert_eq!(same, values);
        let mut half = Graph::new("half").working_in(Element::F16);
        let (value, read) = half.stored(&[2, 3], values.clone());
        assert_eq!(value.element(), Element::F32);
        for (read, value) in read.iter().zip(&values) {
            assert!(
                (read - value).abs() <= value.abs() * 2f32.powi(-11),
                "{read} of {value}"
            );
        }
        half.output("values", value, &[Dim::Known(2), Dim::Known(3)]);
        let graph = decode(&half.to_bytes().unwrap()).unwrap().graph.unwrap();
        let stored = &graph.initializer[0];
        assert_eq!(stored.data_type, Some(Element::F16.code()));
        assert_eq!(stored.raw_data.as_ref().unwrap().len(), 2 * values.len());
        let operators: Vec<_> = graph
            .node
            .iter()
            .filter_map(|node| node.op_type.as_deref())
            .collect();
        assert_eq!(operators, ["Cast", "Mul", "Identity"]);
    }
    let mut zeros = Graph::new("zeros").working_in(Element::F16);
    assert_eq!(zeros.stored(&[2], vec![0.0; 2]).1, [0.0; 2]);
}
