//! The file form of a selection.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Answer, Selection, Source};
use crate::{Kind, Photometric};

/// An answer in its file form: `true`, or `{ on = true, source = "proposal" }`.
#[derive(Serialize)]
#[serde(untagged)]
enum Cell {
    Bare(bool),
    Sourced(Sourced),
}

#[derive(Serialize)]
struct Sourced {
    on: bool,
    source: Source,
}

/// Written out, because a derived reader would tell of Rust's types where a person has mistyped a value.
impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellReader)
    }
}

struct CellReader;

impl<'de> Visitor<'de> for CellReader {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false or { on = true, source = \"proposal\" }")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Cell, E> {
        Ok(Cell::Bare(on))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        let (mut on, mut source) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "on" => on = Some(map.next_value::<OnOff>()?.0),
                "source" => source = Some(read_source::<A::Error>(&map.next_value::<String>()?)?),
                other => {
                    let known = "known are on and source";
                    return Err(A::Error::custom(format!(
                        "unknown key `{other}` of an answer; {known}"
                    )));
                }
            }
        }
        match (on, source) {
            (Some(on), Some(source)) => Ok(Cell::Sourced(Sourced { on, source })),
            (None, _) => Err(A::Error::custom("an answer lacks `on`")),
            (_, None) => Err(A::Error::custom("an answer with `on` lacks `source`")),
        }
    }
}

fn read_source<E: Error>(text: &str) -> Result<Source, E> {
    match text {
        "paper-inferred" => Ok(Source::PaperInferred),
        "proposal" => Ok(Source::Proposal),
        other => Err(E::custom(format!(
            "unknown source `{other}`; known are paper-inferred and proposal"
        ))),
    }
}

/// The value of `on`.
struct OnOff(bool);

impl<'de> Deserialize<'de> for OnOff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = OnOff;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`on` to be true or false")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<OnOff, E> {
                Ok(OnOff(on))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Cell {
    fn new(on: bool, source: Option<Source>) -> Self {
        source.map_or(Self::Bare(on), |source| Self::Sourced(Sourced { on, source }))
    }

    fn split(self) -> (bool, Option<Source>) {
        match self {
            Self::Bare(on) => (on, None),
            Self::Sourced(Sourced { on, source }) => (on, Some(source)),
        }
    }
}

/// The key of a kind in a file.
fn key(kind: Kind) -> String {
    kind.name().replace('-', "_")
}

/// The keys that are no kinds.
const OTHERS: [&str; 7] = [
    "rotate_normals",
    "fill",
    "grey",
    "texture",
    "light",
    "weights",
    "reason",
];

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let answers = || {
            self.kinds
                .iter()
                .filter(|(kind, _)| kind.is_selectable())
                .map(|(&kind, answer)| (key(kind), answer))
        };
        let weights: BTreeMap<String, f64> = answers()
            .filter(|(_, answer)| answer.weight != Answer::default().weight)
            .map(|(key, answer)| (key, answer.weight))
            .collect();
        let mut map = serializer.serialize_map(None)?;
        for (key, answer) in answers() {
            map.serialize_entry(&key, &Cell::new(answer.on, answer.source))?;
        }
        map.serialize_entry(
            "rotate_normals",
            &Cell::new(self.rotate_normals, self.rotate_source),
        )?;
        map.serialize_entry("fill", &self.fill)?;
        for (key, on) in [("grey", self.grey), ("texture", self.texture)] {
            if on {
                map.serialize_entry(key, &on)?;
            }
        }
        if let Some(light) = &self.light {
            map.serialize_entry("light", light)?;
        }
        if !weights.is_empty() {
            map.serialize_entry("weights", &weights)?;
        }
        if !self.reason.is_empty() {
            map.serialize_entry("reason", &self.reason)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Selection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of answers, one for each kind of anomaly")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selection, A::Error> {
        let mut selection = Selection::nothing();
        let mut answers: BTreeMap<Kind, Answer> = BTreeMap::new();
        let mut weights: BTreeMap<Kind, f64> = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "rotate_normals" => {
                    (selection.rotate_normals, selection.rotate_source) = map.next_value::<Cell>()?.split();
                }
                "fill" => selection.fill = map.next_value()?,
                "grey" => selection.grey = map.next_value()?,
                "texture" => selection.texture = map.next_value()?,
                "light" => {
                    let light: Photometric = map.next_value()?;
                    light
                        .check()
                        .map_err(|fault| A::Error::custom(fault.within("light")))?;
                    selection.light = Some(light);
                }
                "weights" => weights = map.next_value()?,
                "reason" => selection.reason = map.next_value()?,
                _ => {
                    let kind = selectable(&key).ok_or_else(|| unknown(&key))?;
                    let (on, source) = map.next_value::<Cell>()?.split();
                    let weight = Answer::default().weight;
                    if answers.insert(kind, Answer { on, weight, source }).is_some() {
                        return Err(A::Error::custom(format!("`{key}` is answered twice")));
                    }
                }
            }
        }
        for (kind, weight) in weights {
            if !kind.is_selectable() {
                return Err(A::Error::custom(format!("weights: `{kind}` cannot be selected")));
            }
            answers.entry(kind).or_default().weight = weight;
        }
        for (kind, answer) in answers {
            selection.set(kind, answer);
        }
        Ok(selection)
    }
}

fn selectable(key: &str) -> Option<Kind> {
    key.parse().ok().filter(|kind: &Kind| kind.is_selectable())
}

fn unknown<E: Error>(found: &str) -> E {
    let keys = Kind::ALL.map(key);
    let known: Vec<&str> = keys.iter().map(String::as_str).chain(OTHERS).collect();
    E::custom(format!("unknown key `{found}`; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fill;

    fn read(text: &str) -> Selection {
        toml::from_str(text).unwrap()
    }

    fn written_and_read(selection: &Selection) {
        assert_eq!(&read(&toml::to_string(selection).unwrap()), selection);
        let json = serde_json::to_value(selection).unwrap();
        assert_eq!(&serde_json::from_value::<Selection>(json).unwrap(), selection);
    }

    #[test]
    fn text_and_back() {
        let selection = read(
            r#"
            transparent = true
            opaque = false
            near_distribution = { on = true, source = "proposal" }
            cut-paste = true
            nsa = { on = false, source = "paper-inferred" }
            rotate_normals = { on = true, source = "proposal" }
            fill = "reflect"
            texture = true
            light = { brightness = [0.9, 1.1], noise = 2.5 }
            weights = { near_distribution = 2.5, opaque = 3.0, transparent = 1.0, foreign_patch = 1 }
            reason = "why not"
            "#,
        );
        let enabled: Vec<(Kind, f64)> = selection.enabled().collect();
        let expected = [
            (Kind::Transparent, 1.0),
            (Kind::NearDistribution, 2.5),
            (Kind::CutPaste, 1.0),
        ];
        assert_eq!(enabled, expected);
        assert_eq!(
            selection.kinds[&Kind::NearDistribution].source,
            Some(Source::Proposal)
        );
        // Off, but with something to say.
        assert_eq!(selection.kinds[&Kind::Opaque].weight, 3.0);
        assert_eq!(selection.kinds[&Kind::Nsa].source, Some(Source::PaperInferred));
        assert!(!selection.kinds.contains_key(&Kind::ForeignPatch));
        assert_eq!(
            (selection.fill, selection.texture, selection.grey),
            (Fill::Reflect, true, false)
        );
        let light = selection.light.unwrap();
        assert_eq!(
            (light.brightness, light.noise, light.gamma),
            ((0.9, 1.1), 2.5, (1.0, 1.0))
        );
        assert_eq!(selection.rotate_source, Some(Source::Proposal));
        written_and_read(&selection);
        for kind in Kind::ALL {
            written_and_read(&Selection::only(kind));
        }
    }

    #[test]
    fn what_is_missing_is_off() {
        assert_eq!(read("transparent = true"), Selection::only(Kind::Transparent));
        assert_eq!(
            read("transparent = true\nopaque = false\nrotate_normals = false"),
            Selection::only(Kind::Transparent)
        );
    }

    #[test]
    fn only_what_differs_is_written() {
        let text = toml::to_string(&Selection::only(Kind::ForeignPatch)).unwrap();
        assert_eq!(
            text,
            "foreign_patch = true\nrotate_normals = false\nfill = \"black\"\n"
        );
    }

    #[test]
    fn errors_name_the_key() {
        let error = |text: &str| toml::from_str::<Selection>(text).unwrap_err().to_string();
        assert!(
            error("rotat = 1")
                .contains("unknown key `rotat`; known are transparent, opaque, near_distribution, cut_paste")
        );
        assert!(error("other = true").contains("unknown key `other`"));
        assert!(error("weights = { bent = 1.0 }").contains("\"bent\""));
        assert!(error("weights = { other = 1.0 }").contains("`other` cannot be selected"));
        assert!(error("near_distribution = true\nnear-distribution = true").contains("answered twice"));
        for (answer, fault) in [
            (
                "{ on = true, sauce = \"proposal\" }",
                "unknown key `sauce` of an answer",
            ),
            (
                "{ on = \"yes\", source = \"proposal\" }",
                "invalid type: string \"yes\", expected `on` to be true or false",
            ),
            (
                "{ on = true, source = \"me\" }",
                "unknown source `me`; known are paper-inferred and proposal",
            ),
            ("{ source = \"proposal\" }", "lacks `on`"),
            ("{ on = true }", "lacks `source`"),
            ("\"yes\"", "expected true, false or { on = true"),
        ] {
            let said = error(&format!("opaque = {answer}"));
            assert!(said.contains(fault) && said.contains("opaque"), "{said}");
            assert!(
                !said.contains("untagged") && !said.contains("variant of"),
                "{said}"
            );
        }
    }
}
