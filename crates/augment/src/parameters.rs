//! What a simulator did, in keys and values.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::TextureOperation;

/// The parameters with which an anomaly was made, in the order in which they were used. A key may occur several
/// times, once for each patch or operation. Text form: `opacity=0.43, operation=Invert`; serialised as a list of
/// pairs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    entries: Vec<(&'static str, Value)>,
}

impl Parameters {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same and one more.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.push(key, value);
        self
    }

    /// Adds a parameter.
    pub fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        self.entries.push((key, value.into()));
    }

    /// Removes all, keeping the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.iter().find(|entry| entry.0 == key).map(|entry| entry.1)
    }

    /// The first value of a key, when it is a number.
    pub fn number(&self, key: &str) -> Option<f64> {
        match self.get(key) {
            Some(Value::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// All keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Value)> + '_ {
        self.entries.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, value)) in self.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(f, "{separator}{key}={value}")?;
        }
        Ok(())
    }
}

impl Serialize for Parameters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number; lengths are in pixels, angles in degrees unless the key says otherwise.
    Number(f64),
    /// A name.
    Text(&'static str),
    /// What was done to a texture.
    Operation(TextureOperation),
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<&'static str> for Value {
    fn from(value: &'static str) -> Self {
        Self::Text(value)
    }
}

impl From<TextureOperation> for Value {
    fn from(value: TextureOperation) -> Self {
        Self::Operation(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Operation(operation) => write!(f, "{operation:?}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Operation(_) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_may_repeat() {
        let parameters = Parameters::new()
            .with("x", 3_u32)
            .with("opacity", 0.5_f32)
            .with("x", 4_u32)
            .with("operation", TextureOperation::Invert)
            .with("shape", "scar");
        assert_eq!(
            parameters.to_string(),
            "x=3, opacity=0.5, x=4, operation=Invert, shape=scar"
        );
        assert_eq!(parameters.number("x"), Some(3.0));
        assert_eq!(
            (parameters.get("shape"), parameters.number("shape")),
            (Some("scar".into()), None)
        );
        assert!(Parameters::new().is_empty() && Parameters::new().get("x").is_none());
        assert_eq!(
            serde_json::to_string(&parameters).unwrap(),
            r#"[["x",3.0],["opacity",0.5],["x",4.0],["operation","Invert"],["shape","scar"]]"#
        );
    }
}
