//! Ranges of constants.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use flawforge_masks::{Perlin, Rectangle, Scar};
use thiserror::Error;

/// A constant that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} {message}")]
pub struct SettingsError {
    /// Which one, as in a settings file: `kinds.near-distribution.density`.
    pub name: String,
    /// What it must be.
    pub message: String,
}

impl SettingsError {
    pub(crate) fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
        }
    }

    /// The same, of a constant in a group.
    pub(crate) fn within(mut self, group: &str) -> Self {
        self.name = if self.name.is_empty() {
            group.to_owned()
        } else {
            format!("{group}.{}", self.name)
        };
        self
    }
}

/// A finite number within bounds.
pub(crate) fn number(
    name: &str,
    value: impl Into<f64>,
    bounds: impl RangeBounds<f64>,
) -> Result<(), SettingsError> {
    let value = value.into();
    if value.is_finite() && bounds.contains(&value) {
        Ok(())
    } else {
        let message = format!("must be {}, not {value}", described(&bounds));
        Err(SettingsError::new(name, message))
    }
}

/// A whole number within bounds.
pub(crate) fn whole<T: PartialOrd + Display>(
    name: &str,
    value: T,
    bounds: impl RangeBounds<T>,
) -> Result<(), SettingsError> {
    if bounds.contains(&value) {
        Ok(())
    } else {
        let message = format!("must be {}, not {value}", described(&bounds));
        Err(SettingsError::new(name, message))
    }
}

/// Two finite numbers within bounds, the first not greater than the second.
pub(crate) fn pair<T: Into<f64>>(
    name: &str,
    (low, high): (T, T),
    bounds: impl RangeBounds<f64>,
) -> Result<(), SettingsError> {
    let (low, high) = (low.into(), high.into());
    let inside = |value: f64| value.is_finite() && bounds.contains(&value);
    if inside(low) && inside(high) && low <= high {
        Ok(())
    } else {
        let message = format!(
            "must be two rising numbers, each {}, not [{low}, {high}]",
            described(&bounds)
        );
        Err(SettingsError::new(name, message))
    }
}

fn described<T: Display>(bounds: &impl RangeBounds<T>) -> String {
    let low = match bounds.start_bound() {
        Bound::Included(low) => Some(format!("at least {low}")),
        Bound::Excluded(low) => Some(format!("greater than {low}")),
        Bound::Unbounded => None,
    };
    let high = match bounds.end_bound() {
        Bound::Included(high) => Some(format!("at most {high}")),
        Bound::Excluded(high) => Some(format!("less than {high}")),
        Bound::Unbounded => None,
    };
    let words: Vec<String> = low.into_iter().chain(high).collect();
    if words.is_empty() {
        "finite".to_owned()
    } else {
        words.join(" and ")
    }
}

/// Greater than 0.
pub(crate) const POSITIVE: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Unbounded);

/// Greater than 0 and up to a number.
pub(crate) const fn positive_up_to(high: f64) -> (Bound<f64>, Bound<f64>) {
    (Bound::Excluded(0.0), Bound::Included(high))
}

/// The constants of DRAEM's mask.
pub(crate) fn perlin(mask: &Perlin) -> Result<(), SettingsError> {
    whole("max_exponent", mask.max_exponent, 0..=16)?;
    number("threshold", mask.threshold, -1.0..=1.0)?;
    number("max_rotation_degrees", mask.max_rotation_degrees, 0.0..=180.0)
}

/// The constants of a rectangle.
pub(crate) fn rectangle(rectangle: &Rectangle) -> Result<(), SettingsError> {
    pair("area", rectangle.area, positive_up_to(1.0))?;
    pair("aspect", rectangle.aspect, POSITIVE)
}

/// The constants of a scar.
pub(crate) fn scar(scar: &Scar) -> Result<(), SettingsError> {
    pair("width", scar.width, POSITIVE)?;
    pair("length", scar.length, POSITIVE)?;
    number("max_rotation_degrees", scar.max_rotation_degrees, 0.0..=180.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_must_be() {
        let text = |result: Result<(), SettingsError>| result.unwrap_err().to_string();
        assert_eq!(
            text(number("density", f32::NAN, 0.0..1.0)),
            "density must be at least 0 and less than 1, not NaN"
        );
        assert_eq!(
            text(number("weight", f64::INFINITY, 0.0..)),
            "weight must be at least 0, not inf"
        );
        assert_eq!(text(whole("tries", 0, 1..)), "tries must be at least 1, not 0");
        assert_eq!(
            text(pair("extent", (0.5, 0.2), positive_up_to(1.0))),
            "extent must be two rising numbers, each greater than 0 and at most 1, not [0.5, 0.2]"
        );
        assert_eq!(
            SettingsError::new("hue", "must be small")
                .within("jitter")
                .within("kinds"),
            SettingsError::new("kinds.jitter.hue", "must be small")
        );
        assert!(
            pair("extent", (0.2_f32, 0.2), positive_up_to(1.0)).is_ok() && number("n", 3.0, POSITIVE).is_ok()
        );
    }
}
