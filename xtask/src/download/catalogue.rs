//! Which data sets there are, where they lie, and how they are recognised: `xtask/data/datasets.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::DownloadError;

/// The data sets that can be fetched, by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Catalogue {
    sets: BTreeMap<String, DataSet>,
}

/// One data set: addresses, identity, licence.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSet {
    /// One line for people.
    pub title: String,
    /// File name of the archive; its ending (`.tar.xz`, `.tar.gz`) tells the compression.
    pub archive: String,
    /// SHA-256 of the archive, 64 lower-case hexadecimal digits; of weights at least the first 8 of them.
    pub sha256: String,
    /// Length of the archive in bytes; of weights, which are published without their length, the largest there could be.
    pub bytes: u64,
    /// Top folder in the archive, dropped from paths that begin with it; may be empty.
    #[serde(default)]
    pub root: String,
    /// Folders or files that must be there after unpacking.
    #[serde(default)]
    pub contains: Vec<String>,
    /// What unpacking is bounded by; weights are not unpacked.
    #[serde(default)]
    pub unpacked: Bounds,
    /// Where the archive is served, in the order to try.
    pub addresses: Vec<String>,
    /// The page to read about it.
    pub page: String,
    /// The licence in short, several lines.
    pub licence: String,
}

/// Bounds on the contents of an archive.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Most files and folders.
    pub files: u64,
    /// Most bytes in all files together.
    pub bytes: u64,
}

impl DataSet {
    /// Whether the archive is a file of weights, which is converted and not unpacked. Its name ends in the first digits of
    /// its SHA-256, by which its publisher wants it checked.
    pub fn is_weights(&self) -> bool {
        self.archive.ends_with(".pth")
    }
}

impl Catalogue {
    /// The catalogue that comes with the program.
    ///
    /// # Errors
    /// None for the shipped file, which is tested.
    pub fn builtin() -> Result<Self, DownloadError> {
        Self::from_toml(include_str!("../../data/datasets.toml"))
    }

    /// Reads a catalogue from a file.
    ///
    /// # Errors
    /// A file that cannot be read, and as [`from_toml`](Self::from_toml).
    pub fn read(file: &std::path::Path) -> Result<Self, DownloadError> {
        let text = std::fs::read_to_string(file).map_err(DownloadError::io(file))?;
        Self::from_toml(&text)
    }

    /// Reads a catalogue and checks every entry.
    ///
    /// # Errors
    /// Text that is not such a catalogue, an invalid hash, an archive name that is a path or has an unknown ending.
    pub fn from_toml(text: &str) -> Result<Self, DownloadError> {
        let catalogue: Self = toml::from_str(text).map_err(|e| DownloadError::Io {
            path: "datasets.toml".into(),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string()),
        })?;
        for (name, set) in &catalogue.sets {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let digits = if set.is_weights() { 8..=64 } else { 64..=64 };
            let known = [".tar.xz", ".tar.gz", ".pth"];
            let fault = if !digits.contains(&set.sha256.len()) || !set.sha256.bytes().all(hex) {
                "sha256 is not 64 lower-case hexadecimal digits (of weights at least 8)"
            } else if !known.iter().any(|ending| set.archive.ends_with(ending)) {
                "the archive is neither .tar.xz nor .tar.gz nor .pth"
            } else if [&set.archive, name]
                .iter()
                .any(|part| part.contains(['/', '\\']) || part.starts_with('.'))
            {
                "its name or its archive's is a path"
            } else {
                continue;
            };
            return Err(DownloadError::Catalogue {
                name: name.clone(),
                fault,
            });
        }
        Ok(catalogue)
    }

    /// The data set of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&DataSet, DownloadError> {
        self.sets.get(name).ok_or_else(|| DownloadError::Unknown {
            name: name.to_owned(),
            known: self.sets.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_catalogue_is_sound() {
        let catalogue = Catalogue::builtin().expect("parsed");
        for name in ["mvtec-ad", "dtd"] {
            let set = catalogue.get(name).expect("there");
            assert!(
                set.addresses
                    .iter()
                    .all(|a| a.starts_with("https://") && a.ends_with(&set.archive))
            );
            assert!(set.addresses.len() >= 2 && !set.licence.trim().is_empty());
            assert!(set.unpacked.bytes > set.bytes);
        }
        for name in ["wide-resnet50-2", "resnet50", "resnet18"] {
            let set = catalogue.get(name).expect("there");
            assert!(set.is_weights() && set.archive.ends_with(&format!("-{}.pth", set.sha256)));
            assert!(
                set.addresses
                    .iter()
                    .all(|a| a.starts_with("https://") && a.ends_with(&set.archive))
            );
        }
        let unknown = catalogue.get("imagenet").expect_err("unknown").to_string();
        assert!(
            unknown.starts_with("unknown data set \"imagenet\": there are dtd, mvtec-ad, resnet18"),
            "{unknown}"
        );
    }

    #[test]
    fn unsound_entries_are_refused() {
        let sound = include_str!("../../data/datasets.toml");
        for (from, to) in [
            ("sha256 = \"c", "sha256 = \"C"),
            ("archive = \"mvtec", "archive = \"../mvtec"),
            ("archive = \"dtd-r1.0.1.tar.gz", "archive = \"dtd-r1.0.1.zip"),
            ("title =", "tittle ="),
            ("[dtd]", "[\"../dtd\"]"),
        ] {
            assert!(
                Catalogue::from_toml(&sound.replacen(from, to, 1)).is_err(),
                "{to}"
            );
        }
    }
}
