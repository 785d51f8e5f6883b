//! The constants of every kind's simulator.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Materials, SettingsError};
use crate::kind::kinds;
use crate::{AnomalySimulator, Kind};

/// What the table of kinds asks of the constants of a kind: plain data that make a simulator. Their serde forms hold every
/// constant under its name and refuse unknown names.
pub(crate) trait KindConstants: Default + Serialize + DeserializeOwned {
    /// Checks every number; errors name it from here on (`jitter.hue`).
    fn check(&self) -> Result<(), SettingsError>;

    /// The simulator with these constants.
    fn simulator(&self, materials: &Materials) -> Arc<dyn AnomalySimulator>;
}

macro_rules! define_constants {
    ($($(#[$doc:meta])* $kind:ident, $name:literal, $constants:ident, $on_failure:ident, $colors:ident;)*) => {
        /// The constants of a kind's simulator, one variant for each of [`Kind::ALL`].
        ///
        /// A text holds them under the key of the kind; they are serialized without it.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum Constants {
            $(#[doc = concat!("Of [`Kind::", stringify!($kind), "`].")] $kind(crate::$constants),)*
        }

        impl Constants {
            /// The default constants of a kind: those of the literature, or marked as proposals. `None` for kinds that the
            /// house cannot simulate.
            pub fn of(kind: Kind) -> Option<Self> {
                match kind {
                    $(Kind::$kind => Some(Self::$kind(crate::$constants::default())),)*
                    Kind::Other | Kind::Custom(_) => None,
                }
            }

            /// The kind whose constants they are.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Constants of a kind from a table that may hold a part of them.
            pub(super) fn read(kind: Kind, table: Table) -> Result<Self, String> {
                match kind {
                    $(Kind::$kind => completed(table).map(Self::$kind).map_err(|error| error.trim_end().to_owned()),)*
                    Kind::Other | Kind::Custom(_) => Err("cannot be simulated by its name".to_owned()),
                }
            }

            pub(super) fn check(&self) -> Result<(), SettingsError> {
                match self {
                    $(Self::$kind(constants) => KindConstants::check(constants),)*
                }
            }

            /// The simulator with these constants.
            pub fn simulator(&self, materials: &Materials) -> Arc<dyn AnomalySimulator> {
                match self {
                    $(Self::$kind(constants) => KindConstants::simulator(constants, materials),)*
                }
            }
        }
    };
}
kinds!(define_constants);

/// Constants of which a table holds a part; the rest are the defaults.
fn completed<T: KindConstants>(given: Table) -> Result<T, String> {
    let mut table = Table::try_from(T::default()).map_err(|error| error.to_string())?;
    write_over(&mut table, given);
    table
        .try_into()
        .map_err(|error: toml::de::Error| error.to_string())
}

/// Writes values into a table, and tables into its tables.
fn write_over(table: &mut Table, given: Table) {
    for (key, value) in given {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(table)), Value::Table(given)) => write_over(table, given),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}
