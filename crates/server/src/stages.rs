//! What is done with one image in each stage: decoding, judging, painting. Nothing here waits for anything.

use std::path::Path;

use flawforge_datasets::{DatasetError, Limits, read_picture};
use flawforge_pictures::{MapPictures, encode_png};
use flawforge_training::Verdict;
use image::{DynamicImage, GrayImage};

use crate::fault::Fault;
use crate::job::{Came, Detected, Job, Keeps, Scored, Seen};

/// A job that came to nothing, and why.
pub(crate) type Failed = Box<(Job, Fault)>;

/// Bytes that a pixel of what the network takes holds until it is judged: three, and four of its map.
const A_PREPARED_PIXEL: u64 = 7;
/// Bytes that a pixel of the image takes until its pictures are answered: three of the image, four of the map, four of its colours, five of the
/// pictures, and their texts.
const A_PIXEL: u64 = 20;

/// Decodes an image as `predict` does.
///
/// # Errors
/// What is wrong with it, and the job to say it to.
pub(crate) fn decode(came: Came, limits: &Limits, most: u64) -> Result<Seen, Failed> {
    let Came { mut job, bytes } = came;
    let name = Path::new(&job.name);
    let picture = match read_picture(name, &bytes, limits, &job.served.scale) {
        Ok(picture) => picture,
        Err(fault) => {
            let fault = said(name, &fault);
            return Err(Box::new((job, fault)));
        }
    };
    drop(bytes);
    let size = picture.image.dimensions();
    let prepared = job.served.detector.prepare(&picture.image);
    let pixels = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let pictures = if job.wanted.any() {
        pixels(size) * A_PIXEL
    } else {
        0
    };
    let bytes = pixels(prepared.dimensions()) * A_PREPARED_PIXEL + pictures;
    if bytes > most {
        let advice = if pictures > 0 { "; ask for no picture" } else { "" };
        let fault = Fault::too_many_pixels(format!(
            "{}x{} pixels take more memory than there is{advice}",
            size.0, size.1
        ));
        return Err(Box::new((job, fault)));
    }
    if !job.held.grow(bytes) {
        let fault = Fault::busy("too many images are held");
        return Err(Box::new((job, fault)));
    }
    // As in the rows of `predict`: in what it is unlike the normal images, and what is doubtful about the file.
    let mut warnings = match &job.served.appearance {
        Some(appearance) => appearance.unlike(&prepared, size),
        None => Vec::new(),
    };
    let doubts = picture.notes.iter().filter(|note| note.remark.is_doubt());
    warnings.extend(doubts.map(|note| note.remark.to_string()));
    Ok(Seen {
        image: job.wanted.any().then_some(picture.image),
        job,
        size,
        prepared,
        warnings,
    })
}

/// A fault of a file in the words of `predict`, without its name.
fn said(name: &Path, fault: &DatasetError) -> Fault {
    let text = fault.to_string();
    let before = format!("{}: ", name.display());
    let message = text.strip_prefix(&before).unwrap_or(&text).to_owned();
    match fault {
        DatasetError::TooLarge { .. } | DatasetError::TooManyPixels { .. } => Fault::too_many_pixels(message),
        _ => Fault::not_an_image(message),
    }
}

/// Judges an image, and paints what is wanted of it.
///
/// # Errors
/// A score that is not a number, a picture that cannot be encoded.
pub(crate) fn judge(detected: Detected) -> Result<(Job, Scored), Failed> {
    let Detected { seen, detection } = detected;
    let Seen {
        job,
        size,
        image,
        mut warnings,
        ..
    } = seen;
    let judge = &job.served.judge;
    let Some((said, marked)) = judge.judge(&detection, size) else {
        return Err(Box::new((job, Fault::no_score())));
    };
    warnings.extend(said.doubt);
    let (mut map_png, mut overlay_png) = (None, None);
    if let Some(image) = image {
        let (map, mask) = match marked {
            Some(marked) => {
                let mask = marked.regions.mask(marked.map.scores.len());
                (marked.map, GrayImage::from_raw(size.0, size.1, mask))
            }
            None => (detection.map.resized(size.0, size.1), None),
        };
        let full = job.served.detector.full_scale();
        let pictures = MapPictures::new(map, full, judge.pixel_threshold());
        let png = |picture: DynamicImage| encode_png(&picture).ok();
        if job.wanted.map {
            map_png = png(DynamicImage::ImageLuma16(pictures.deep()));
        }
        if job.wanted.overlay {
            overlay_png = png(DynamicImage::ImageRgb8(pictures.over(&image, mask.as_ref())));
        }
        if (job.wanted.map && map_png.is_none()) || (job.wanted.overlay && overlay_png.is_none()) {
            log::error!("a picture of an image cannot be encoded");
            return Err(Box::new((job, Fault::internal())));
        }
    }
    let scored = Scored {
        image: job.name.clone(),
        width: size.0,
        height: size.1,
        score: said.score,
        protocol_score: said.protocol_score,
        threshold: judge.threshold(),
        look_from: judge.look_from(),
        pixel_threshold: judge.pixel_threshold(),
        verdict: said.verdict.map(Verdict::name),
        warnings,
        regions_found: said.regions_found,
        regions: said.regions,
        seconds: job.came.elapsed().as_secs_f64(),
        map_png,
        overlay_png,
        held: Keeps::default(),
    };
    Ok((job, scored))
}
