//! How numbers lie along an axis, and how they are written there.

/// Ticks of an axis, about.
const TICKS: f64 = 5.0;

/// How values lie along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// The value at its beginning.
    pub low: f64,
    /// The value at its end.
    pub high: f64,
    /// Whether equal ratios, and not differences, are equal lengths.
    pub log: bool,
}

impl Axis {
    /// From 0 to 1.
    pub const UNIT: Self = Self {
        low: 0.0,
        high: 1.0,
        log: false,
    };

    /// An axis for values; by ratios where the largest is more than `spread` times what is usual, and all are above 0.
    pub fn of(values: &[f64], usual: f64, spread: f64) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return Self::UNIT;
        }
        let log = low > 0.0 && usual > 0.0 && high > spread * usual;
        let (low, high) = match log {
            true => (low / 1.1, high * 1.1),
            false => {
                let room = match high > low {
                    true => 0.03 * (high - low),
                    false => 0.5 * high.abs().max(1e-3),
                };
                // Values from near 0 on begin there.
                let base = match low >= 0.0 && low < 0.3 * high {
                    true => 0.0,
                    false => low - room,
                };
                (base, high + room)
            }
        };
        Self { low, high, log }
    }

    /// Where a value lies, 0 to 1.
    pub fn position(&self, value: f64) -> f64 {
        let place = match self.log {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        place.clamp(0.0, 1.0)
    }

    /// Round values to be written along it.
    pub fn ticks(&self) -> Vec<f64> {
        if self.log {
            let decades = (self.high / self.low).log10();
            let step = (decades / TICKS).ceil().max(1.0) as i32;
            let first = self.low.log10().ceil() as i32;
            let last = self.high.log10().floor() as i32;
            let mut ticks: Vec<f64> = (first..=last)
                .filter(|power| power.rem_euclid(step) == 0)
                .map(|power| 10f64.powi(power))
                .collect();
            if ticks.len() < 2 {
                ticks = vec![self.low * 1.1, self.high / 1.1];
            }
            return ticks;
        }
        let rough = (self.high - self.low) / TICKS;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * unit)
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * unit);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// A number in few digits.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.0e}")
    } else {
        let digits = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
        let text = format!("{value:.digits$}");
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_their_values_and_come_back() {
        let linear = Axis::of(&[0.1, 0.4, 0.9], 0.4, 20.0);
        assert!(!linear.log && linear.low == 0.0 && linear.high > 0.9);
        let log = Axis::of(&[0.001, 0.002, 0.9], 0.002, 20.0);
        assert!(log.log && log.low < 0.001);
        for axis in [linear, log] {
            assert!(axis.position(0.15) < axis.position(0.7), "{axis:?}");
            assert_eq!((axis.position(axis.low), axis.position(2.0)), (0.0, 1.0));
            let ticks = axis.ticks();
            assert!(
                ticks.len() >= 2 && ticks.iter().all(|tick| *tick >= axis.low && *tick <= axis.high),
                "{ticks:?}"
            );
        }
        assert_eq!(Axis::of(&[], 0.0, 20.0), Axis::UNIT);
        let one = Axis::of(&[0.5], 0.5, 20.0);
        assert!(one.low < 0.5 && one.high > 0.5);
        assert_eq!(Axis::UNIT.ticks().len(), 6);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (100.0, "100"),
            (0.1 + 0.2, "0.3"),
            (2e-7, "2e-7"),
            (12345.6, "12346"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
