//! The images of one set, read by one scale.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::category::all_or_errors;
use crate::decode::{Picture, decode, picture};
use crate::note::{Note, Remark};
use crate::scale::{Extent, PixelScale};
use crate::{DatasetError, Limits};

/// Below so many of 256 levels, a set of deep images is said to have lost its contrast (proposal).
const FEW: u32 = 16;

/// What was read.
pub(crate) struct Alike<T> {
    pub(crate) images: Vec<T>,
    /// The scale that they were read by: the one given, or that of these images.
    pub(crate) scale: PixelScale,
    pub(crate) notes: Vec<Note>,
}

/// Reads files in parallel, in their order, and makes something of each picture. Without a scale, one is found from all
/// files; those with more than 8 bits are then decoded twice, so that no more of them is held than needed.
///
/// # Errors
/// Those of all files.
pub(crate) fn load_alike<T: Send>(
    paths: &[PathBuf],
    fixed: Option<PixelScale>,
    limits: &Limits,
    make: impl Fn(&Path, Picture) -> (T, Vec<Note>) + Sync,
) -> Result<Alike<T>, DatasetError> {
    let decoded: Vec<Result<Seen<T>, DatasetError>> = paths
        .par_iter()
        .map(|path| {
            let decoded = decode(path, limits)?;
            let extent = Extent::of(&decoded.image);
            match fixed {
                None if !extent.bytes => Ok(Seen::Deep(extent)),
                _ => {
                    let scale = fixed.unwrap_or_default();
                    Ok(Seen::Read(make(path, picture(path, decoded, &scale)?)))
                }
            }
        })
        .collect();
    let seen = all_or_errors(decoded)?;
    let (mut all, mut deepest, mut flat) = (Extent::default(), None, None);
    for (path, one) in paths.iter().zip(&seen) {
        match one {
            Seen::Deep(extent) => {
                all = all.join(*extent);
                deepest = deepest.or(Some(path));
            }
            Seen::Read(_) => flat = flat.or(Some(path)),
        }
    }
    let scale = fixed.unwrap_or_else(|| all.scale());
    let images: Vec<Result<(T, Vec<Note>), DatasetError>> = paths
        .par_iter()
        .zip(seen)
        .map(|(path, seen)| match seen {
            Seen::Read(made) => Ok(made),
            Seen::Deep(_) => Ok(make(path, picture(path, decode(path, limits)?, &scale)?)),
        })
        .collect();
    let mut notes = Vec::new();
    let mut say = |path: &Path, remark| {
        notes.push(Note {
            path: path.to_path_buf(),
            remark,
        });
    };
    if let Some(path) = deepest {
        if let Some(bits) = scale.words {
            say(path, Remark::Words { bits });
        }
        if let Some((black, white)) = scale.reals {
            say(path, Remark::Reals { black, white });
        }
        if let Some(levels) = all.levels(&scale).filter(|&levels| levels < FEW) {
            say(path, Remark::FewLevels { levels });
        }
        if let Some(flat) = flat {
            say(flat, Remark::MixedDepths);
        }
    }
    let mut made = Vec::with_capacity(paths.len());
    for (image, found) in all_or_errors(images)? {
        made.push(image);
        notes.extend(found);
    }
    Ok(Alike {
        images: made,
        scale,
        notes,
    })
}

enum Seen<T> {
    Read((T, Vec<Note>)),
    Deep(Extent),
}
