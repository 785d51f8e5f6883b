//! The metrics of a detector on a category as a list: names, titles, and values by metric.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Values of metrics, each a fraction in `[0, 1]`. A metric that is not defined is absent: pixel metrics without
/// ground-truth masks, all of them without both normal and anomalous test images.
pub type Scores = BTreeMap<Metric, f64>;

/// Builds the enum and its functions from one row for each metric: variant, name in files, title for readers.
macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $title:literal;)+) => {
        /// A metric of a detector on the test images of a category. The order is that of tables.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Metric {
            $($(#[$doc])* $variant,)+
        }

        impl Metric {
            /// All metrics, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in files, `pixel_auroc`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The name for readers, `pixel AUROC`.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

metrics! {
    /// AUROC of the image scores.
    ImageAuroc, "image_auroc", "image AUROC";
    /// Average precision of the image scores.
    ImageAp, "image_ap", "image AP";
    /// AUROC over all pixels of all test images; a pixel is anomalous by the ground-truth rule of the evaluation.
    PixelAuroc, "pixel_auroc", "pixel AUROC";
    /// Average precision over all pixels of all test images, by the same rule.
    PixelAp, "pixel_ap", "pixel AP";
    /// Area under the per-region overlap up to the evaluation's largest false positive rate, by the same rule.
    Aupro, "aupro", "AUPRO";
    /// Pixel AUROC where a pixel is anomalous from half coverage on.
    PixelAurocHalf, "pixel_auroc_half", "pixel AUROC, half-covered pixels too";
    /// Pixel average precision by that rule.
    PixelApHalf, "pixel_ap_half", "pixel AP, half-covered pixels too";
    /// AUPRO by that rule.
    AuproHalf, "aupro_half", "AUPRO, half-covered pixels too";
}

/// A text that names no [`Metric`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown metric `{0}`")]
pub struct UnknownMetric(pub String);

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|metric| metric.name() == text)
            .ok_or_else(|| UnknownMetric(text.to_owned()))
    }
}

/// By [name](Metric::name), also as a key of a map.
#[cfg(feature = "serde")]
impl serde::Serialize for Metric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Metric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_ordered() {
        for metric in Metric::ALL {
            assert_eq!(metric.to_string().parse(), Ok(*metric));
        }
        assert!(Metric::ALL.is_sorted());
        assert_eq!(Metric::PixelApHalf.name(), "pixel_ap_half");
        assert_eq!(
            "accuracy".parse::<Metric>(),
            Err(UnknownMetric("accuracy".to_owned()))
        );
    }

    #[cfg(feature = "serde")]
    #[test]
    fn scores_are_an_object_by_name() {
        let scores = Scores::from([(Metric::Aupro, 0.25), (Metric::ImageAp, 0.5)]);
        let text = serde_json::to_string(&scores).unwrap();
        assert_eq!(text, r#"{"image_ap":0.5,"aupro":0.25}"#);
        assert_eq!(serde_json::from_str::<Scores>(&text).unwrap(), scores);
        let error = serde_json::from_str::<Scores>(r#"{"accuracy":1.0}"#).unwrap_err();
        assert!(error.to_string().contains("unknown metric `accuracy`"), "{error}");
    }
}
