//! Settings files: some settings of an experiment, to be put in the place of its own.

use std::path::Path;

use super::Experiment;
use super::text::settings_text;
use crate::device::DeviceName;
use crate::error::{Result, TrainingError};

/// Fields that say which experiment it is. A settings file may repeat them, not change them.
const IDENTITY: [(&str, &str); 4] = [
    ("method", "--method"),
    ("profile", "--profile"),
    ("category", "the folder of images"),
    ("revision", "the program"),
];

/// Some settings by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    origin: String,
    table: toml::Table,
    device: Option<DeviceName>,
}

/// Where to compute: a setting of the program that stands in the same file, and no part of an experiment.
const DEVICE: &str = "device";

impl Overrides {
    /// Reads a partial settings text; `origin` names it in messages.
    ///
    /// # Errors
    /// The text is not TOML, or `device` names no device.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self> {
        let fault = |fault: &str| settings_text(origin, fault);
        let mut table: toml::Table = toml::from_str(text).map_err(|error| fault(&error.to_string()))?;
        let device = match table.remove(DEVICE) {
            None => None,
            Some(toml::Value::String(name)) => Some(name.parse()),
            Some(other) => Some(other.to_string().parse()),
        };
        let device = device
            .transpose()
            .map_err(|said: String| fault(&format!("setting `{DEVICE}`: {said}")))?;
        Ok(Self {
            origin: origin.to_owned(),
            table,
            device,
        })
    }

    /// Reads a partial settings file.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainingError::io(path))?;
        Self::from_toml(&text, &path.display().to_string())
    }

    /// Where to compute, if the text says so ([`use_device`](crate::use_device)). No experiment has it.
    pub fn device(&self) -> Option<DeviceName> {
        self.device
    }

    /// Whether it says how images are seen.
    pub fn says_view(&self) -> bool {
        self.table.contains_key("view")
    }

    /// All settings with their values, in one line.
    pub fn describe(&self) -> String {
        let values: Vec<String> = self
            .names()
            .into_iter()
            .map(|name| {
                let parts = name.split('.');
                let value = parts.fold(None, |found: Option<&toml::Value>, part| match found {
                    None => self.table.get(part),
                    Some(value) => value.get(part),
                });
                value.map_or_else(|| name.clone(), |value| format!("{name} = {value}"))
            })
            .collect();
        values.join(", ")
    }

    /// The dotted names of all settings in it.
    pub fn names(&self) -> Vec<String> {
        let mut found = Vec::new();
        leaves("", &self.table, &mut found);
        found
    }
}

impl Experiment {
    /// The experiment with all of these settings in the place of its own.
    ///
    /// # Errors
    /// A setting that does not exist, does not concern the method, or has a value of another type; another method, profile or
    /// category.
    pub fn with(&self, overrides: &Overrides) -> Result<Self> {
        let mut table = self.table()?;
        refuse_identity(&table, overrides)?;
        refuse_unweighted_kinds(&table, overrides)?;
        merge(&mut table, overrides.table.clone());
        table
            .try_into()
            .map_err(|error: toml::de::Error| settings_text(&overrides.origin, &error.to_string()))
    }

    /// The same with those of the settings that the experiment has, and the dotted names of the others. For one settings file
    /// that serves experiments of several methods and categories.
    ///
    /// # Errors
    /// As [`with`](Self::with), less settings that do not concern the method.
    pub fn with_known(&self, overrides: &Overrides) -> Result<(Self, Vec<String>)> {
        let mut table = self.table()?;
        refuse_identity(&table, overrides)?;
        let mut unknown = Vec::new();
        let known = known("", &table, overrides.table.clone(), &mut unknown);
        merge(&mut table, known);
        let experiment = table
            .try_into()
            .map_err(|error: toml::de::Error| settings_text(&overrides.origin, &error.to_string()))?;
        Ok((experiment, unknown))
    }

    fn table(&self) -> Result<toml::Table> {
        toml::Table::try_from(self).map_err(|error| settings_text("settings", &error.to_string()))
    }

    /// Names of the settings that differ, with both values, for messages.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (Ok(left), Ok(right)) = (serde_json::to_value(self), serde_json::to_value(other)) else {
            return Vec::new();
        };
        differences(&left, &right)
    }
}

/// Names of the values that differ in two JSON texts, with both values.
pub(crate) fn differences(left: &serde_json::Value, right: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", left, right, &mut found);
    found
}

fn refuse_identity(own: &toml::Table, overrides: &Overrides) -> Result<()> {
    for (name, elsewhere) in IDENTITY {
        let (Some(given), Some(own)) = (overrides.table.get(name), own.get(name)) else {
            continue;
        };
        if given != own {
            let message =
                format!("{name} is {given} here and {own} in the experiment; {elsewhere} decides it");
            return Err(settings_text(&overrides.origin, &message));
        }
    }
    Ok(())
}

/// A kind that the selection has off is turned on by a weight, not by one of its constants.
fn refuse_unweighted_kinds(own: &toml::Table, overrides: &Overrides) -> Result<()> {
    let kinds = |table: &toml::Table| {
        let kinds = table.get("simulation")?.get("kinds")?.as_table()?;
        Some(kinds.clone())
    };
    let (Some(own), Some(given)) = (kinds(own), kinds(&overrides.table)) else {
        return Ok(());
    };
    for (kind, settings) in &given {
        if !own.contains_key(kind) && settings.get("weight").is_none() {
            let message = format!(
                "the experiment does not simulate {kind} anomalies; simulation.kinds.{kind}.weight turns them on"
            );
            return Err(settings_text(&overrides.origin, &message));
        }
    }
    Ok(())
}

/// The setting whose parts are those of one kind: given, it takes the place of the whole.
const WHOLE: &str = "view";

fn merge(base: &mut toml::Table, overrides: toml::Table) {
    for (key, value) in overrides {
        if key == WHOLE {
            base.insert(key, value);
            continue;
        }
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(changes)) => merge(inner, changes),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// What of `overrides` stands in `base`; the names of the rest are added to `unknown`.
fn known(name: &str, base: &toml::Table, overrides: toml::Table, unknown: &mut Vec<String>) -> toml::Table {
    let mut kept = toml::Table::new();
    for (key, value) in overrides {
        let inner = dotted(name, &key);
        if inner == WHOLE {
            kept.insert(key, value);
            continue;
        }
        match (base.get(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(changes)) => {
                let changes = known(&inner, base, changes, unknown);
                if !changes.is_empty() {
                    kept.insert(key, toml::Value::Table(changes));
                }
            }
            (Some(_), value) => {
                kept.insert(key, value);
            }
            (None, toml::Value::Table(missing)) => leaves(&inner, &missing, unknown),
            (None, _) => unknown.push(inner),
        }
    }
    kept
}

fn leaves(name: &str, table: &toml::Table, found: &mut Vec<String>) {
    for (key, value) in table {
        let inner = dotted(name, key);
        match value {
            toml::Value::Table(table) => leaves(&inner, table, found),
            _ => found.push(inner),
        }
    }
}

fn dotted(name: &str, key: &str) -> String {
    if name.is_empty() {
        key.to_owned()
    } else {
        format!("{name}.{key}")
    }
}

fn compare(name: &str, left: &serde_json::Value, right: &serde_json::Value, found: &mut Vec<String>) {
    match (left, right) {
        (serde_json::Value::Object(a), serde_json::Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                let null = serde_json::Value::Null;
                let (a, b) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
                compare(&dotted(name, key), a, b, found);
            }
        }
        _ if left != right => found.push(format!("{name} is {}, was {}", shown(left), shown(right))),
        _ => {}
    }
}

/// A value for people: an f32 that was widened loses the digits that it never had.
fn shown(value: &serde_json::Value) -> String {
    match value.as_f64() {
        Some(number) if !value.is_u64() && !value.is_i64() => {
            let single = number as f32;
            if f64::from(single) == number {
                single.to_string()
            } else {
                number.to_string()
            }
        }
        _ if value.is_null() => "not set".to_owned(),
        _ => value.to_string(),
    }
}
