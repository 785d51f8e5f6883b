//! A category's selection, and where it was found.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use flawforge_augment::{Selection, SelectionError, Selections};
use flawforge_datasets::demo;
use flawforge_training::Product;

use super::{Images, SourceError};

/// A selection with the place where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// The selection.
    pub selection: Selection,
    /// Where it was found.
    pub origin: Origin,
}

/// Where a selection was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file that was given.
    File(PathBuf),
    /// Among the demo data's own.
    Demo,
    /// Among the built-in ones: the images are known to be MVTec AD's.
    Mvtec,
    /// Nowhere: the default is used.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Demo => f.write_str("the demo data's own"),
            Self::Mvtec => f.write_str("built-in (MVTec AD by its layout)"),
            Self::Default => {
                f.write_str("default: the paper's three kinds, no rotation; `flawforge select` proposes one")
            }
        }
    }
}

impl Images {
    /// The selection of a category, by the order that the [module](super) gives. `given` is a file of selections (TOML).
    ///
    /// # Errors
    /// When the file cannot be read, when its contents are not a valid selection, or when it has none for the category.
    pub fn selection(&self, category: &str, given: Option<&Path>) -> Result<Selected, SourceError> {
        if let Some(path) = given {
            let (selection, origin) = (in_file(path, category)?, Origin::File(path.into()));
            return Ok(Selected { selection, origin });
        }
        let (known, origin) = if matches!(self, Self::Demo) {
            let known = Selections::from_toml(demo::selections_toml());
            (known.unwrap_or_default(), Origin::Demo)
        } else if self.is_mvtec(category) {
            (Selections::builtin(), Origin::Mvtec)
        } else {
            (Selections::default(), Origin::Default)
        };
        Ok(match known.get(category) {
            Some(found) => Selected {
                selection: found.clone(),
                origin,
            },
            None => Selected {
                selection: Selection::default(),
                origin: Origin::Default,
            },
        })
    }
}

impl Images {
    /// What is known of a category with this selection: NSA's published constants where the images are MVTec AD's.
    pub fn product(&self, category: &str, selection: Selection) -> Product {
        let published = if self.is_mvtec(category) {
            Product::mvtec(category)
        } else {
            None
        };
        Product {
            nsa: published.and_then(|product| product.nsa),
            ..Product::new(category, selection)
        }
    }
}

/// What a file says of a category: its own table, or the table `default`, if there is one.
fn in_file(path: &Path, category: &str) -> Result<Selection, SourceError> {
    let error = |reason: String| SourceError::Selection {
        path: path.into(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|e| error(format!("cannot be read: {e}")))?;
    let selections = Selections::from_toml(&text).map_err(|fault| match fault {
        SelectionError::Form(fault) => error(in_line(&fault, &text)),
        fault => error(fault.to_string()),
    })?;
    let tables: toml::Table = text.parse().map_err(|fault| error(in_line(&fault, &text)))?;
    if selections.get(category).is_some() || tables.contains_key("default") {
        return Ok(selections.get_or_default(category).clone());
    }
    let known: Vec<String> = tables.keys().map(|name| format!("[{name}]")).collect();
    Err(error(match known.is_empty() {
        true => format!("is empty: it needs [{category}] or [default]"),
        false => format!("has neither [{category}] nor [default], but {}", known.join(", ")),
    }))
}

/// What a parser says, after the number of the line. Its own text draws the place over several lines.
fn in_line(fault: &toml::de::Error, text: &str) -> String {
    let message: Vec<&str> = fault.message().split_whitespace().collect();
    let message = message.join(" ");
    match fault.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

/// Which selections are used, one line for each origin: `selection of bottle, cable: built-in (MVTec AD by its layout)`.
pub fn selection_lines<'a>(found: impl IntoIterator<Item = (&'a str, &'a Origin)>) -> Vec<String> {
    let mut groups: Vec<(&Origin, Vec<&str>)> = Vec::new();
    for (category, origin) in found {
        match groups.iter_mut().find(|(known, _)| *known == origin) {
            Some((_, categories)) => categories.push(category),
            None => groups.push((origin, vec![category])),
        }
    }
    groups
        .into_iter()
        .map(|(origin, categories)| format!("selection of {}: {origin}", categories.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flawforge_augment::{Fill, Kind};

    /// `NAME/` in MVTec layout with one defect type, or in plain layout without any.
    fn category(root: &Path, name: &str, defect: Option<&str>) -> Images {
        let dir = root.join(name);
        match defect {
            None => fs::create_dir_all(dir.join("normal")).unwrap(),
            Some(defect) => {
                for part in ["train/good", "test/good"] {
                    fs::create_dir_all(dir.join(part)).unwrap();
                }
                for part in ["test", "ground_truth"] {
                    fs::create_dir_all(dir.join(part).join(defect)).unwrap();
                }
            }
        }
        Images::Single(dir)
    }

    #[test]
    fn facts_serve_what_they_are_about() {
        let root = tempfile::tempdir().unwrap();
        let builtin = Selections::builtin();
        for (defect, origin) in [
            (None, Origin::Default),
            (Some("stain"), Origin::Default),
            (Some("cut"), Origin::Mvtec),
        ] {
            let root = root.path().join(defect.unwrap_or("plain"));
            let single = category(&root, "leather", defect);
            for images in [single, Images::Root(root)] {
                let found = images.selection("leather", None).unwrap();
                assert_eq!(found.origin, origin, "{images:?}");
                let expected = match origin {
                    Origin::Mvtec => builtin.get("leather").unwrap().clone(),
                    _ => Selection::default(),
                };
                assert_eq!(found.selection, expected);
                assert_eq!(images.is_mvtec("leather"), origin == Origin::Mvtec);
            }
        }
        let demo = Images::Demo.selection("leather", None).unwrap();
        assert_eq!((demo.selection.fill, demo.origin), (Fill::Reflect, Origin::Demo));
        assert!(!Images::Demo.is_mvtec("leather"));
    }

    #[test]
    fn a_file_comes_first_with_its_own_default() {
        let root = tempfile::tempdir().unwrap();
        let leather = category(root.path(), "leather", Some("cut"));
        let entry = |name: &str| {
            let off =
                ["transparent", "near_distribution", "rotate_normals"].map(|key| format!("{key} = false\n"));
            format!("[{name}]\nopaque = true\n{}", off.concat())
        };
        let file = root.path().join("own.toml");
        for name in ["leather", "default"] {
            fs::write(&file, entry(name)).unwrap();
            let found = leather.selection("leather", Some(&file)).unwrap();
            assert_eq!(found.origin, Origin::File(file.clone()), "{name}");
            assert!(!found.selection.enables(Kind::Transparent), "{name}");
        }
        for (text, fault) in [
            (entry("wood"), "has neither [leather] nor [default], but [wood]"),
            (String::new(), "is empty: it needs [leather] or [default]"),
        ] {
            fs::write(&file, text).unwrap();
            let said = leather.selection("leather", Some(&file)).unwrap_err().to_string();
            assert!(said.ends_with(&format!("own.toml: {fault}")), "{said}");
        }
    }

    #[test]
    fn an_error_of_a_file_is_one_line_with_its_name() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("own.toml");
        let said = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(&file, text).unwrap();
            }
            Images::Demo
                .selection("gear", Some(&file))
                .unwrap_err()
                .to_string()
        };
        for text in [
            None,
            Some("[gear]\ntransparent = maybe\n"),
            Some("[gear]\nopaqe = true\n"),
        ] {
            let line = said(text);
            assert!(line.contains("own.toml: ") && !line.contains('\n'), "{line}");
        }
        let line = said(Some("[gear]\nopaque = { on = \"yes\", source = \"proposal\" }\n"));
        assert!(
            line.contains("own.toml: line 2: ") && line.ends_with("expected `on` to be true or false"),
            "{line}"
        );
    }

    #[test]
    fn categories_of_one_origin_share_a_line() {
        let lines = selection_lines([
            ("bottle", &Origin::Mvtec),
            ("plates", &Origin::Default),
            ("cable", &Origin::Mvtec),
        ]);
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            "selection of bottle, cable: built-in (MVTec AD by its layout)"
        );
        assert!(
            lines[1].starts_with("selection of plates: default: the paper's three kinds"),
            "{}",
            lines[1]
        );
    }
}
