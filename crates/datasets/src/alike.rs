//! The images of one set, read by one scale.

use std::path::Path;

use image::RgbImage;
use rayon::prelude::*;

use crate::decode::{decode, picture};
use crate::note::{Note, Remark};
use crate::scale::{Extent, PixelScale};
use crate::{DatasetError, Limits};

/// Below so many of 256 levels, a set of deep images is said to have lost its contrast (proposal).
const FEW: u32 = 16;

/// Files that are decoded at a time: enough to keep all threads busy (proposal).
const CHUNK: usize = 64;

/// What was read.
pub(crate) struct Alike<T> {
    pub(crate) images: Vec<T>,
    /// The scale that they were read by: the one given, or that of these images.
    pub(crate) scale: PixelScale,
    pub(crate) notes: Vec<Note>,
    /// Of files that could not be read, in their order.
    pub(crate) errors: Vec<DatasetError>,
}

impl<T> Alike<T> {
    /// All images, or the errors.
    ///
    /// # Errors
    /// Those of all files.
    pub(crate) fn whole(self) -> Result<Vec<T>, DatasetError> {
        DatasetError::check(self.errors)?;
        Ok(self.images)
    }
}

/// Reads files in parallel, in their order, and makes something of each picture and its place. Without a scale, one is found
/// from all files that can be read; those with more than 8 bits are then decoded twice, so that no more of them is held than
/// needed. `each` sees what was made, in the order of the files: all of it where no file is decoded twice.
pub(crate) fn load_alike<T: Send>(
    paths: &[&Path],
    fixed: Option<PixelScale>,
    limits: &Limits,
    make: impl Fn(usize, RgbImage, PixelScale) -> Result<T, DatasetError> + Sync,
    each: &mut dyn FnMut(&mut T),
) -> Alike<T> {
    let read = |place: usize, decoded, scale: &PixelScale| {
        let read = picture(paths[place], decoded, scale)?;
        Ok((make(place, read.image, *scale)?, read.notes))
    };
    let mut seen: Vec<Result<Seen<T>, DatasetError>> = Vec::with_capacity(paths.len());
    // In chunks, so that `each` comes soon after `make`.
    while seen.len() < paths.len() {
        let (from, end) = (seen.len(), (seen.len() + CHUNK).min(paths.len()));
        seen.par_extend((from..end).into_par_iter().map(|place| {
            let decoded = decode(paths[place], limits)?;
            let extent = Extent::of(&decoded.image);
            match fixed {
                None if !extent.bytes => Ok(Seen::Deep(extent)),
                _ => Ok(Seen::Read(read(place, decoded, &fixed.unwrap_or_default())?)),
            }
        }));
        for one in &mut seen[from..] {
            if let Ok(Seen::Read((made, _))) = one {
                each(made);
            }
        }
    }
    let (mut all, mut deepest, mut flat) = (Extent::default(), None, None);
    for (path, one) in paths.iter().zip(&seen) {
        match one {
            Ok(Seen::Deep(extent)) => {
                all = all.join(*extent);
                deepest = deepest.or(Some(*path));
            }
            Ok(Seen::Read(_)) => flat = flat.or(Some(*path)),
            Err(_) => {}
        }
    }
    let scale = fixed.unwrap_or_else(|| all.scale());
    let made: Vec<Result<Made<T>, DatasetError>> = seen
        .into_par_iter()
        .enumerate()
        .map(|(place, seen)| match seen? {
            Seen::Read(made) => Ok(made),
            Seen::Deep(_) => read(place, decode(paths[place], limits)?, &scale),
        })
        .collect();
    let mut alike = Alike {
        images: Vec::with_capacity(paths.len()),
        scale,
        notes: of_the_set(&scale, &all, deepest, flat),
        errors: Vec::new(),
    };
    for one in made {
        match one {
            Ok((image, found)) => {
                alike.images.push(image);
                alike.notes.extend(found);
            }
            Err(error) => alike.errors.push(error),
        }
    }
    alike
}

/// What there is to know of a set whose first deep file and first 8-bit file are these.
pub(crate) fn of_the_set(
    scale: &PixelScale,
    all: &Extent,
    deep: Option<&Path>,
    flat: Option<&Path>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let Some(deep) = deep else { return notes };
    let mut say = |path: &Path, remark| {
        notes.push(Note {
            path: path.to_path_buf(),
            remark,
        });
    };
    if let Some(bits) = scale.words {
        say(deep, Remark::Words { bits });
    }
    if let Some((black, white)) = scale.reals {
        say(deep, Remark::Reals { black, white });
    }
    if let Some(levels) = all.levels(scale).filter(|&levels| levels < FEW) {
        say(deep, Remark::FewLevels { levels });
    }
    if let Some(flat) = flat {
        say(flat, Remark::MixedDepths);
    }
    notes
}

/// What was made of a picture, and the notes of its file.
type Made<T> = (T, Vec<Note>);

enum Seen<T> {
    Read(Made<T>),
    Deep(Extent),
}
