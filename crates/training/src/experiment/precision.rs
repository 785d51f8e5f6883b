//! A precision in a settings text: its name.

use flawforge_ops::Precision;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(precision: &Precision, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(precision)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Precision, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}
