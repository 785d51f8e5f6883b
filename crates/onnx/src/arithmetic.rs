//! Arithmetic, number by number; shapes are broadcast as in numpy.

use crate::{Element, Graph, Value, attribute};

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $operator:literal;)+) => {
        impl Graph {$(
            $(#[$doc])*
            pub fn $name(&mut self, a: Value, b: Value) -> Value {
                self.same($operator, a, b);
                self.node($operator, &[a, b], a.element, Vec::new())
            }
        )+}
    };
}

binary! {
    /// `a + b`.
    add "Add";
    /// `a - b`.
    sub "Sub";
    /// `a * b`.
    mul "Mul";
    /// `a / b`; of whole numbers without the rest.
    div "Div";
    /// The larger of both.
    larger "Max";
    /// The smaller of both.
    smaller "Min";
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident $operator:literal;)+) => {
        impl Graph {$(
            $(#[$doc])*
            pub fn $name(&mut self, x: Value) -> Value {
                self.node($operator, &[x], x.element, Vec::new())
            }
        )+}
    };
}

unary! {
    /// The next whole number below.
    floor "Floor";
    /// The next whole number above.
    ceil "Ceil";
    /// The nearest whole number; halves to the even one.
    round_ties_even "Round";
    /// Without its sign.
    abs "Abs";
    /// The square root.
    sqrt "Sqrt";
    /// e to this power.
    exp "Exp";
    /// 0 for what is below.
    relu "Relu";
    /// `1 / (1 + exp(-x))`.
    sigmoid "Sigmoid";
}

impl Graph {
    /// Numbers of another type; towards zero where a fraction is lost.
    pub fn cast(&mut self, x: Value, element: Element) -> Value {
        if x.element == element {
            return x;
        }
        let to = attribute::int("to", i64::from(element.code()));
        self.node("Cast", &[x], element, vec![to])
    }

    /// Numbers in the graph's [working](Self::working) type.
    pub fn to_working(&mut self, x: Value) -> Value {
        let working = self.working();
        self.cast(x, working)
    }

    /// `low` for what is below it, `high` for what is above.
    pub fn clip(&mut self, x: Value, low: f32, high: f32) -> Value {
        let (low, high) = (self.like(x, low), self.like(x, high));
        self.node("Clip", &[x, low, high], x.element, Vec::new())
    }
}
