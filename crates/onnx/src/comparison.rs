//! Comparisons, and what is chosen by them.

use crate::{Element, Graph, Value};

impl Graph {
    /// Whether `a = b`.
    pub fn equal(&mut self, a: Value, b: Value) -> Value {
        self.compare("Equal", a, b)
    }

    /// Whether `a < b`.
    pub fn less(&mut self, a: Value, b: Value) -> Value {
        self.compare("Less", a, b)
    }

    /// Whether `a >= b`; never of what is no number.
    pub fn at_least(&mut self, a: Value, b: Value) -> Value {
        self.compare("GreaterOrEqual", a, b)
    }

    /// Whether both are true.
    pub fn and(&mut self, a: Value, b: Value) -> Value {
        self.compare("And", a, b)
    }

    /// Whether one of both is true.
    pub fn or(&mut self, a: Value, b: Value) -> Value {
        self.compare("Or", a, b)
    }

    /// Whether it is no number.
    pub fn is_nan(&mut self, x: Value) -> Value {
        self.node("IsNaN", &[x], Element::Bool, Vec::new())
    }

    /// `a` where the condition is true, `b` elsewhere.
    pub fn choose(&mut self, condition: Value, a: Value, b: Value) -> Value {
        self.same("Where", a, b);
        self.node("Where", &[condition, a, b], a.element, Vec::new())
    }

    fn compare(&mut self, operator: &'static str, a: Value, b: Value) -> Value {
        self.same(operator, a, b);
        self.node(operator, &[a, b], Element::Bool, Vec::new())
    }
}
