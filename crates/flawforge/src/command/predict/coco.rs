//! Found regions in the form of COCO, which labelling programs read.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flawforge::datasets::counted;
use flawforge::files;
use flawforge::metrics::RunLengths;
use flawforge::training::REGIONS_SAID;
use serde_json::json;

use super::super::source::make_folder;
use super::ledger::{LINES, each};
use super::row::{Found, hash};

/// Writes a COCO file of the rows in a folder of results that belong to these settings; of an image that changed, the last row
/// counts. Boxes, areas and run lengths are in pixels of the image; each annotation has its highest score.
///
/// # Errors
/// Rows that cannot be read, a file that cannot be written.
pub(super) fn write(path: &Path, out: &Path, settings: &str) -> Result<()> {
    let lines = out.join(LINES);
    let mut last: HashMap<u64, usize> = HashMap::new();
    let mut number = 0;
    each(&lines, &mut |row| {
        if row.settings == settings && row.error.is_empty() {
            last.insert(hash(&row.image), number);
        }
        number += 1;
        Ok(())
    })?;
    let (mut images, mut annotations) = (String::new(), String::new());
    let (mut count, mut number, mut regions) = (0, 0, 0);
    let (mut beyond, mut without_shape) = (0, 0);
    each(&lines, &mut |row| {
        let counts = last.get(&hash(&row.image)) == Some(&number) && row.settings == settings;
        number += 1;
        if !counts || !row.error.is_empty() {
            return Ok(());
        }
        count += 1;
        let comma = |text: &str| if text.is_empty() { "\n" } else { ",\n" };
        let image = json!({"id": count, "file_name": row.image, "width": row.width, "height": row.height});
        let separator = comma(&images);
        write!(images, "{separator}{image}").context("a text")?;
        beyond += row
            .regions_found
            .unwrap_or_default()
            .saturating_sub(row.regions.len());
        for Found { region, rle } in &row.regions {
            regions += 1;
            let mut annotation = json!({
                "id": regions,
                "image_id": count,
                "category_id": 1,
                "bbox": region.bounds,
                "area": region.area,
                "iscrowd": 0,
                "score": region.peak,
            });
            match RunLengths::from_compressed(rle).filter(|shape| !shape.lengths().is_empty()) {
                Some(shape) => {
                    let size = [row.height, row.width];
                    annotation["segmentation"] = json!({"size": size, "counts": shape.lengths()});
                }
                None => without_shape += 1,
            }
            let separator = comma(&annotations);
            write!(annotations, "{separator}{annotation}").context("a text")?;
        }
        Ok(())
    })?;
    let text = format!(
        "{{\"images\":[{images}],\n\"annotations\":[{annotations}],\n\"categories\":[{{\"id\":1,\"name\":\"anomaly\"}}]}}\n"
    );
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    files::write(path, text.as_bytes())?;
    log::info!(
        "{}: {}, {}",
        path.display(),
        counted(count, "image"),
        counted(regions, "region")
    );
    if beyond > 0 {
        log::warn!(
            "{}: lacks {}: of each image the {REGIONS_SAID} with the highest scores are there (--min-area passes over small ones)",
            path.display(),
            counted(beyond, "region")
        );
    }
    if without_shape > 0 {
        log::warn!(
            "{}: {} by an earlier version {} a box and no pixels",
            path.display(),
            counted(without_shape, "region"),
            if without_shape == 1 { "has" } else { "have" }
        );
    }
    Ok(())
}
