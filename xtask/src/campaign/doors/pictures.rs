//! Doors for pixels: images, masks, regions of interest.

use std::path::Path;

use flawforge::datasets::{Limits, Loading, PixelScale, RegionOfInterest, TestFile, TestImage, read_picture};
use image::{Rgb, RgbImage};

use super::{Finding, Seen, refused, scratch};

/// Small, so that a try takes little time; the limits are promises in any case.
const LIMITS: Limits = Limits {
    max_side: 4096,
    max_pixels: 1 << 20,
    max_file_bytes: 1 << 20,
    max_held_bytes: 1 << 20,
};

/// The image that a mask lies beside.
const SIDES: (u32, u32) = (24, 16);

pub(super) fn image(bytes: &[u8]) -> Result<Seen, Finding> {
    let name = Path::new("given.png");
    let read = || read_picture(name, bytes, &LIMITS, &PixelScale::default());
    let picture = match read() {
        Ok(picture) => picture,
        Err(fault) => return refused(&fault.to_string(), "given.png"),
    };
    let (width, height) = picture.image.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > LIMITS.max_side || pixels > LIMITS.max_pixels || pixels == 0 {
        return Err(format!("{width}x{height} pixels came through"));
    }
    match read() {
        Ok(again) if again.image == picture.image => Ok(Seen::Taken),
        _ => Err("a second reading gave another image".to_owned()),
    }
}

pub(super) fn mask(bytes: &[u8]) -> Result<Seen, Finding> {
    let mask = scratch::file("given_mask.png", bytes)?;
    let path = scratch::folder()?.join("beside.bmp");
    if !path.exists() {
        let image = RgbImage::from_pixel(SIDES.0, SIDES.1, Rgb([90, 120, 150]));
        image
            .save(&path)
            .map_err(|fault| format!("the door could not be tried: {fault}"))?;
    }
    let file = TestFile {
        path,
        name: "beside".to_owned(),
        defect: "scratch".to_owned(),
        masks: vec![mask],
    };
    match TestImage::load(&file, &Loading::opencv(32, 32), &LIMITS) {
        Ok((image, _)) if image.mask.width() == 32 && image.mask.height() == 32 => Ok(Seen::Taken),
        Ok((image, _)) => Err(format!(
            "a mask of {}x{}",
            image.mask.width(),
            image.mask.height()
        )),
        Err(fault) => refused(&fault.to_string(), "given_mask.png"),
    }
}

pub(super) fn region(bytes: &[u8]) -> Result<Seen, Finding> {
    let name = match bytes.first() {
        Some(b'{' | b' ' | b'\n') => "given.json",
        _ => "given.png",
    };
    let path = scratch::file(name, bytes)?;
    let region = match RegionOfInterest::open(&path, &LIMITS) {
        Ok(region) => region,
        Err(fault) => return refused(&fault.to_string(), name),
    };
    match region.of(None, SIDES, &LIMITS) {
        Ok(mask) if u64::from(mask.width()) * u64::from(mask.height()) > LIMITS.max_pixels => {
            Err("a region beyond the limits came through".to_owned())
        }
        Ok(_) => Ok(Seen::Taken),
        Err(fault) => refused(&fault.to_string(), name),
    }
}
