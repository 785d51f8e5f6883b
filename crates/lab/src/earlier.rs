//! Cells of earlier sweeps in the same folder: taken where they are the same experiment, put aside where they are not.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flawforge::files;
use flawforge::training::{Experiment, RunFiles};

use crate::cell::{self, CellKey, CellResult, Provenance, State};

/// The result of a finished cell; `None` where the cell is still to be run.
///
/// A cell of the same data, textures and profile with other settings is put aside, to `OUT/earlier/CELL-HASH`, and runs again;
/// it is said which settings differ. Nothing is deleted.
///
/// # Errors
/// A cell that was made from other data, textures or another profile, or that cannot be read.
pub(crate) fn finished(
    out: &Path,
    key: &CellKey,
    experiment: &Experiment,
    wanted: &Provenance,
) -> Result<Option<CellResult>> {
    let dir = key.dir(out);
    let config = RunFiles::new(&dir).config();
    let made_with = config.is_file().then(|| Experiment::read(&config));
    match cell::finished(&dir, wanted)? {
        State::Finished(result) => return Ok(Some(*result)),
        State::Elsewhere(message) => bail!(message),
        State::Otherwise(result) if result.profile != experiment.profile => bail!(
            "{}: was made with profile {}, not {}; choose another --out",
            dir.display(),
            result.profile,
            experiment.profile
        ),
        State::Otherwise(_) => {}
        State::Absent => match &made_with {
            // Nothing yet, or an interrupted run of this very experiment, which goes on.
            None => return Ok(None),
            Some(Ok(made)) if made == experiment => return Ok(None),
            Some(_) => {}
        },
    }
    let (hash, differences) = match made_with {
        Some(Ok(made)) => (
            made.hash()[..12].to_owned(),
            experiment.differences(&made).join(", "),
        ),
        _ => (
            "unknown".to_owned(),
            "an earlier version of flawforge made it".to_owned(),
        ),
    };
    files::check_free(&dir)?;
    let aside = put_aside(out, key, &dir, &hash)?;
    eprintln!(
        "{}: was made with other settings ({differences}); it is kept in {} and runs again",
        key.name(),
        aside.display()
    );
    Ok(None)
}

/// Moves a cell's folder to a free name below `OUT/earlier`.
fn put_aside(out: &Path, key: &CellKey, dir: &Path, hash: &str) -> Result<std::path::PathBuf> {
    let folder = out.join("earlier");
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    let name = format!("{}-{hash}", key.name());
    let free = std::iter::once(folder.join(&name))
        .chain((2..).map(|number| folder.join(format!("{name}-{number}"))))
        .find(|path| !path.exists())
        .context("a free name")?;
    fs::rename(dir, &free).with_context(|| format!("{}: cannot be moved", dir.display()))?;
    Ok(free)
}
