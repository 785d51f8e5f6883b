//! What MVTec AD looks like: how its categories are told from folders that happen to have their names.

use std::path::Path;

/// The categories of MVTec AD with the folders of their defect types (Bergmann et al., "MVTec AD", CVPR 2019, table 1 and the
/// data set itself).
const DEFECTS: [(&str, &[&str]); 15] = [
    ("bottle", &["broken_large", "broken_small", "contamination"]),
    (
        "cable",
        &[
            "bent_wire",
            "cable_swap",
            "combined",
            "cut_inner_insulation",
            "cut_outer_insulation",
            "missing_cable",
            "missing_wire",
            "poke_insulation",
        ],
    ),
    (
        "capsule",
        &["crack", "faulty_imprint", "poke", "scratch", "squeeze"],
    ),
    (
        "carpet",
        &["color", "cut", "hole", "metal_contamination", "thread"],
    ),
    (
        "grid",
        &["bent", "broken", "glue", "metal_contamination", "thread"],
    ),
    ("hazelnut", &["crack", "cut", "hole", "print"]),
    ("leather", &["color", "cut", "fold", "glue", "poke"]),
    ("metal_nut", &["bent", "color", "flip", "scratch"]),
    (
        "pill",
        &[
            "color",
            "combined",
            "contamination",
            "crack",
            "faulty_imprint",
            "pill_type",
            "scratch",
        ],
    ),
    (
        "screw",
        &[
            "manipulated_front",
            "scratch_head",
            "scratch_neck",
            "thread_side",
            "thread_top",
        ],
    ),
    ("tile", &["crack", "glue_strip", "gray_stroke", "oil", "rough"]),
    ("toothbrush", &["defective"]),
    (
        "transistor",
        &["bent_lead", "cut_lead", "damaged_case", "misplaced"],
    ),
    ("wood", &["color", "combined", "hole", "liquid", "scratch"]),
    (
        "zipper",
        &[
            "broken_teeth",
            "combined",
            "fabric_border",
            "fabric_interior",
            "rough",
            "split_teeth",
            "squeezed_teeth",
        ],
    ),
];

/// Whether the folder `dir` holds MVTec AD's category `name`: its three folders, at least one of its defect types, and none
/// that it does not have. A part of a category counts, somebody's own data under its name does not.
pub(super) fn is_category(dir: &Path, name: &str) -> bool {
    let Some((_, published)) = DEFECTS.iter().find(|(category, _)| *category == name) else {
        return false;
    };
    if !dir.join("train/good").is_dir() || !dir.join("ground_truth").is_dir() {
        return false;
    }
    let Ok(entries) = std::fs::read_dir(dir.join("test")) else {
        return false;
    };
    let mut defects = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|folder| folder != "good" && !folder.starts_with('.'))
        .peekable();
    defects.peek().is_some() && defects.all(|folder| published.contains(&folder.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(layout: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for part in layout {
            fs::create_dir_all(dir.path().join(part)).unwrap();
        }
        dir
    }

    #[test]
    fn name_and_layout_must_both_be_right() {
        let layout = ["train/good", "test/good", "test/cut", "ground_truth/cut"];
        let own = folder(&layout);
        for (name, right) in [("leather", true), ("bottle", false), ("sofa", false)] {
            assert_eq!(is_category(own.path(), name), right, "{name}");
        }
        fs::create_dir_all(own.path().join("test/.cache")).unwrap();
        assert!(is_category(own.path(), "leather"), "hidden folders say nothing");
        fs::create_dir_all(own.path().join("test/stain")).unwrap();
        assert!(
            !is_category(own.path(), "leather"),
            "MVTec's leather has no stain"
        );
        for missing in 0..layout.len() {
            let mut rest = layout.to_vec();
            let gone = rest.remove(missing);
            if gone != "test/good" {
                assert!(!is_category(folder(&rest).path(), "leather"), "without {gone}");
            }
        }
        assert!(!is_category(folder(&["normal"]).path(), "leather"));
    }

    #[test]
    fn every_category_with_a_selection_is_known() {
        let known: Vec<&str> = DEFECTS.iter().map(|(name, _)| *name).collect();
        let selections = flawforge_augment::Selections::builtin();
        assert_eq!(selections.names().collect::<Vec<_>>(), known);
    }

    /// The data set itself, where it lies beside the repository.
    #[test]
    fn the_real_bottle_is_recognised() {
        let bottle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/mvtec256/bottle");
        if bottle.is_dir() {
            assert!(is_category(&bottle, "bottle"));
        }
    }
}
