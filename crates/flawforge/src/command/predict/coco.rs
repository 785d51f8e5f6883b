//! Found regions in the form of COCO, which labelling programs read.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flawforge::files;
use serde_json::json;

use super::super::source::make_folder;
use super::ledger::{LINES, each};
use super::row::hash;

/// Writes a COCO file of the rows in a folder of results that belong to these settings; of an image that changed, the last row
/// counts. Boxes and areas are in pixels of the image; each annotation has its highest score.
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
        for region in &row.regions {
            regions += 1;
            let annotation = json!({
                "id": regions,
                "image_id": count,
                "category_id": 1,
                "bbox": region.bounds,
                "area": region.area,
                "iscrowd": 0,
                "score": region.peak,
            });
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
    log::info!("{}: {count} images, {regions} regions", path.display());
    Ok(())
}
