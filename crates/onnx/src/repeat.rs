//! Steps that are taken as often as a value says.

use crate::proto::GraphProto;
use crate::value::info;
use crate::{Element, Graph, Value, attribute};

impl Graph {
    /// What `step` makes of `first`, `count` (i64 without dimensions) times: it is given the number of the step, from 0, and the
    /// result of the one before, whose shape may change. Steps may use every value of the graph so far.
    pub fn repeat(
        &mut self,
        count: Value,
        first: Value,
        step: impl FnOnce(&mut Self, Value, Value) -> Value,
    ) -> Value {
        let (number, going) = (self.value(Element::I64), self.value(Element::Bool));
        let before = self.value(first.element);
        self.begin_body();
        let after = step(self, number, before);
        self.same("Loop", first, after);
        let goes_on = self.node("Identity", &[going], Element::Bool, Vec::new());
        let node = self.end_body();
        let plain = |value: Value| info(value.name(), value.element, None);
        let scalar = |value: Value| info(value.name(), value.element, Some(&[]));
        let body = GraphProto {
            node,
            name: Some(format!("body-{}", number.name())),
            initializer: Vec::new(),
            input: vec![scalar(number), scalar(going), plain(before)],
            output: vec![scalar(goes_on), plain(after)],
        };
        let result = self.value(first.element);
        // The second argument, a condition to begin with, is left out: it is true.
        let inputs = vec![count.name(), String::new(), first.name()];
        let attributes = vec![attribute::graph("body", body)];
        self.push("Loop", inputs, vec![result.name()], attributes);
        result
    }
}
